"""Affine warps of batches of images, and of their boxes.

A map takes a pixel of the result to the position in the source where its value is sampled, in coordinates (x, y) of
pixel centers: x counts columns, y rows, and the first center is (0, 0). It is given by its two upper rows
``[a, b, c, d, e, f]``: ``(x, y) -> (a x + b y + c, d x + e y + f)``.

The warp is plain TensorFlow, compiled by XLA into one loop over the pixels. On a CPU it is as fast as OpenCV's
warpAffine and four times faster than TensorFlow's ImageProjectiveTransformV3 (benchmarks/augmentation.py), it needs no
further package, every fill mode is one line of index arithmetic, and a GPU runs the same code.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

FillMode = Literal["nearest", "constant", "reflect", "wrap"]
Maps = NDArray[np.float64]  # [n, 3, 3]
Side = int | NDArray[np.int64]  # height or width of all images, or of each
Tensor = Any


# Maps -----------------------------------------------------------------------------------------------------------------


def identity(num: int) -> Maps:
    """Identity maps."""
    return np.tile(np.eye(3), (num, 1, 1))


def linear(a: Any, b: Any, c: Any, d: Any, *, num: int) -> Maps:
    """Maps ``(x, y) -> (a x + b y, c x + d y)``; each argument is a number or ``[n]``."""
    maps = identity(num)
    maps[:, 0, 0], maps[:, 0, 1], maps[:, 1, 0], maps[:, 1, 1] = a, b, c, d
    return maps


def shift(x: Any, y: Any, *, num: int) -> Maps:
    """Maps that sample ``x`` columns further right and ``y`` rows further down: the image moves left and up."""
    maps = identity(num)
    maps[:, 0, 2], maps[:, 1, 2] = x, y
    return maps


def about_center(maps: Maps, *, height: Side, width: Side) -> Maps:
    """The same maps about the image's center instead of the origin."""
    num = np.size(height)
    to_center = shift((width - 1) / 2, (height - 1) / 2, num=num)
    back = shift(-(width - 1) / 2, -(height - 1) / 2, num=num)
    moved: Maps = to_center @ maps @ back
    return moved


# Images -------------------------------------------------------------------------------------------------------------


def warp(pixels: Tensor, maps: Tensor, *, fill_mode: FillMode, cval: float) -> Tensor:
    """Traced, for XLA: images warped by their maps, with bilinear interpolation.

    Args:
        pixels: uint8 or float32 ``[b, height, width, channels]``.
        maps: float32 ``[b, 6]``.
        fill_mode: the values outside of the image: ``nearest`` aaa|abcd|ddd, ``constant`` kkk|abcd|kkk with
            k = ``cval``, ``reflect`` cba|abcd|dcb, ``wrap`` bcd|abcd|abc.

    Returns:
        float32 of the same shape.
    """
    height, width = sides(pixels)
    num, channels = tf.shape(pixels)[0], pixels.shape[-1]
    flat = tf.reshape(pixels, [num, height * width, channels])

    def value(row: Tensor, column: Tensor) -> Tensor:
        index = _inside(row, height, fill_mode) * width + _inside(column, width, fill_mode)
        gathered = tf.gather(flat, tf.reshape(index, [num, height * width]), batch_dims=1)
        values = tf.reshape(tf.cast(gathered, tf.float32), [num, height, width, channels])
        if fill_mode != "constant":
            return values
        is_inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return tf.where(is_inside[..., None], values, cval)

    return interpolate(value, *_places(maps, height, width))


def interpolate(value: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Traced: values between pixels, by bilinear interpolation, ``[b, height, width, channels]``.

    Args:
        value: of pixels, from their rows and columns, int32 ``[b, height, width]``.
        x, y: the places, float32 ``[b, height, width]``.
    """
    left, top = tf.floor(x), tf.floor(y)
    right_part, lower_part = (x - left)[..., None], (y - top)[..., None]  # [b, height, width, 1] in [0, 1)
    columns = [tf.cast(left, tf.int32), tf.cast(left, tf.int32) + 1]
    rows = [tf.cast(top, tf.int32), tf.cast(top, tf.int32) + 1]
    upper = value(rows[0], columns[0]) * (1 - right_part) + value(rows[0], columns[1]) * right_part
    lower = value(rows[1], columns[0]) * (1 - right_part) + value(rows[1], columns[1]) * right_part
    return upper * (1 - lower_part) + lower * lower_part


def warp_nearest(values: Tensor, maps: Tensor, *, outside: int) -> Tensor:
    """Traced, for XLA: maps of classes warped like images, without interpolation.

    Args:
        values: uint8 ``[b, height, width]``.
        maps: float32 ``[b, 6]``.
        outside: the value of pixels whose place is outside of the image, by whatever mode images are filled.

    Returns:
        uint8 ``[b, height, width]``: the value of the pixel in which each place lies.
    """
    height, width = values.shape[1:]
    num = tf.shape(values)[0]
    x, y = _places(maps, height, width)
    column, row = tf.floor(x + 0.5), tf.floor(y + 0.5)
    is_inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    row, column = (tf.cast(tf.where(is_inside, place, 0.0), tf.int32) for place in (row, column))
    index = row * width + column
    flat = tf.reshape(values, [num, height * width])
    gathered = tf.gather(flat, tf.reshape(index, [num, height * width]), batch_dims=1)
    found = tf.reshape(gathered, [num, height, width])
    return tf.where(is_inside, found, tf.constant(outside, found.dtype))


def sides(images: Tensor) -> tuple[Any, Any]:
    """Height and width of images ``[b, height, width, ...]``: numbers, or tensors where they differ between batches."""
    dynamic = tf.shape(images)
    height, width = (dynamic[i] if images.shape[i] is None else images.shape[i] for i in (1, 2))
    return height, width


def _places(maps: Tensor, height: Any, width: Any) -> tuple[Tensor, Tensor]:
    """Where each pixel's value is sampled: x and y, ``[b, height, width]``."""
    column = tf.cast(tf.range(width), tf.float32)[None, None, :]
    row = tf.cast(tf.range(height), tf.float32)[None, :, None]
    a, b, c, d, e, f = (maps[:, i][:, None, None] for i in range(6))
    return a * column + b * row + c, d * column + e * row + f


def _inside(index: Tensor, size: Any, fill_mode: FillMode) -> Tensor:
    """The row or column inside of the image that replaces each one outside."""
    match fill_mode:
        case "nearest" | "constant":
            return tf.clip_by_value(index, 0, size - 1)
        case "wrap":
            return tf.math.floormod(index, size)
        case "reflect":
            folded = tf.math.floormod(index, 2 * size)
            return tf.minimum(folded, 2 * size - 1 - folded)


# Boxes ----------------------------------------------------------------------------------------------------------------


def move_boxes(boxes: NDArray[Any], maps: Maps, *, height: int, width: int) -> tuple[NDArray[np.float32], Any]:
    """The boxes of warped images: the bounding boxes of the warped corners, clipped to the image.

    Args:
        boxes: ``[n, 4]`` rel_xyxy in [0, 1], one for each map.

    Returns:
        The boxes, float32 ``[n, 4]``, and for each whether a part of it is still in the image, bool ``[n]``.
    """
    moved = bounds_of_moved(boxes, maps, height=height, width=width).clip(0, 1)
    kept = (moved[:, 2] > moved[:, 0]) & (moved[:, 3] > moved[:, 1])
    return moved.astype(np.float32), kept


def bounds_of_moved(boxes: NDArray[Any], maps: Maps, *, height: int, width: int) -> NDArray[np.float64]:
    """The same before they are clipped: float64 ``[n, 4]``, also outside [0, 1]."""
    left, top, right, bottom = np.asarray(boxes, np.float64).T
    # edges, not centers: the image's left edge is half a pixel left of the first pixel's center
    x = np.stack([left, right, right, left], axis=1) * width - 0.5  # [n, 4 corners]
    y = np.stack([top, top, bottom, bottom], axis=1) * height - 0.5
    corners = np.linalg.inv(maps) @ np.stack([x, y, np.ones_like(x)], axis=1)  # [n, 3, 4]
    x, y = (corners[:, 0] + 0.5) / width, (corners[:, 1] + 0.5) / height
    return np.stack([x.min(axis=1), y.min(axis=1), x.max(axis=1), y.max(axis=1)], axis=1)
