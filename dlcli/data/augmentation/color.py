"""Color transforms of batches of images: traced, float32 ``[b, height, width, channels]`` in [0, 255]."""

from typing import Any

import tensorflow as tf

from dlcli.data.augmentation.affine import sides

Tensor = Any

GRAY_WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue in ITU-R BT.601, as in Pillow


def shift_channels(images: Tensor, shift: Tensor) -> Tensor:
    """Adds ``shift`` ``[b]`` to all channels, clipped to each image's smallest and largest value."""
    low = tf.reduce_min(images, axis=[1, 2, 3], keepdims=True)
    high = tf.reduce_max(images, axis=[1, 2, 3], keepdims=True)
    return tf.clip_by_value(images + _each(shift), low, high)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiplies values by ``factor`` ``[b]``: 0 is black, 1 changes nothing."""
    return tf.clip_by_value(images * _each(factor), 0.0, 255.0)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Scales the distance from the image's mean gray by ``factor`` ``[b]``: 0 is plain gray, 1 changes nothing."""
    mean = tf.reduce_mean(to_gray(images), axis=[1, 2, 3], keepdims=True)
    return _blend(mean, images, factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Scales the distance of colors from their gray by ``factor`` ``[b]``: 0 is grayscale, 1 changes nothing."""
    return _blend(to_gray(images), images, factor)


def adjust_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Shifts the hue of ``[b, height, width, 3]`` by ``turn`` ``[b]`` of the color circle, in [-0.5, 0.5]."""
    red, green, blue = tf.unstack(images, axis=-1)
    high = tf.maximum(tf.maximum(red, green), blue)
    chroma = high - tf.minimum(tf.minimum(red, green), blue)
    # The highest channel is found by comparing channels, not by `red == high`: XLA may compute red a second time and
    # round it differently. If two are nearly equal, both branches give the same hue.
    hue = tf.where(
        (red >= green) & (red >= blue),
        tf.math.divide_no_nan(green - blue, chroma),
        tf.where(
            green >= blue,
            tf.math.divide_no_nan(blue - red, chroma) + 2.0,
            tf.math.divide_no_nan(red - green, chroma) + 4.0,
        ),
    )  # in sixths of the color circle
    turned = hue + 6.0 * turn[:, None, None]

    def channel(offset: float) -> Tensor:
        sixth = tf.math.floormod(turned + offset, 6.0)
        return high - chroma * tf.clip_by_value(tf.minimum(sixth, 4.0 - sixth), 0.0, 1.0)

    return tf.stack([channel(5.0), channel(3.0), channel(1.0)], axis=-1)


def to_gray(images: Tensor) -> Tensor:
    """Grayscale images ``[b, height, width, 1]``."""
    if images.shape[-1] == 1:
        return images
    return tf.reduce_sum(images * tf.constant(GRAY_WEIGHTS), axis=-1, keepdims=True)


def erase(images: Tensor, boxes: Tensor, value: float) -> Tensor:
    """Sets the pixels in each image's box ``[b, 4]`` to ``value``."""
    return tf.where(is_in_box(boxes, *sides(images)), value, images)


def is_in_box(boxes: Tensor, height: Any, width: Any) -> Tensor:
    """Which pixels ``[b, height, width, 1]`` lie in boxes ``[b, 4]``: left, top, right, bottom in pixels."""
    column = tf.cast(tf.range(width), tf.float32)[None, None, :]
    row = tf.cast(tf.range(height), tf.float32)[None, :, None]
    left, top, right, bottom = (boxes[:, i][:, None, None] for i in range(4))
    return ((column >= left) & (column < right) & (row >= top) & (row < bottom))[..., None]


def _blend(from_: Tensor, to: Tensor, factor: Tensor) -> Tensor:
    return tf.clip_by_value(from_ + (to - from_) * _each(factor), 0.0, 255.0)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]
