"""Tables of several series: their rows, splits and windows, none of which spans two series."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.series.division import divide
from dlcli.data.series.row_order import Part
from dlcli.data.series.time_table import Table, read_table
from dlcli.data.series.windows import Series, WindowBatches
from dlcli.errors import InputError

SIZES = {"history": 4, "horizon": 2, "validation": 0.2, "test": 0.2, "stride": 1}


def table(*lengths: int, **more: Any) -> Table:
    """Series 0, 1, … of which a row has the values (100 * series + step, step)."""
    values = np.array(
        [(100 * i + step, step) for i, length in enumerate(lengths) for step in range(length)], np.float32
    )
    ends = np.cumsum(lengths).tolist()
    parts = tuple(Part(str(i), end - length, end) for i, (length, end) in enumerate(zip(lengths, ends, strict=True)))
    moments = values[:, 1].astype(np.float64)
    return Table(tuple(map(str, moments)), values, ("y", "z"), parts=parts, moments=moments, **more)


def divided(*lengths: int, more: dict[str, Any] | None = None, **options: Any) -> Series:
    return divide(table(*lengths, **(more or {})), source="s.csv", **{**SIZES, **options})


def test_no_window_spans_two_series() -> None:
    made = divided(30, 20)
    for split, windows in made.splits.items():
        past, future = made.windows(windows.origins)
        for series, inputs, targets in zip(made.series_of(windows.origins), past[..., 0], future, strict=True):
            assert (inputs // 100 == int(series)).all()
            assert (targets // 100 == int(series)).all()
            first, last = {"train": (0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1)}[split]
            length = (30, 20)[int(series)]
            assert length * first <= targets[0] % 100
            assert targets[-1] % 100 < length * last
    assert [len(made.splits[split]) for split in ("train", "validation", "test")] == [13 + 7, 5 + 3, 5 + 3]
    assert len(divided(30, 20, evaluation_stride=3).splits["test"]) == 2 + 1
    assert len(divided(30, 20, stride=5).splits["train"]) == 3 + 2


def test_folds_by_time_train_on_what_came_before() -> None:
    covered = []
    for number in (1, 2, 3):
        made = divided(50, 25, fold=(number, 3))
        rows = {(part.series, part.split): (part.start, part.end) for part in made.stretches}
        for series, (start, kept, end) in {"0": (0, 40, 50), "1": (50, 70, 75)}.items():
            width = (kept - start) // 4
            held_out = (start + number * width, start + (number + 1) * width)
            assert rows[series, "train"] == (start, held_out[0])
            assert rows[series, "validation"] == held_out
            assert rows[series, "test"] == (kept, end)
            covered += range(*held_out)
    assert sorted(covered) == [*range(10, 40), *range(55, 70)]  # each row but the first part's, once


def test_a_fold_without_a_window_to_train_on_is_refused() -> None:
    with pytest.raises(InputError, match=r"Received 5 rows in the longest series: divide into fewer folds"):
        divided(50, 25, fold=(1, 7))


def test_folds_of_whole_series() -> None:
    made = [divided(*[20] * 10, split_by="series", fold=(number, 3)) for number in (1, 2, 3)]
    held = [{part.series for part in one.stretches if part.split == "validation"} for one in made]
    test = {part.series for part in made[0].stretches if part.split == "test"}
    assert sorted(map(len, held)) == [2, 3, 3]
    assert len(set().union(*held)) == 8
    assert not set().union(*held) & test
    with pytest.raises(InputError, match=r"at least as many series as folds. Received 8 series .* and 9 folds"):
        divided(*[20] * 10, split_by="series", fold=(1, 9))


def test_whole_series_can_be_held_out() -> None:
    lengths = [20] * 10
    made = divided(*lengths, split_by="series", seed=1)
    held = {split: set(made.series_of(windows.origins)) for split, windows in made.splits.items()}
    assert [len(held[split]) for split in ("train", "validation", "test")] == [6, 2, 2]
    assert not held["train"] & held["test"] | held["train"] & held["validation"]
    assert len(made.splits["test"]) == 2 * (20 - 4 - 2 + 1)  # the history lies within the split
    again = divided(*lengths, split_by="series", seed=1)
    other = divided(*lengths, split_by="series", seed=2)
    assert again.fingerprint() == made.fingerprint() != other.fingerprint()


def test_short_series_are_reported() -> None:
    made = divided(30, 5)
    assert [warning.text for warning in made.warnings] == [
        f"{split}: 1 of 2 series have too few rows for a window there." for split in ("train", "validation", "test")
    ]
    with pytest.raises(InputError, match=r"Received 3 rows in the longest series: lower window\.history"):
        divided(5, 5)


def test_positions_are_the_same_for_the_same_time() -> None:
    late = table(8, 5)
    moments = late.moments
    assert moments is not None
    moments[8:] += 3
    made = Series(late, 1, 1, (), {})
    assert made.positions(np.array([3, 8, 12])).tolist() == [3, 3, 7]


def test_what_is_known_ahead_is_part_of_the_inputs() -> None:
    made = divided(30, 20, more={"known_ahead": ("z",)})
    origins = made.splits["train"].origins
    inputs, _ = made.windows(origins)
    assert inputs.shape == (20, 4 + 2, 2)
    np.testing.assert_array_equal(inputs[:, 4:, 1], inputs[:, :1, 1] + [4, 5])
    assert np.isnan(inputs[:, 4:, 0]).all()
    assert not np.isnan(inputs[:, :4]).any()
    data = WindowBatches(made, origins, batch_size=20, scales=np.arange(20.0))
    batch = data.assemble(data.element(data.source(0), tf.constant(0, tf.int64)))
    np.testing.assert_array_equal(batch["x"], inputs)
    np.testing.assert_array_equal(batch["y"]["scale"], np.arange(20))


PANEL = "day,shop,area,y,promo\n2,b,south,20,1\n1,a,north,1,0\n1,b,south,10,1\n2,a,north,2,0\n3,a,north,3,1\n"


def read(folder: Path, text: str = PANEL, **options: Any) -> Table:
    (folder / "a.csv").write_text(text)
    defaults: dict[str, Any] = {"time": ("day",), "target": "y", "features": (), "on_missing": "error"}
    return read_table(path=folder / "a.csv", **{**defaults, "series": "shop", **options})


def test_rows_are_sorted_by_series_and_time(tmp_path: Path) -> None:
    found = read(tmp_path, future_features=("promo",), static=("area", "shop"))
    assert [(part.name, part.start, part.end) for part in found.parts] == [("a", 0, 3), ("b", 3, 5)]
    assert found.features == ("y", "promo", "area=north", "area=south", "shop=a", "shop=b")
    assert found.known_ahead == found.features[1:]
    assert found.target.tolist() == [1, 2, 3, 10, 20]
    assert found.values[:, 1].tolist() == [0, 0, 1, 1, 1]
    np.testing.assert_array_equal(found.values[:, 2:], [[1, 0, 1, 0]] * 3 + [[0, 1, 0, 1]] * 2)
    assert [warning.text for warning in found.warnings] == ["the rows are newest first; they are sorted by time."]
    assert read(tmp_path, features=None).features == ("y", "promo")
    other = read(tmp_path, static=("area",), categories={"area": ("north", "west")})
    np.testing.assert_array_equal(other.values[:, 1:], [[1, 0]] * 3 + [[0, 0]] * 2)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (("3,a", "2,a"), {}, "a.csv:6: a time must occur once in a series. Received 2 again, after line 5. Remove one"),
        (("3,a,north", "3,a,west"), {"static": ("area",)},
         "a.csv:6: column 'area' must be the same in all rows of a series. Line 3 has another value."),
        (("3,a", "3,"), {}, "a.csv:6: column 'shop' must not be empty."),
        (("3,a", "3,a"), {"calendar": ("hour",)}, "data.calendar needs dates. Received times such as 1."),
        (("3,a", "3,a"), {"series": None}, "or name the column of the series as data.series if there are several."),
        (("3,a", "3,a"), {"series": "store"}, "there must be a column 'store'."),
    ],
)  # fmt: skip
def test_errors_of_several_series(
    tmp_path: Path, change: tuple[str, str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, PANEL.replace(*change), **options)
    assert message in str(error.value)


def test_gaps_are_sought_within_each_series(tmp_path: Path) -> None:
    days = [*((day, "a") for day in (1, 2, 3)), *((day, "b") for day in (50, 51, 52, 60))]
    found = read(tmp_path, "day,shop,y\n" + "".join(f"{day},{shop},1\n" for day, shop in days))
    assert "the time has 1 gap, between 52 and 60 in series b:" in found.warnings[0].text
