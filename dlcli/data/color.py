"""Changing the colours of a batch of pictures: traced, float32 ``[b, height, width, channels]`` in [0, 255]."""

from typing import Any

import tensorflow as tf

Tensor = Any

GREY_WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue in ITU-R BT.601, as Pillow has them


def shift_channels(pictures: Tensor, shift: Tensor) -> Tensor:
    """Adds ``shift`` ``[b]`` to all channels; values stay between each picture's own smallest and largest."""
    low = tf.reduce_min(pictures, axis=[1, 2, 3], keepdims=True)
    high = tf.reduce_max(pictures, axis=[1, 2, 3], keepdims=True)
    return tf.clip_by_value(pictures + _each(shift), low, high)


def adjust_brightness(pictures: Tensor, factor: Tensor) -> Tensor:
    """Multiplies by ``factor`` ``[b]``: 0 is black, 1 changes nothing."""
    return tf.clip_by_value(pictures * _each(factor), 0.0, 255.0)


def adjust_contrast(pictures: Tensor, factor: Tensor) -> Tensor:
    """Moves values from the picture's mean grey by ``factor`` ``[b]``: 0 is all grey, 1 changes nothing."""
    mean = tf.reduce_mean(to_grey(pictures), axis=[1, 2, 3], keepdims=True)
    return _blend(mean, pictures, factor)


def adjust_saturation(pictures: Tensor, factor: Tensor) -> Tensor:
    """Moves colours from their grey by ``factor`` ``[b]``: 0 is black and white, 1 changes nothing."""
    return _blend(to_grey(pictures), pictures, factor)


def adjust_hue(pictures: Tensor, turn: Tensor) -> Tensor:
    """Turns the hue of ``[b, height, width, 3]`` by ``turn`` ``[b]`` of the colour circle, in [-0.5, 0.5]."""
    hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(pictures / 255.0), axis=-1)
    turned = tf.math.floormod(hue + turn[:, None, None], 1.0)
    return tf.image.hsv_to_rgb(tf.stack([turned, saturation, value], axis=-1)) * 255.0


def to_grey(pictures: Tensor) -> Tensor:
    """``[b, height, width, 1]``."""
    if pictures.shape[-1] == 1:
        return pictures
    return tf.reduce_sum(pictures * tf.constant(GREY_WEIGHTS), axis=-1, keepdims=True)


def erase(pictures: Tensor, boxes: Tensor, value: float) -> Tensor:
    """Sets what lies inside of each picture's box ``[b, 4]`` to ``value``."""
    height, width = pictures.shape[1:3]
    return tf.where(is_in_box(boxes, height, width), value, pictures)


def is_in_box(boxes: Tensor, height: int, width: int) -> Tensor:
    """Which pixels ``[b, height, width, 1]`` lie in boxes ``[b, 4]``: left, top, right, bottom in pixels."""
    column = tf.range(width, dtype=tf.float32)[None, None, :]
    row = tf.range(height, dtype=tf.float32)[None, :, None]
    left, top, right, bottom = (boxes[:, i][:, None, None] for i in range(4))
    return ((column >= left) & (column < right) & (row >= top) & (row < bottom))[..., None]


def _blend(from_: Tensor, to: Tensor, factor: Tensor) -> Tensor:
    return tf.clip_by_value(from_ + (to - from_) * _each(factor), 0.0, 255.0)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]
