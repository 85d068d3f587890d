from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.boxes.boxes import Frame
from dlcli.data.boxes.sources.npz import read_box_npz
from dlcli.data.images.samples import Dataset
from dlcli.errors import InputError

Common = dict[str, Any]
X = np.random.default_rng(0).integers(0, 256, (20, 40, 60), np.uint8)
Y = np.arange(20) % 2
BOX = np.tile([10.0, 5, 30, 15], (20, 1)) + np.arange(20)[:, None]
NONE = [np.nan] * 4


def save(folder: Path, **arrays: Any) -> Path:
    path = folder / "boxes.npz"
    np.savez(path, **arrays)
    return path


def read(path: Path, common: Common, **options: Any) -> Dataset:
    known = {"value_range": (0.0, 255.0), **options}
    extra = {key: known.pop(key) for key in list(known) if key in common}
    return read_box_npz(path=path, **known, **{**common, "validation": 0.0, "test": 0.0, **extra})


def error(path: Path, common: Common, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, common, **options)
    return str(error.value).replace(f"{path}: ", "").splitlines()


def test_boxes_of_arrays(tmp_path: Path, common: Common) -> None:
    box = BOX.copy()
    box[3] = NONE
    box[4] = (-1, 0, 60.5, 40)
    dataset = read(save(tmp_path, x_train=X, y_train=Y, box_train=box, notes=Y), common)
    samples = dataset.splits["train"]
    assert dataset.shape == (40, 60, 1)
    assert dataset.classes == ("0", "1")
    assert samples.boxes is not None
    assert samples.boxes.frames == (Frame(60, 40),) * 20
    box[4] = (0, 0, 60, 40)
    assert np.array_equal(samples.boxes.corners, box, equal_nan=True)
    assert [(item.name, item.reason) for item in dataset.left_out] == [
        (
            "notes",
            "not one of x_train, y_train, box_train, x_val, y_val, box_val, x_test, y_test, box_test",
        )
    ]
    resized = read(save(tmp_path, x_train=X, y_train=Y, box_train=box), common, image_size=(20, 20), resize="pad")
    relative = resized.splits["train"].relative_boxes()
    assert relative is not None
    assert np.allclose(relative[4], (0, 3 / 20, 1, 16 / 20), atol=1e-6)  # 13 of 20 lines are the image
    assert np.isnan(relative[3]).all()


def test_boxes_follow_their_images_into_splits(tmp_path: Path, common: Common) -> None:
    path = save(tmp_path, x_train=X, y_train=Y, box_train=BOX.astype(np.int16))
    dataset = read(path, common, validation=0.2, test=0.2)
    assert len(dataset.splits) == 3
    for samples in dataset.splits.values():
        numbers = [int(name.removeprefix("train/")) for name in samples.names]
        assert samples.boxes is not None
        assert np.array_equal(samples.boxes.corners, BOX[numbers])
        assert np.array_equal(samples.load(np.arange(len(samples))), X[numbers, ..., None])


def test_given_splits_of_arrays_are_used(tmp_path: Path, common: Common) -> None:
    path = save(
        tmp_path,
        **{f"{axis}_train": values[:10] for axis, values in (("x", X), ("y", Y), ("box", BOX))},
        **{f"{axis}_test": values[10:] for axis, values in (("x", X), ("y", Y), ("box", BOX))},
    )
    dataset = read(path, common, test=None)
    boxes = dataset.splits["test"].boxes
    assert boxes is not None
    assert np.array_equal(boxes.corners, BOX[10:])


def test_one_class_is_enough(tmp_path: Path, common: Common) -> None:
    assert read(save(tmp_path, x_train=X, y_train=["cat"] * 20, box_train=BOX), common).classes == ("cat",)


def test_classes_of_a_trained_model(tmp_path: Path, common: Common) -> None:
    path = save(tmp_path, x_test=X / 255, y_test=Y, box_test=BOX)
    dataset = read(path, common, classes=("1", "0"), value_range=(0.0, 1.0))
    assert dataset.splits["train"].labels.tolist() == [1, 0] * 10
    assert error(path, common, value_range=(0.0, 1.0)) == [
        "there must be arrays x_train, y_train and box_train. Received 'x_test', 'y_test', 'box_test'."
    ]
    path = save(tmp_path, x_test=X, y_test=Y, box_test=BOX)
    assert error(path, common, classes=("1", "0"), value_range=(0.0, 1.0)) == [
        "x_test must lie within [0, 1]. Received values from 0 to 255: rescale the array to that range."
    ]


def with_rows(**rows: Any) -> np.ndarray:
    box = BOX.copy()
    for number, row in rows.items():
        box[int(number[1:])] = row
    return box


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"box_train": None}, ["there must be arrays x_train, y_train and box_train. Received 'x_train', 'y_train'."]),
        (
            {"box_train": BOX[:19]},
            [
                "x_train, y_train and box_train must have one entry for each sample. "
                "Received shapes (20, 40, 60), (20,) and (19, 4)."
            ],
        ),
        (
            {"box_train": BOX[:, :3]},
            [
                "box_train must be numbers [n, 4]: xmin, ymin, xmax, ymax. Received float64 of shape (20, 3).",
            ],
        ),
        (
            {"box_train": np.full((20, 4), "a")},
            ["box_train must be numbers [n, 4]: xmin, ymin, xmax, ymax. Received <U1 of shape (20, 4)."],
        ),
        (
            {
                "box_train": with_rows(
                    n2=(30, 5, 10, 15), n3=NONE, n4=(5, 5, np.nan, 9), n5=(0, 0, np.inf, 9), n6=(0, 0, 61.5, 9)
                )
            },
            [
                "box_train: row 2 (0): its corners are swapped: xmin 30 is greater than xmax 10",
                "box_train: row 4 (0): its box must be in pixels of the image: xmax is nan",
                "box_train: row 5 (1): its box must be in pixels of the image: xmax is inf",
                "box_train: row 6 (0): its box is outside of the image of 60x40: xmax is 61.5",
                "Correct these boxes: xmin, ymin, xmax, ymax in pixels of the arrays, or NaN for no box.",
            ],
        ),
        (
            {"box_train": np.zeros((20, 4))},
            [
                *(f"box_train: row {i} ({i % 2}): its box is empty: it has no area in the image" for i in range(10)),
                "… and 10 more",
                "Correct these boxes: xmin, ymin, xmax, ymax in pixels of the arrays, or NaN for no box.",
            ],
        ),
        (
            {"x_train": X[:0], "y_train": Y[:0], "box_train": BOX[:0]},
            ["there must be at least one class."],
        ),
    ],
)
def test_errors_of_arrays(tmp_path: Path, common: Common, arrays: dict[str, Any], expected: list[str]) -> None:
    given = {"x_train": X, "y_train": Y, "box_train": BOX, **arrays}
    path = save(tmp_path, **{key: value for key, value in given.items() if value is not None})
    assert error(path, common) == expected
