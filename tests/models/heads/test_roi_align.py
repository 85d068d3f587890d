"""RoIAlign: both forms against a NumPy loop and each other, their gradients, levels, and saving."""

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.models.heads.anchors import axes_of, sides_of
from dlcli.models.heads.roi_align import RoiAlign, box_levels, roi_align

RNG = np.random.default_rng(0)
SIZE = (22, 32)  # the height is no multiple of most strides
PYRAMID = {level: RNG.normal(size=(2, *sides_of(SIZE, level), 5)).astype(np.float32) for level in (1, 2, 3, 4, 5)}
NUM_BOXES = 9
CORNERS = RNG.uniform(0, 1, (2, NUM_BOXES, 2, 2)).astype(np.float32)
BOXES = np.concatenate([CORNERS.min(axis=2), CORNERS.max(axis=2)], axis=-1)
BOXES[0, 0] = (0, 0, 1, 1)  # the image, an empty box, and one narrower than a cell
BOXES[0, 1] = (0.5, 0.5, 0.5, 0.5)
BOXES[0, 2] = (0.0, 0.1, 0.01, 0.9)
LEVELS = RNG.integers(1, 5, (2, NUM_BOXES)).astype(np.int32)
LEVELS[1, 0] = 5


def by_loop(pyramid: dict[int, np.ndarray], boxes: np.ndarray, levels: np.ndarray, bins: int) -> np.ndarray:
    result = np.zeros((*boxes.shape[:2], bins, bins, 5))
    for image, box, i, j in np.ndindex(result.shape[:4]):
        level = levels[image, box]
        values = pyramid[level][image].astype(np.float64)
        height, width = values.shape[:2]
        rows, columns = axes_of(SIZE, level)
        left, top, right, bottom = boxes[image, box].astype(np.float64)
        for a in (0.25, 0.75):
            for b in (0.25, 0.75):
                y = ((top + (bottom - top) * (i + a) / bins) * SIZE[0] - rows[0]) / 2**level
                x = ((left + (right - left) * (j + b) / bins) * SIZE[1] - columns[0]) / 2**level
                y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                y0, x0 = math.floor(y), math.floor(x)
                y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
                upper = values[y0, x0] * (1 - (x - x0)) + values[y0, x1] * (x - x0)
                lower = values[y1, x0] * (1 - (x - x0)) + values[y1, x1] * (x - x0)
                result[image, box, i, j] += (upper * (1 - (y - y0)) + lower * (y - y0)) / 4
    return result


@pytest.mark.parametrize("bins", [1, 3, 7])
def test_both_forms_equal_a_loop(bins: int) -> None:
    expected = by_loop(PYRAMID, BOXES, LEVELS, bins)
    np.testing.assert_allclose(roi_align(PYRAMID, BOXES, LEVELS, size=SIZE, bins=bins), expected, atol=1e-5)
    np.testing.assert_allclose(RoiAlign(size=SIZE, bins=bins)(PYRAMID, BOXES, LEVELS), expected, atol=1e-5)


def test_one_map() -> None:
    one, levels = {2: PYRAMID[2]}, np.full_like(LEVELS, 2)
    expected = by_loop(one, BOXES, levels, 4)
    np.testing.assert_allclose(roi_align(one, BOXES, levels, size=SIZE, bins=4), expected, atol=1e-5)
    np.testing.assert_allclose(RoiAlign(size=SIZE, bins=4)(one, BOXES, levels), expected, atol=1e-5)


def test_both_forms_have_the_same_gradient() -> None:
    pyramid = {level: tf.constant(maps) for level, maps in PYRAMID.items()}
    upstream = RNG.normal(size=(2, NUM_BOXES, 3, 3, 5)).astype(np.float32)
    layer = RoiAlign(size=SIZE, bins=3)

    def gradients(function: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(pyramid)
            total = tf.reduce_sum(function() * upstream)
        return tape.gradient(total, pyramid)

    of_products = gradients(lambda: roi_align(pyramid, BOXES, LEVELS, size=SIZE, bins=3))
    of_crops = gradients(lambda: layer(pyramid, BOXES, LEVELS))
    for level in PYRAMID:
        assert np.abs(of_products[level]).max() > 0
        np.testing.assert_allclose(of_products[level], of_crops[level], atol=1e-5)


def test_half_precision_keeps_the_type_of_the_maps() -> None:
    pyramid = {level: tf.cast(maps, tf.bfloat16) for level, maps in PYRAMID.items()}
    rounded = {level: maps.numpy().astype(np.float32) for level, maps in pyramid.items()}
    expected = by_loop(rounded, BOXES, LEVELS, 3)
    for features in (
        roi_align(pyramid, BOXES, LEVELS, size=SIZE, bins=3),
        RoiAlign(size=SIZE, bins=3, dtype="bfloat16")(pyramid, BOXES, LEVELS),
    ):
        assert features.dtype == tf.bfloat16
        np.testing.assert_allclose(tf.cast(features, tf.float32), expected, atol=0.1)


def test_form_for_saved_models_loads_safely(tmp_path: Path) -> None:
    pyramid = {level: keras.Input(maps.shape[1:]) for level, maps in PYRAMID.items()}
    boxes, levels = keras.Input((NUM_BOXES, 4)), keras.Input((NUM_BOXES,), dtype="int32")
    features = roi_align(pyramid, boxes, levels, size=SIZE, bins=3)
    model = keras.Model([*pyramid.values(), boxes, levels], features)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    expected = by_loop(PYRAMID, BOXES, LEVELS, 3)
    np.testing.assert_allclose(loaded([*PYRAMID.values(), BOXES, LEVELS]), expected, atol=1e-5)


def test_levels_of_the_paper() -> None:
    """At the paper's size of images, a box of 224 pixels belongs to the level of stride 16."""
    sides = np.array([1, 40, 111, 113, 223, 225, 447, 449, 800], np.float32)
    boxes = np.stack([np.zeros(9), np.zeros(9), sides / 1200, sides / 800], axis=-1).astype(np.float32)
    levels = box_levels(boxes, size=(800, 1200), levels=(2, 3, 4, 5))
    assert np.asarray(levels).tolist() == [2, 2, 2, 3, 3, 4, 4, 5, 5]
    half = box_levels(boxes, size=(400, 600), levels=(3, 4, 5))
    assert np.asarray(half).tolist() == [3, 3, 3, 3, 3, 4, 4, 5, 5]
