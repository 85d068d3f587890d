"""Boxes follow the pixels of their image."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcli.data.augmentation.affine import about_center, identity, linear, move_boxes, shift, warp


def moved(box: list[float], maps: np.ndarray, height: int = 40, width: int = 60) -> tuple[np.ndarray, bool]:
    boxes, kept = move_boxes(np.array([box]), maps, height=height, width=width)
    return boxes[0], bool(kept[0])


def test_the_identity_changes_nothing() -> None:
    box, kept = moved([0.1, 0.2, 0.5, 0.9], identity(1))
    np.testing.assert_allclose(box, [0.1, 0.2, 0.5, 0.9], atol=1e-6)
    assert kept


def test_a_flip_mirrors_a_box() -> None:
    flip = about_center(linear(-1, 0, 0, 1, num=1), height=40, width=60)
    np.testing.assert_allclose(moved([0.1, 0.2, 0.5, 0.9], flip)[0], [0.5, 0.2, 0.9, 0.9], atol=1e-6)


def test_a_box_is_clipped_and_dropped_outside_of_the_image() -> None:
    left = shift(15, 0, num=1)  # a quarter of the width
    box, kept = moved([0.1, 0.2, 0.5, 0.9], left)
    np.testing.assert_allclose(box, [0.0, 0.2, 0.25, 0.9], atol=1e-6)
    assert kept
    assert not moved([0.1, 0.2, 0.2, 0.9], left)[1]


def test_a_rotated_box_contains_its_corners() -> None:
    quarter = about_center(linear(0, -1, 1, 0, num=1), height=60, width=60)
    box, _ = moved([0.1, 0.2, 0.5, 0.6], quarter, 60, 60)
    np.testing.assert_allclose(sorted(box), sorted([0.2, 0.5, 0.6, 0.9]), atol=1e-6)


@settings(max_examples=settings().max_examples * 40 // 100, deadline=None)
@given(
    angle=st.floats(-180, 180),
    zoom=st.floats(0.5, 2),
    x=st.integers(4, 50),
    y=st.integers(4, 30),
)
def test_pixels_in_a_box_stay_in_the_warped_box(angle: float, zoom: float, x: int, y: int) -> None:
    height, width = 40, 60
    pixels = np.zeros((1, height, width, 1), np.float32)
    pixels[0, y : y + 6, x : x + 6] = 255.0
    a = np.deg2rad(angle)
    turn = linear(np.cos(a), -np.sin(a), np.sin(a), np.cos(a), num=1) @ linear(zoom, 0, 0, zoom, num=1)
    maps = about_center(turn, height=height, width=width)
    made = warp(tf.constant(pixels), tf.constant(maps[:, :2].reshape(1, 6), tf.float32), fill_mode="constant", cval=0.0)
    box, kept = moved([x / width, y / height, (x + 6) / width, (y + 6) / height], maps)
    bright = np.argwhere(np.asarray(made)[0, ..., 0] > 130)
    if len(bright):
        assert kept
        low, high = bright.min(axis=0), bright.max(axis=0)
        assert box[0] * width - 1 <= low[1]
        assert high[1] <= box[2] * width
        assert box[1] * height - 1 <= low[0]
        assert high[0] <= box[3] * height
