"""Which split is evaluated."""

from pathlib import Path

import pytest

from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.tasks import split_choice

ALL = ("train", "validation", "test")


@pytest.mark.parametrize(
    ("splits", "requested", "chosen"),
    [
        (ALL, None, "test"),
        (ALL, "train", "train"),
        (("train", "validation"), None, "validation"),
        (("train",), None, "train"),
    ],
)
def test_the_best_held_out_split_is_evaluated(splits: tuple[str, ...], requested: str | None, chosen: str) -> None:
    assert split_choice.own_split(RunDir(Path("runs/a")), splits, requested) == chosen
    assert split_choice.other_split(Path("b.csv"), splits, requested) == chosen


def test_absent_splits() -> None:
    with pytest.raises(InputError, match=r"^runs/a: its data have no test split\. Available: train, validation\.$"):
        split_choice.own_split(RunDir(Path("runs/a")), ALL[:2], "test")
    with pytest.raises(InputError, match=r"^b\.csv: has no test split\. Available: train, validation\.$"):
        split_choice.other_split(Path("b.csv"), ALL[:2], "test")
    with pytest.raises(InputError, match=r"^--split: b\.csv is not divided into splits and is evaluated as a whole"):
        split_choice.other_split(Path("b.csv"), ("train",), "train")
