"""Averages over intervals, and values in the place of missing ones, against NumPy."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.series import resampling
from dlcli.data.series.division import divide
from dlcli.data.series.row_order import Part
from dlcli.data.series.time_table import Table, read_table
from dlcli.data.series.windows import WindowBatches
from dlcli.errors import InputError

NAN = float("nan")


def test_rows_are_averaged_over_each_interval() -> None:
    rng = np.random.default_rng(0)
    moments = np.concatenate([np.sort(rng.uniform(0, 9000, 60)), np.sort(rng.uniform(4000, 8000, 5))])
    values = rng.normal(size=(65, 2))
    values[3, 0] = NAN
    parts = (Part("a", 0, 60), Part("b", 60, 65))
    found, starts, made = resampling.resampled(values, moments, parts, "10min", source="a.csv")
    assert [(part.name, part.start) for part in made] == [("a", 0), ("b", made[0].end)]
    for part, of_part in zip(parts, made, strict=True):
        rows = np.arange(part.start, part.end)
        steps = starts[of_part.start : of_part.end]
        assert (np.diff(steps) == 600).all()
        assert steps[0] <= moments[rows[0]] < steps[0] + 600
        assert steps[-1] <= moments[rows[-1]] < steps[-1] + 600
        for step, row in zip(steps, found[of_part.start : of_part.end], strict=True):
            inside = values[rows[(step <= moments[rows]) & (moments[rows] < step + 600)]]
            expected = [np.mean(known) if len(known := column[~np.isnan(column)]) else NAN for column in inside.T]
            np.testing.assert_allclose(row, expected)


@pytest.mark.parametrize(
    ("interval", "start"), [("1D", "2024-03-07"), ("1W", "2024-03-04"), ("1h", "2024-03-07T13:00"), ("2s", None)]
)
def test_intervals_begin_at_even_times(interval: str, start: str | None) -> None:
    moment = datetime(2024, 3, 7, 13, 5, 7, tzinfo=UTC).timestamp()
    found = resampling.resampled(np.ones((1, 1)), np.array([moment]), (Part("", 0, 1),), interval, source="a.csv")
    assert resampling.time_texts(found[1]) == (start or "2024-03-07T13:05:06",)


def test_too_many_intervals_are_refused() -> None:
    with pytest.raises(InputError, match="1s must give at most 20,000,000 rows"):
        resampling.resampled(np.ones((2, 1)), np.array([0.0, 1e8]), (Part("", 0, 2),), "1s", source="a.csv")


def test_missing_values_are_carried_or_interpolated_within_a_series() -> None:
    column = np.array([NAN, 1, NAN, NAN, 4, NAN, NAN, 8, 9, NAN])
    values, parts = np.stack([column, np.zeros(10)], axis=1), (Part("a", 0, 6), Part("b", 6, 10))
    carried, ahead = resampling.filled(values, parts, "carry")
    np.testing.assert_equal(carried[:, 0], [NAN, 1, 1, 1, 4, 4, NAN, 8, 9, 9])
    assert not ahead.any()
    drawn, ahead = resampling.filled(values, parts, "interpolate")
    np.testing.assert_equal(drawn[:, 0], [NAN, 1, 2, 3, 4, 4, NAN, 8, 9, 9])
    assert np.flatnonzero(ahead).tolist() == [2, 3]
    np.testing.assert_equal(resampling.filled(values, parts, "mask")[0], values)


def read(folder: Path, lines: list[str], **options: Any) -> Table:
    (folder / "a.csv").write_text("\n".join(["t,y", *lines]))
    known = {"time": ("t",), "target": "y", "features": (), "on_missing": "keep"}
    return read_table(path=folder / "a.csv", **{**known, **options})


def test_no_forecast_starts_within_an_interpolated_gap_and_no_error_counts_it(tmp_path: Path) -> None:
    lines = [f"2024-01-{day:02},{day}" for day in range(1, 31) if day not in (9, 10)]
    found = read(tmp_path, lines, resample="1D", gaps="interpolate")
    assert found.times[8] == "2024-01-09"
    assert found.values[:, 0].tolist() == list(range(1, 31))
    assert np.isnan(found.target[8:10]).all()
    assert found.warnings[-1].text == "y: 2 missing values are interpolated; errors do not count them."
    made = divide(found, source="a.csv", history=3, horizon=2, validation=0.0, test=0.0, stride=1)
    origins = made.splits["train"].origins
    assert set(range(3, 29)) - set(origins.tolist()) == {8, 9, 10}  # 8 has no known value; 9 and 10 end in the gap
    past, future = made.windows(np.array([7, 11]))
    assert past[1, :, 0].tolist() == [9, 10, 11]
    np.testing.assert_equal(future, [[8, NAN], [12, 13]])
    data = WindowBatches(made, np.array([7]), batch_size=1)
    known = data.assemble({"index": np.array([0])})["y"]["known"]
    assert np.asarray(known).tolist() == [[1, 0]]
    carried = read(tmp_path, lines, resample="1D", gaps="carry")
    assert carried.values[7:11, 0].tolist() == [8, 8, 8, 11]
    assert carried.no_origin is None


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (["2024-01-01,1", "2024-01-04,2"], {"on_missing": "error"},
         "every interval of 1D must have rows. Received none for 2024-01-02, and 2 such intervals in all."),
        (["1,1", "4,2"], {}, "data.resample needs dates. Received times such as 1."),
    ],
)  # fmt: skip
def test_refused_tables(tmp_path: Path, lines: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, lines, resample="1D", **options)


def test_rows_at_the_same_time_are_averaged(tmp_path: Path) -> None:
    found = read(tmp_path, ["2024-01-01T10:00,1", "2024-01-01T10:00,5", "2024-01-01T10:59:59,6"], resample="1h")
    assert found.target.tolist() == [4]
