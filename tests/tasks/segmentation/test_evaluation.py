"""Evaluation at the size of the annotation: resized, cropped and padded images, and baselines."""

from pathlib import Path

import numpy as np
import pytest

from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.masks.coding import IGNORED
from dlcli.data.masks.masks import MaskArray
from dlcli.errors import InputError
from dlcli.tasks.segmentation.baseline import MaskBaseline
from dlcli.tasks.segmentation.evaluation import Scores, compare, mask_names
from dlcli.tasks.segmentation.inference import mask_in_image


def policy_of(size: tuple[int, int], resize: str = "stretch") -> ImagePolicy:
    values = {"image_size": list(size), "color_mode": "rgb", "resize": resize, "interpolation": "bilinear"}
    return ImagePolicy.from_dict({**values, "antialias": True})


def one_hot(mask: np.ndarray, num_classes: int) -> np.ndarray:
    return np.eye(num_classes, dtype=np.float32)[mask]


def test_a_mask_is_enlarged_to_its_image() -> None:
    small = np.array([[0, 1], [2, 1]], np.uint8)
    large = mask_in_image(one_hot(small, 3), 8, 12, policy_of((2, 2)))
    assert large.dtype == np.uint8
    np.testing.assert_array_equal(large[[0, 0, 7, 7], [0, 11, 0, 11]], [0, 1, 2, 1])
    same = mask_in_image(one_hot(small, 3), 2, 2, policy_of((2, 2)))
    np.testing.assert_array_equal(same, small)


def test_what_is_cropped_does_not_count() -> None:
    probabilities = one_hot(np.ones((4, 4), np.uint8), 2)
    predicted = mask_in_image(probabilities, 4, 8, policy_of((4, 4), "crop"))
    np.testing.assert_array_equal(predicted[:, 2:6], 1)
    assert (predicted[:, [0, 1, 6, 7]] == IGNORED).all()
    true = np.zeros((4, 8), np.uint8)
    true[:, 3:] = 1
    true[0, 0] = IGNORED
    (scored,) = compare([MaskArray("a", true)], [predicted], num_classes=2, baseline=None)
    np.testing.assert_array_equal(scored.matrix, [[0, 4], [0, 12]])
    assert scored.num_outside == 15


def test_matrices_of_the_model_and_of_both_baselines() -> None:
    true = np.array([[0, 1], [1, 2]], np.uint8)
    found = np.array([[0, 1], [2, 2]], np.uint8)
    grid = np.zeros((64, 64), np.uint8)
    grid[:, 32:] = 1
    baseline = MaskBaseline(grid, 1)
    scores = Scores(3)
    for _ in range(2):
        scores.images += compare([MaskArray("a", true)], [found], num_classes=3, baseline=baseline)
    np.testing.assert_array_equal(scores.matrix, 2 * np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1]]))
    matrices = scores.baseline_matrices(baseline.most_frequent)
    np.testing.assert_array_equal(matrices["position"], 2 * np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]]))
    np.testing.assert_array_equal(matrices["most_frequent"], 2 * np.array([[0, 1, 0], [0, 2, 0], [0, 1, 0]]))


def test_a_baseline_is_recorded_and_a_corrupt_one_is_refused() -> None:
    grid = np.arange(64 * 64, dtype=np.uint32).reshape(64, 64) % 5
    values = MaskBaseline(grid.astype(np.uint8), 3).to_dict()
    read = MaskBaseline.from_dict(values, num_classes=5, place=Path("run.json"))
    np.testing.assert_array_equal(read.grid, grid)
    assert read.most_frequent == 3
    for corrupt in ({**values, "grid": values["grid"][1:]}, {**values, "most_frequent": 5}, {**values, "grid": [1]}):
        with pytest.raises(InputError, match=r"^run\.json: is corrupt"):
            MaskBaseline.from_dict(corrupt, num_classes=5, place=Path("run.json"))
    with pytest.raises(InputError):
        MaskBaseline.from_dict(values, num_classes=4, place=Path("run.json"))


def test_masks_of_images_with_one_name_get_numbers() -> None:
    assert mask_names(["a/1.jpg", "b/1.png", "2.jpg", "c/1.png"]) == ["1.png", "1-2.png", "2.png", "1-3.png"]
