"""Folders named after splits, beside folders that are not."""

from pathlib import Path

import pytest

from dlcli.data.split_folders import find_splits, refuse_split_names
from dlcli.data.splits import SPLITS
from dlcli.errors import InputError


def make(root: Path, *names: str) -> Path:
    """Folders, and an empty file for each name with a suffix."""
    for name in names:
        path = root / name
        (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.touch()
    return root


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("cats", "dogs"), {"train": ""}),
        (("train", "test"), {"train": "train", "test": "test"}),
        (("Test", "VAL", "Train"), {"train": "Train", "validation": "VAL", "test": "Test"}),
        (("train", "valid", "test"), {"train": "train", "validation": "valid", "test": "test"}),
        (("training_set", "test_set"), {"train": "training_set", "test": "test_set"}),
        (("Training Data", "Testing Data"), {"train": "Training Data", "test": "Testing Data"}),
        (("tr", "dev", "Eval.csv"), {"train": "tr", "validation": "dev"}),
        (("train",), {"train": "train"}),
        (("train2017", "val2017"), {"train": "train2017", "validation": "val2017"}),
        (("trainval", "test"), {"train": "trainval", "test": "test"}),
        (("train_1/a", "train_1/b", "test_1/a", "test_1/b"), {"train": "train_1", "test": "test_1"}),
        (("trainA", "cats"), {"train": ""}),
        (("train", "test", ".cache", "__MACOSX"), {"train": "train", "test": "test"}),
        # archives repeat the folder's name
        (
            ("training_set/training_set/a", "test_set/test_set/a"),
            {"train": "training_set/training_set", "test": "test_set/test_set"},
        ),
        # a word of the name says which split it is, and the same subfolders that it is one
        (
            ("seg_train/seg_train/sea", "seg_test/seg_test/sea"),
            {"train": "seg_train/seg_train", "test": "seg_test/seg_test"},
        ),
        (
            ("seg_train/a", "seg_train/b", "seg_test/a", "seg_test/b", "seg_pred/1.jpg"),
            {"train": "seg_train", "test": "seg_test"},
        ),
        (("test_pattern/1.jpg", "train_station/1.jpg"), {"train": ""}),
        (("cats/images", "dogs/images"), {"train": ""}),
        (("cats/2019", "cats/2020", "dogs/2019"), {"train": ""}),
    ],
)
def test_splits_by_folder_name(tmp_path: Path, names: tuple[str, ...], expected: dict[str, str]) -> None:
    splits, _, _ = find_splits(make(tmp_path, *names))
    assert splits == {split: tmp_path / name for split, name in expected.items()}
    assert list(splits) == [split for split in SPLITS if split in expected]


def test_other_folders_and_files_are_left_out_with_a_warning(tmp_path: Path) -> None:
    make(tmp_path, "train", "test", "notes", "readme.md", "Thumbs.db")
    _, left_out, warnings = find_splits(tmp_path)
    assert {item.name: item.reason for item in left_out} == {
        "Thumbs.db": "left by a system, archive or tool",
        "readme.md": "outside the split folders",
        "notes": "outside the split folders",
    }
    assert {item.kind for item in left_out} == {"unused"}
    assert [(warning.kind, warning.text) for warning in warnings] == [
        ("folders", f"{tmp_path}/notes is not a split folder and was left out.")
    ]


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (("train", "val", "validation"), r"each split must be in one folder\. Received '\w+' and '\w+': merge them\.$"),
        (("train", "training_set"), r"each split must be in one folder\."),
        (
            ("val", "test"),
            r"there must be a folder 'train' beside '\w+', '\w+'\. If they are classes, set data\.folders",
        ),
        (("train", "test", "vald"), r"/vald: a split's folder must be train, .*: rename it to 'valid'\.$"),
        (
            ("train", "bus"),
            r"'train' has the name of the train split, and 'bus' has not\..* If it is a class, set data",
        ),
        (("cats", "dogs", "test"), r"'test' has the name of the test split, and 'cats', 'dogs' have not\."),
        (
            ("train/a", "train/b", "holdout/a", "holdout/b"),
            r"'holdout' has not, but holds folders of the same names: 'a', 'b'\. If they are splits, rename it: "
            r"validation or test\. If they are classes, set data\.folders",
        ),
        (("train/a", "train/b", "tset/a", "tset/b"), r"/tset: a split's folder must be .*: rename it to 'test'\.$"),
        (("test/a", "test/b", "trian/a", "trian/b"), r"/trian: a split's folder must be .*: rename it to 'train'\.$"),
        (
            ("fold1/a", "fold1/b", "fold2/a", "fold2/b"),
            r"'fold1' and 'fold2' hold folders of the same names, .*'a', 'b'",
        ),
        (
            ("trainA", "trainB", "testA", "testB"),
            r"'\w+', .* are named after splits and .*If '[AB]' is a class, make '(train|test)/[AB]' of '\w+'\. If",
        ),
        (
            ("train_1", "train_2"),
            r"If '_[12]' is|merge the parts into 'train'\. If they are classes, set data\.folders",
        ),
        (("a/train", "a/test", "b/train", "b/test"), r"must be the outer ones: make 'test/a' of 'a/test'\. If they"),
    ],
)
def test_what_is_unclear_is_refused(tmp_path: Path, names: tuple[str, ...], pattern: str) -> None:
    with pytest.raises(InputError, match=pattern):
        find_splits(make(tmp_path, *names))


@pytest.mark.parametrize("names", [("train", "bus"), ("train", "test"), ("fold1/a", "fold1/b", "fold2/a", "fold2/b")])
def test_folders_that_the_recipe_or_a_model_knows_are_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    root = make(tmp_path, *names)
    classes = {path.name for path in root.iterdir()}
    assert find_splits(root, folders="classes")[0] == {"train": root}
    assert find_splits(root, classes=classes)[0] == {"train": root}


def test_files_named_after_splits_are_not_classes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must not have the name of a split\. Received 'Valid'.*data\.folders"):
        refuse_split_names(tmp_path, ["North", "Valid"])
    refuse_split_names(tmp_path, ["North", "Valid"], classes=["Valid"])
