"""Test-time augmentation: the mean of the probabilities of several views of each image."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.augmentation.affine import sides

Tensor = Any
Views = Literal["flip", "crops", "flip+crops"]

CROP = 7 / 8  # of height and width


def view_averages(model: keras.Model, views: Views) -> Callable[..., Sequence[Tensor]]:
    """A classifier that averages the probabilities of views of each image.

    Args:
        model: images ``[b, height, width, channels]`` -> probabilities ``[b, classes]``.
        views: ``flip``: the image and its mirror image; ``crops``: the image, its center and its four corners, 7/8 of
            its height and width, resized to its size (bilinear); ``flip+crops``: all of these and their mirror images.

    Returns:
        A function from images to logits, the logarithms of the mean probabilities, and the mean probabilities.
    """

    def call(images: Tensor, *, training: bool = False) -> list[Tensor]:
        shown = [images, *(crops(images) if "crops" in views else [])]
        if "flip" in views:
            shown += [tf.reverse(view, axis=[2]) for view in shown]
        mean = tf.add_n([model(view, training=training) for view in shown]) / len(shown)
        return [tf.math.log(tf.maximum(mean, np.finfo(np.float32).tiny)), mean]

    return call


def num_views(views: Views) -> int:
    """The number of views of each image, the image itself included."""
    return (6 if "crops" in views else 1) * (2 if "flip" in views else 1)


def crops(images: Tensor) -> list[Tensor]:
    """The center and the four corners of images ``[b, height, width, channels]``, resized to the same size."""
    height, width = sides(images)
    rows, columns = _part(height), _part(width)
    top, left = height - rows, width - columns
    corners = [(top // 2, left // 2), (0, 0), (0, left), (top, 0), (top, left)]
    return [
        tf.image.resize(images[:, row : row + rows, column : column + columns], (height, width))
        for row, column in corners
    ]


def _part(side: Any) -> Any:
    """The side of a crop; a tensor for that of images whose size differs between batches."""
    if isinstance(side, int):
        return max(1, round(CROP * side))
    return tf.maximum(1, tf.cast(tf.round(CROP * tf.cast(side, tf.float64)), tf.int32))
