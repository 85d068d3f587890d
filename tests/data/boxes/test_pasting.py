"""Masks pasted into their boxes: hand-computed pixels, a plain loop, encodings, boxes beyond the image."""

import numpy as np
import pytest

from dlcli.data.boxes.pasting import Patch, paste
from dlcli.data.boxes.polygons import decode_runs, encode_runs, fill_runs
from dlcli.evaluation.detection.masks import packed


def whole(patch: Patch) -> np.ndarray:
    """The pixels in the image [height, width]."""
    image = np.zeros((patch.height, patch.width), bool)
    rows, columns = patch.inside.shape
    image[patch.top : patch.top + rows, patch.left : patch.left + columns] = patch.inside
    return image


def plain(probabilities: np.ndarray, corners: tuple[float, ...], height: int, width: int) -> np.ndarray:
    """The same pixel by pixel."""
    x1, y1, x2, y2 = corners
    rows, columns = probabilities.shape
    result = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            if x1 <= x + 0.5 < x2 and y1 <= y + 0.5 < y2:
                u = min(max((x + 0.5 - x1) / (x2 - x1) * columns - 0.5, 0), columns - 1)
                v = min(max((y + 0.5 - y1) / (y2 - y1) * rows - 0.5, 0), rows - 1)
                i, j = min(int(v), rows - 2), min(int(u), columns - 2)
                part = probabilities[i : i + 2, j : j + 2].astype(float)
                value = np.array([1 - (v - i), v - i]) @ part @ np.array([1 - (u - j), u - j])
                result[y, x] = value >= 0.5
    return result


def test_a_mask_of_four_pixels_by_hand() -> None:
    mask = np.array([[1, 0], [1, 1]], np.float32)
    patch = paste(mask, (2, 1, 6, 5), height=6, width=8)
    # between two centers the value changes linearly, beyond them it does not; the third pixel of the upper row is 0.25
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert (patch.left, patch.top) == (2, 1)
    np.testing.assert_array_equal(patch.inside.astype(int), expected)
    assert patch.area == 12
    assert whole(patch).shape == (6, 8)
    assert whole(patch).sum() == 12


@pytest.mark.parametrize("seed", range(8))
def test_random_boxes_against_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((5, 7), np.float32)
    for _ in range(10):
        x1, y1 = rng.uniform(-8, 20, 2)
        corners = (x1, y1, x1 + rng.uniform(0.1, 25), y1 + rng.uniform(0.1, 25))
        patch = paste(mask, corners, height=17, width=23)
        np.testing.assert_array_equal(whole(patch), plain(mask, corners, 17, 23))
        text = encode_runs(patch.runs)
        np.testing.assert_array_equal(fill_runs(decode_runs(text), 17, 23), whole(patch))
        np.testing.assert_array_equal(patch.packed, packed(whole(patch)[None])[0])


@pytest.mark.parametrize("corners", [(3.0, 3.0, 3.0, 9.0), (-9.0, 0.0, -2.0, 5.0), (8.0, 6.0, 30.0, 31.0)])
def test_a_box_without_a_pixel_has_no_mask(corners: tuple[float, float, float, float]) -> None:
    patch = paste(np.ones((28, 28), np.float32), corners, height=6, width=8)
    assert patch.area == 0
    assert not patch.packed.any()
    assert patch.runs.tolist() == [48]


def test_runs_that_touch_both_ends_of_the_image() -> None:
    full = Patch(0, 0, np.ones((3, 2), bool), 3, 2)
    assert full.runs.tolist() == [0, 6]
    corner = Patch(1, 2, np.ones((1, 1), bool), 3, 2)
    assert corner.runs.tolist() == [5, 1]
    joined = Patch(0, 0, np.array([[0, 1], [1, 1]], bool), 2, 3)  # a run goes on in the next column
    assert joined.runs.tolist() == [1, 3, 2]
