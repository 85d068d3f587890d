"""Folders named after splits, beside folders that are not."""

from pathlib import Path

import pytest

from dlcli.data.split_folders import find_splits
from dlcli.data.splits import SPLIT_OF, SPLITS
from dlcli.errors import InputError


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir()
    return root


def test_every_name_is_of_a_split() -> None:
    assert set(SPLIT_OF.values()) == set(SPLITS)
    assert all(name == name.lower() for name in SPLIT_OF)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("cats", "dogs"), {"train": ""}),
        (("train", "test"), {"train": "train", "test": "test"}),
        (("Test", "VAL", "Train"), {"train": "Train", "validation": "VAL", "test": "Test"}),
        (("train",), {"train": "train"}),
        (("train", "bus"), {"train": ""}),  # two classes of vehicles
        (("test", "bus"), {"train": ""}),
        (("train", "test", ".cache"), {"train": "train", "test": "test"}),
    ],
)
def test_splits_by_folder_name(tmp_path: Path, names: tuple[str, ...], expected: dict[str, str]) -> None:
    splits, left_out, warnings = find_splits(make(tmp_path, *names))
    assert splits == {split: tmp_path / name for split, name in expected.items()}
    assert list(splits) == [split for split in SPLITS if split in expected]
    assert (left_out, warnings) == ([], [])


def test_other_folders_and_files_are_left_out_with_a_warning(tmp_path: Path) -> None:
    (make(tmp_path, "train", "test", "notes") / "readme.md").write_text("")
    _, left_out, warnings = find_splits(tmp_path)
    assert [item.name for item in left_out] == ["readme.md", "notes"]
    assert {(item.reason, item.kind) for item in left_out} == {("outside the split folders", "unused")}
    assert [(warning.kind, warning.text) for warning in warnings] == [
        ("folders", f"{tmp_path}/notes is not a split folder and was left out.")
    ]


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (("train", "val", "validation"), r"each split must be in one folder\. Received '\w+' and '\w+': merge them\.$"),
        (("val", "test"), r"there must be a folder 'train' beside '\w+', '\w+'\.$"),
        (("train", "test", "valid"), r"/valid: a split's folder must be train, .*: rename it to 'val'\.$"),
    ],
)
def test_errors(tmp_path: Path, names: tuple[str, ...], pattern: str) -> None:
    with pytest.raises(InputError, match=pattern):
        find_splits(make(tmp_path, *names))
