"""RoIAlign: both forms against a NumPy loop and each other, their gradients, levels, and saving."""

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.models.heads.roi_align import RoiAlign, box_levels, roi_align

RNG = np.random.default_rng(0)
SIZES = ((12, 16), (6, 8), (3, 4), (1, 1))
MAPS = [RNG.normal(size=(2, *size, 5)).astype(np.float32) for size in SIZES]
NUM_BOXES = 9
CORNERS = RNG.uniform(0, 1, (2, NUM_BOXES, 2, 2)).astype(np.float32)
BOXES = np.concatenate([CORNERS.min(axis=2), CORNERS.max(axis=2)], axis=-1)
BOXES[0, 0] = (0, 0, 1, 1)  # the image, an empty box, and one narrower than a cell
BOXES[0, 1] = (0.5, 0.5, 0.5, 0.5)
BOXES[0, 2] = (0.0, 0.1, 0.01, 0.9)
LEVELS = RNG.integers(0, 3, (2, NUM_BOXES)).astype(np.int32)
LEVELS[1, 0] = 3


def by_loop(maps: list[np.ndarray], boxes: np.ndarray, levels: np.ndarray, size: int) -> np.ndarray:
    result = np.zeros((*boxes.shape[:2], size, size, maps[0].shape[-1]))
    for image, box, i, j in np.ndindex(result.shape[:4]):
        values = maps[levels[image, box]][image].astype(np.float64)
        height, width = values.shape[:2]
        left, top, right, bottom = boxes[image, box].astype(np.float64)
        for a in (0.25, 0.75):
            for b in (0.25, 0.75):
                y = (top + (bottom - top) * (i + a) / size) * height - 0.5
                x = (left + (right - left) * (j + b) / size) * width - 0.5
                y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                y0, x0 = math.floor(y), math.floor(x)
                y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
                upper = values[y0, x0] * (1 - (x - x0)) + values[y0, x1] * (x - x0)
                lower = values[y1, x0] * (1 - (x - x0)) + values[y1, x1] * (x - x0)
                result[image, box, i, j] += (upper * (1 - (y - y0)) + lower * (y - y0)) / 4
    return result


@pytest.mark.parametrize("size", [1, 3, 7])
def test_both_forms_equal_a_loop(size: int) -> None:
    expected = by_loop(MAPS, BOXES, LEVELS, size)
    np.testing.assert_allclose(roi_align(MAPS, BOXES, LEVELS, size=size), expected, atol=1e-5)
    np.testing.assert_allclose(RoiAlign(size=size)(MAPS, BOXES, LEVELS), expected, atol=1e-5)


def test_one_map() -> None:
    nowhere_else = np.zeros_like(LEVELS)
    expected = by_loop(MAPS[:1], BOXES, nowhere_else, 4)
    np.testing.assert_allclose(roi_align(MAPS[:1], BOXES, nowhere_else, size=4), expected, atol=1e-5)
    np.testing.assert_allclose(RoiAlign(size=4)(MAPS[:1], BOXES, nowhere_else), expected, atol=1e-5)


def test_both_forms_have_the_same_gradient() -> None:
    maps = [tf.constant(values) for values in MAPS]
    upstream = RNG.normal(size=(2, NUM_BOXES, 3, 3, 5)).astype(np.float32)
    layer = RoiAlign(size=3)

    def gradients(function: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(maps)
            total = tf.reduce_sum(function() * upstream)
        return tape.gradient(total, maps)

    of_products = gradients(lambda: roi_align(maps, BOXES, LEVELS, size=3))
    of_crops = gradients(lambda: layer(maps, BOXES, LEVELS))
    for one, other in zip(of_products, of_crops, strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_half_precision_keeps_the_type_of_the_maps() -> None:
    maps = [tf.cast(values, tf.bfloat16) for values in MAPS]
    expected = by_loop([values.numpy().astype(np.float32) for values in maps], BOXES, LEVELS, 3)
    for features in (roi_align(maps, BOXES, LEVELS, size=3), RoiAlign(size=3, dtype="bfloat16")(maps, BOXES, LEVELS)):
        assert features.dtype == tf.bfloat16
        np.testing.assert_allclose(tf.cast(features, tf.float32), expected, atol=0.05)


def test_form_for_saved_models_loads_safely(tmp_path: Path) -> None:
    inputs = [keras.Input(values.shape[1:]) for values in MAPS]
    boxes, levels = keras.Input((NUM_BOXES, 4)), keras.Input((NUM_BOXES,), dtype="int32")
    model = keras.Model([*inputs, boxes, levels], roi_align(inputs, boxes, levels, size=3))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(loaded([*MAPS, BOXES, LEVELS]), by_loop(MAPS, BOXES, LEVELS, 3), atol=1e-5)


def test_levels_of_the_paper() -> None:
    """At the paper's size of images, a box of 224 pixels belongs to the level of stride 16."""
    sides = np.array([1, 40, 111, 113, 223, 225, 447, 449, 800], np.float32)
    boxes = np.stack([np.zeros(9), np.zeros(9), sides / 1200, sides / 800], axis=-1).astype(np.float32)
    levels = box_levels(boxes, image_size=(800, 1200), strides=(4, 8, 16, 32))
    assert np.asarray(levels).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    smaller = box_levels(boxes, image_size=(400, 600), strides=(8, 16, 32))
    assert np.asarray(smaller).tolist() == [0, 0, 0, 0, 0, 1, 1, 2, 2]
