"""A series split by time, its windows, and the errors of its table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.series.division import divide
from dlcli.data.series.time_table import Table, read_table
from dlcli.data.series.windows import Series, WindowBatches
from dlcli.errors import InputError

NAN = float("nan")


def read(path: Path, **options: Any) -> Table:
    return read_table(path=path, **{"time": ("t",), "target": "y", "features": (), "on_missing": "error", **options})


def series(num: int = 40, **options: Any) -> Series:
    values = np.stack([np.arange(num), -np.arange(num)], axis=1).astype(np.float32)
    table = Table(tuple(f"t{i}" for i in range(num)), values, ("y", "z"))
    known = {"history": 5, "horizon": 3, "validation": 0.2, "test": 0.2, "stride": 1}
    return divide(table, source="s.csv", **{**known, **options})


def error(path: Path, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, **options)
    return str(error.value).replace(f"{path.parent}/", "").splitlines()


def test_a_table_is_read_in_order_of_time(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('"y","t","a","b","word"\n1,1949-09,5,NA,x\n2,1949-10,,7,y\n')
    table = read(tmp_path / "a.csv", features=("b", "a"), on_missing="keep")
    assert table.times == ("1949-09", "1949-10")
    assert table.features == ("y", "b", "a")
    np.testing.assert_equal(table.values, np.array([[1, NAN, 5], [2, 7, NAN]], np.float32))
    every = read(tmp_path / "a.csv", features=None, on_missing="keep")
    assert every.features == ("y", "a", "b")
    alone = read(tmp_path / "a.csv")
    np.testing.assert_equal(alone.values, [[1], [2]])


def test_decimal_commas(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t;y;a;b\n1;1.234,5;NA;x\n2;-2,25;7;1.5\n")
    table = read(tmp_path / "a.csv", features=None, on_missing="keep", decimal="comma")
    assert table.features == ("y", "a")
    np.testing.assert_equal(table.values, np.array([[1234.5, NAN], [-2.25, 7]], np.float32))


def test_a_table_without_a_header_has_the_names_that_are_given(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("2024-01-01;1,5;7\n2024-01-02;2,5;8\n")  # as many commas as semicolons
    table = read(tmp_path / "a.csv", features=None, columns=["t", "y", "a"], decimal="comma")
    assert (table.times[0], table.features) == ("2024-01-01", ("y", "a"))
    np.testing.assert_equal(table.values, np.array([[1.5, 7], [2.5, 8]], np.float32))


@pytest.mark.parametrize(
    ("times", "order", "how"),
    [
        (("3", "2", "1"), (2, 1, 0), "newest first"),
        (("31/01/2024", "01/02/2024", "30/01/2024"), (2, 0, 1), "not in the order of time"),
        (("01/03/2024", "02/01/2024", "13/01/2024"), (1, 2, 0), "not in the order of time"),  # sorted as text
        (("30/01/2024", "31/01/2024", "01/02/2024"), (0, 1, 2), None),
    ],
)
def test_rows_are_sorted_by_time(
    tmp_path: Path, times: tuple[str, ...], order: tuple[int, ...], how: str | None
) -> None:
    (tmp_path / "a.csv").write_text("t,y\n" + "".join(f"{time},{i}\n" for i, time in enumerate(times)))
    table = read(tmp_path / "a.csv")
    assert table.values[:, 0].tolist() == list(order)
    assert table.times == tuple(times[i] for i in order)
    assert [warning.text for warning in table.warnings if "sorted" in warning.text] == (
        [] if how is None else [f"the rows are {how}; they are sorted by time."]
    )


def test_time_can_span_several_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("year,month,y\n2009,12,1\n2010,2,2\n2010,11,3\n")
    table = read(tmp_path / "a.csv", time=("year", "month"))
    assert table.times == ("2009 12", "2010 2", "2010 11")


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("t,x\n1,2\n", {}, ["a.csv:1: there must be a column 'y'. Received 't', 'x'."]),
        ("t,y\n1,2\n3,one\n2,\n,4\n3,5\n", {}, [
            "a.csv:3: column 'y' must be a number. Received 'one'.",
            "a.csv:4: column 'y' must have a value. Fill it in, or train with data.on_missing: keep.",
            "a.csv:5: column 't' must not be empty.",
        ]),
        ("t;y\n1;1.234,5\n", {}, [
            "a.csv:2: column 'y' must be a number. Received '1.234,5'. Set data.decimal: comma.",
        ]),
        ("t;y\n1;12,5\n2;1.5\n", {"decimal": "comma"}, [
            "a.csv:3: column 'y' must be a number with a decimal comma. Received '1.5'.",
        ]),
        ("t,y\n2,1\n1,2\n1,3\n", {}, [
            "a.csv:4: a time must occur once. Received 1 again, after line 3. Remove one of the rows, or name "
            "the column of the series as data.series if there are several.",
        ]),
        ("t,y\n2019-10-27 02:00,1\n2019-10-27 02:00,2\n", {}, [
            "a.csv:3: a time must occur once. Received 2019-10-27 02:00 again, after line 2. Remove one of the rows, "
            "or give times with their offset from UTC if clocks were set back, or name the column of the series as "
            "data.series if there are several.",
        ]),
        ("m,t,y\n12,1,1\n1,2,2\n", {"time": ("m", "t")}, ["a.csv:3: time must increase. Received 1 2 after 12 1."]),
        ("t,y\nJan,1\nFeb,2\n", {}, [
            "a.csv:3: time must increase. Received Feb after Jan. Dates need data.time_format.",
        ]),
        ("t,y\n1,1\nabc,2\ninf,3\n", {}, [
            "a.csv:3: time must be a number in every row or in none. Received 'abc'.",
            "a.csv:4: time must be a number in every row or in none. Received 'inf'.",
        ]),
        (
            "t,y\n1,1e39\n",
            {},
            ["a.csv:2: column 'y' must be at most 1e+18 in magnitude. Received 1e39: rescale the column."],
        ),
        ("t,y\n1,inf\n", {"on_missing": "keep"}, ["a.csv:2: column 'y' must be a number. Received 'inf'."]),
        ("t,y\n", {}, ["a.csv: there must be rows below the header. Received none."]),
    ],
)  # fmt: skip
def test_errors_of_tables(tmp_path: Path, text: str, options: dict[str, Any], expected: list[str]) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert error(tmp_path / "a.csv", **options) == expected


def test_splits_are_consecutive_and_no_forecast_crosses_a_boundary() -> None:
    made = series()
    assert made.ends == {"train": 24, "validation": 32, "test": 40}
    assert made.splits["train"].origins.tolist() == list(range(5, 22))
    assert made.splits["validation"].origins.tolist() == list(range(24, 30))
    assert made.splits["test"].origins.tolist() == list(range(32, 38))
    past, future = made.windows(np.array([24]))
    np.testing.assert_array_equal(past[0], [[i, -i] for i in range(19, 24)])  # extends back into train
    np.testing.assert_array_equal(future[0], [24, 25, 26])
    assert series(stride=4).splits["train"].origins.tolist() == [5, 9, 13, 17, 21]
    assert len(series(stride=4).splits["test"]) == 6
    assert list(series(validation=0.0, test=0.0).splits) == ["train"]


def test_splits_too_short_for_a_window() -> None:
    with pytest.raises(InputError, match=r"s\.csv: train must have a window of 30 \+ 3 steps\. Received 24 rows:"):
        series(history=30)
    made = series(horizon=9)
    assert list(made.splits) == ["train"]
    assert made.warnings[0].text == "validation has 8 rows, too few for a forecast of 9 steps: it is left out."


def test_the_fingerprint_depends_on_values_and_splits() -> None:
    prints = {series().fingerprint(), series(history=4).fingerprint(), series(test=0.1).fingerprint()}
    assert len(prints) == 3
    assert series().fingerprint() in prints
    assert [row["split"] for row in series().split_rows()] == ["train", "validation", "test"]
    assert series().split_rows()[0]["file"] == "t0 to t23"


def test_batches_are_the_windows_in_a_reproducible_random_order() -> None:
    made = series()
    made.table.values[10, 0] = np.nan
    origins = made.splits["train"].origins
    data = WindowBatches(made, origins, batch_size=4, seed=1)
    seen = []
    for step in range(data.num_steps):
        batch = data.assemble(data.element(data.source(2), tf.constant(step, tf.int64)))
        for x, future, known, index in zip(
            *(values.numpy() for values in (batch["x"], batch["y"]["future"], batch["y"]["known"], batch["index"])),
            strict=True,
        ):
            past, true = made.windows(origins[[index]])
            np.testing.assert_equal(x, past[0])
            np.testing.assert_array_equal(known, ~np.isnan(true[0]))
            np.testing.assert_array_equal(future, np.nan_to_num(true[0]))
            seen.append(int(index))
    assert sorted(seen) == list(range(len(origins)))
    assert seen != sorted(seen)
    orders = [data.source(epoch)["order"].numpy().tolist() for epoch in (2, 3)]
    assert seen == orders[0]
    assert orders[0] != orders[1]


@pytest.mark.parametrize(
    ("time", "rows", "gap"),
    [
        (("t",), [[1], [2], [3], [7], [8]], "the time has 1 gap, between 3 and 7"),
        (("t",), [["2020-01-01"], ["2020-01-02"], ["2020-01-03"], ["2020-01-09"]], "between 2020-01-03 and 2020-01-09"),
        (("year", "m"), [[2019, 11], [2019, 12], [2020, 1], [2020, 5]], "between 2020 1 and 2020 5"),
        (("year", "m", "d", "h"), [[2019, 12, 31, 22], [2019, 12, 31, 23], [2020, 1, 1, 0], [2020, 1, 1, 1]], None),
        (("m",), [["2019-01"], ["2019-02"], ["2019-03"], ["2019-04"]], None),
        (("m",), [["2019-01"], ["2019-02"], ["2019-07"]], "between 2019-02 and 2019-07"),
        (("t",), [["2024-10-27T01:00+02:00"], ["2024-10-27T02:00+02:00"], ["2024-10-27T02:00+01:00"]], None),
    ],
)
def test_a_gap_in_time_is_warned_of(
    tmp_path: Path, time: tuple[str, ...], rows: list[list[Any]], gap: str | None
) -> None:
    lines = [",".join([*time, "y"]), *(",".join(map(str, [*row, i])) for i, row in enumerate(rows))]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    table = read_table(path=tmp_path / "a.csv", time=time, target="y", features=(), on_missing="error")
    assert (gap is None) == (table.warnings == ())
    assert gap is None or gap in table.warnings[0].text
