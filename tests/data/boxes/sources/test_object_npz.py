"""Arrays of several boxes for each image."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.boxes.boxes import Frame
from dlcli.data.boxes.objects import objects_of
from dlcli.data.boxes.sources.object_npz import read_object_npz
from dlcli.data.images.samples import Dataset
from dlcli.errors import InputError

Common = dict[str, Any]
X = np.random.default_rng(0).integers(0, 256, (4, 40, 60), np.uint8)
BOXES = np.zeros((4, 2, 4))
BOXES[0] = (10, 5, 30, 15), (0, 0, 60, 40)
BOXES[2, 1] = (5, 5, 8, 8.5)
CLASSES = np.array([[3, 11], [-1, -1], [-1, 3], [-1, -1]])


def save(folder: Path, **arrays: Any) -> Path:
    path = folder / "boxes.npz"
    np.savez(path, **arrays)
    return path


def read(path: Path, common: Common, **options: Any) -> Dataset:
    keys = {"value_range": (0.0, 255.0), "min_visible": 0.3, **common, "validation": 0.0, "test": 0.0, **options}
    return read_object_npz(path=path, **keys)


def error(path: Path, common: Common, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, common, **options)
    return str(error.value).replace(f"{path}: ", "").splitlines()


@pytest.mark.parametrize("names", [None, np.array([["cat", "dog"], ["", ""], ["", "cat"], ["", ""]])])
def test_boxes_of_arrays(tmp_path: Path, common: Common, names: np.ndarray | None) -> None:
    classes = CLASSES if names is None else names
    dataset = read(save(tmp_path, x_train=X, boxes_train=BOXES, box_class_train=classes, notes=X), common)
    assert dataset.classes == (("3", "11") if names is None else ("cat", "dog"))
    assert not dataset.has_classes
    objects = objects_of(dataset.splits["train"])
    assert objects is not None
    assert objects.corners.tolist() == [[10, 5, 30, 15], [0, 0, 60, 40], [5, 5, 8, 8.5]]
    assert objects.labels.tolist() == [0, 1, 0]
    assert objects.offsets.tolist() == [0, 2, 2, 3, 3]
    assert objects.areas.tolist() == [200, 2400, 10.5]
    assert objects.frames == (Frame(60, 40),) * 4
    assert (objects.slots, objects.min_visible) == (2, 0.3)
    assert [item.name for item in dataset.left_out] == ["notes"]


def test_splits_of_arrays_and_a_trained_models_classes(tmp_path: Path, common: Common) -> None:
    path = save(
        tmp_path,
        x_train=X,
        boxes_train=BOXES,
        box_class_train=CLASSES,
        x_test=X[:1] + 1,
        boxes_test=BOXES[2:3, 1:],
        box_class_test=CLASSES[2:3, 1:],
    )
    dataset = read(path, common, test=None)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 4, "test": 1}
    assert list(map(str, dataset.warnings)) == ["test has no object of class '11'."]
    alone = save(tmp_path, x_test=X, boxes_test=BOXES, box_class_test=CLASSES)
    trained = read(alone, common, classes=("11", "5", "3"))
    assert trained.splits["train"].names[0] == "test/0"
    objects = objects_of(trained.splits["train"])
    assert objects is not None
    assert objects.labels.tolist() == [2, 0, 2]


def test_bad_boxes_are_named(tmp_path: Path, common: Common) -> None:
    boxes = BOXES.copy()
    boxes[0, 1] = (70, 0, 90, 10)
    boxes[2, 1, 2] = np.nan
    assert error(save(tmp_path, x_train=X, boxes_train=boxes, box_class_train=CLASSES), common)[:2] == [
        "boxes_train: row 0, box 1: its box is outside of the image of 60x40: xmin is 70",
        "boxes_train: row 2, box 1: its box must be in pixels of the image: xmax is nan",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"boxes_train": BOXES[:, 0]}, "boxes_train must be numbers [n, k, 4]: xmin, ymin, xmax, ymax."),
        ({"boxes_train": BOXES.astype(str)}, "boxes_train must be numbers [n, k, 4]"),
        ({"box_class_train": CLASSES[:, :1]}, "box_class_train must be whole numbers or strings [4, 2], one for each"),
        ({"box_class_train": CLASSES == 3}, "box_class_train must be whole numbers or strings [4, 2]"),
        ({"box_class_train": CLASSES + 0.5}, "box_class_train must be whole numbers or strings. Received 3.5."),
        ({"box_class_train": CLASSES * 0 - 1}, "there must be at least one class."),
        ({"x_train": X[:3]}, "must have one entry for each sample."),
        ({"boxes_train": BOXES / 60}, "train: boxes must be in pixels of their images."),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, common: Common, changes: dict[str, Any], expected: str) -> None:
    arrays = {"x_train": X, "boxes_train": BOXES, "box_class_train": CLASSES, **changes}
    assert expected in error(save(tmp_path, **arrays), common)[0]
