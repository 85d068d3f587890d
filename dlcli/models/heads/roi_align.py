"""RoIAlign: features of a fixed size for each box, from one feature map or from the levels of a pyramid.

He et al. 2017, section 3: a box is divided into bins without rounding, and each bin is the mean of four bilinear
samples (2x2, evenly spaced). The centers of a map's cells are where `anchors.axes_of` has them.

There are two forms of the same function. :func:`roi_align` consists of matrix products in keras.ops: saved models have
it, because it loads without dlcli. :class:`RoiAlign` is for training: it samples by ``tf.image.crop_and_resize``, which
is several times faster, but computes the gradient by matrix products, because the threads of the gradient of
``crop_and_resize`` add to the same cells without a lock, so that it differs from one call to the next.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from dlcli.models.heads.anchors import Size

Tensor = Any  # a tensor or a symbolic keras.KerasTensor
SAMPLES = 2  # of a bin along each side

CANONICAL_LEVEL = 4
CANONICAL_SIDE = 224 / 800
"""From this side on, in shorter sides of the image, a box belongs to the level of stride 2^4: Lin et al. 2017, section
4.2, takes 224 pixels in images whose shorter side is 800."""


def box_levels(boxes: Tensor, *, size: Size, levels: Sequence[int]) -> Tensor:
    """The level of a pyramid that each box is sampled from.

    Lin et al. 2017, equation 1, for images of any size: ``k = floor(4 + log2(sqrt(w h) / side))``, where the canonical
    side is in proportion to the image's shorter side.

    Args:
        boxes: float32 ``[..., 4]``, rel_xyxy.
        size: height and width of the image.
        levels: consecutive numbers.

    Returns:
        int32 ``[...]``: one of ``levels``, the nearest one for boxes that are too small or too large.
    """
    height, width = size
    pixels = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]) * float(height * width)
    octaves = 0.5 * keras.ops.log2(keras.ops.maximum(pixels, 1.0) / (CANONICAL_SIDE * min(height, width)) ** 2)
    level = keras.ops.floor(CANONICAL_LEVEL + octaves)
    return keras.ops.cast(keras.ops.clip(level, float(min(levels)), float(max(levels))), "int32")


def roi_align(pyramid: Mapping[int, Tensor], boxes: Tensor, levels: Tensor, *, size: Size, bins: int) -> Tensor:
    """The features of boxes, by matrix products in keras.ops.

    Args:
        pyramid: maps by level, float ``[b, h, w, c]``, see `anchors.sides_of`.
        boxes: float32 ``[b, n, 4]``, rel_xyxy, within the image.
        levels: int32 ``[b, n]``: the level that a box is sampled from.
        size: height and width of the image.
        bins: their number along each side.

    Returns:
        ``[b, n, bins, bins, c]`` in the dtype of the maps.
    """
    features = [_products(maps, boxes, levels, level, size, bins) for level, maps in pyramid.items()]
    total = features[0]
    for more in features[1:]:
        total = total + more
    return total


def _products(maps: Tensor, boxes: Tensor, levels: Tensor, level: int, size: Size, bins: int) -> Tensor:
    """The features from one level, 0 for boxes of other levels."""
    rows, columns = _weights(maps, boxes, levels, level, size, bins)
    (height, width, channels), number = maps.shape[1:], boxes.shape[1]
    lines = keras.ops.reshape(maps, (-1, height, width * channels))
    found = keras.ops.matmul(keras.ops.reshape(rows, (-1, number * bins, height)), lines)
    found = keras.ops.reshape(found, (-1, number, bins, width, channels))
    return keras.ops.matmul(keras.ops.expand_dims(columns, 2), found)


def _weights(maps: Tensor, boxes: Tensor, levels: Tensor, level: int, size: Size, bins: int) -> tuple[Tensor, Tensor]:
    """The weights of a map's rows ``[b, n, bins, h]`` and columns ``[b, n, bins, w]`` in the bins of each box; a cell's
    weight is their product. In boxes of other levels the rows have none."""
    belongs = keras.ops.cast(keras.ops.equal(levels, level), "float32")[..., None, None]
    rows, columns = (
        _side_weights(boxes[..., axis], boxes[..., axis + 2], side=side, num_cells=num_cells, level=level, bins=bins)
        for axis, side, num_cells in zip((1, 0), size, maps.shape[1:3], strict=True)
    )
    return keras.ops.cast(rows * belongs, maps.dtype), keras.ops.cast(columns, maps.dtype)


def _side_weights(start: Tensor, end: Tensor, *, side: int, num_cells: int, level: int, bins: int) -> Tensor:
    """The bilinear weights of the cells along one side in the means of each bin's samples, ``[b, n, bins, cells]``."""
    steps = (keras.ops.arange(bins * SAMPLES, dtype="float32") + 0.5) / (bins * SAMPLES)
    places = _in_cells(start[..., None] + (end - start)[..., None] * steps, side, num_cells, level)
    places = keras.ops.clip(places, 0.0, num_cells - 1.0)
    distances = places[..., None] - keras.ops.arange(num_cells, dtype="float32")
    weights = keras.ops.relu(1.0 - keras.ops.abs(distances))
    by_bin = keras.ops.reshape(weights, (-1, start.shape[1], bins, SAMPLES, num_cells))
    return keras.ops.mean(by_bin, axis=3)


def _in_cells(places: Tensor, side: int, num_cells: int, level: int) -> Tensor:
    """Places along one side of the image, in [0, 1], in cells from the center of a level's first cell; the centers are
    those of `anchors.axes_of`."""
    return (places - 0.5) * (side / 2**level) + (num_cells - 1) / 2


class RoiAlign(keras.layers.Layer):  # type: ignore[misc]
    """The same features as :func:`roi_align`, for training. The gradient flows to the maps, not to the boxes.

    Args:
        size: height and width of the image.
        bins: their number along each side of a box.
    """

    def __init__(self, *, size: Size, bins: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.bins = bins

    def call(self, pyramid: Mapping[int, Tensor], boxes: Tensor, levels: Tensor) -> Tensor:
        boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def sampled(*of_levels: Tensor) -> tuple[Tensor, Any]:
            by_level = dict(zip(pyramid, of_levels, strict=True))

            def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
                return tuple(
                    _products_gradient(upstream, maps, boxes, levels, level, self.size, self.bins)
                    for level, maps in by_level.items()
                )

            return cropped(by_level, boxes, levels, self.size, self.bins), gradient

        return sampled(*pyramid.values())

    def compute_output_shape(self, pyramid_shape: Any, boxes_shape: Any, levels_shape: Any) -> tuple[Any, ...]:
        channels = next(iter(pyramid_shape.values()))[-1]
        return (*boxes_shape[:2], self.bins, self.bins, channels)


def cropped(pyramid: Mapping[int, Tensor], boxes: Tensor, levels: Tensor, size: Size, bins: int) -> Tensor:
    """Traced: the same features as of :func:`roi_align`, without a gradient that could be reproduced."""
    first, number = next(iter(pyramid.values())), boxes.shape[1]
    images = tf.repeat(tf.range(tf.shape(boxes)[0]), number)
    boxes, levels = tf.reshape(boxes, [-1, 4]), tf.reshape(levels, [-1])
    positions = [tf.where(tf.equal(levels, level))[:, 0] for level in pyramid]
    crops = [
        _crops_of_level(maps, tf.gather(boxes, index), tf.gather(images, index), level, size, bins)
        for (level, maps), index in zip(pyramid.items(), positions, strict=True)
    ]
    order = tf.math.invert_permutation(tf.cast(tf.concat(positions, axis=0), tf.int32))
    features = tf.gather(tf.concat(crops, axis=0), order)
    return tf.cast(tf.reshape(features, [-1, number, bins, bins, first.shape[-1]]), first.dtype)


def _crops_of_level(maps: Tensor, boxes: Tensor, images: Tensor, level: int, size: Size, bins: int) -> Tensor:
    """The features ``[m, bins, bins, c]`` of boxes ``[m, 4]`` of the images at ``images`` ``[m]``."""
    # the outermost cells once more, because crop_and_resize has zeros outside of the outermost centers
    padded = tf.pad(tf.cast(maps, tf.float32), [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    (y, last_y), (x, last_x) = (
        _end_samples(boxes[:, axis], boxes[:, axis + 2], side, num_cells, level, bins)
        for axis, side, num_cells in zip((1, 0), size, maps.shape[1:3], strict=True)
    )
    corners = tf.stack([y, x, last_y, last_x], axis=1)
    samples = tf.image.crop_and_resize(padded, corners, images, [bins * SAMPLES, bins * SAMPLES])
    return tf.reduce_mean(tf.reshape(samples, [-1, bins, SAMPLES, bins, SAMPLES, maps.shape[-1]]), axis=[2, 4])


def _end_samples(start: Tensor, end: Tensor, side: int, num_cells: int, level: int, bins: int) -> tuple[Tensor, Tensor]:
    """The places of the first and the last sample of boxes along one side, in the padded map's own coordinates: its
    first center is at 0, its last one at 1."""
    margin = (end - start) * (0.5 / (bins * SAMPLES))
    first, last = (_in_cells(place, side, num_cells, level) for place in (start + margin, end - margin))
    return (first + 1.0) / (num_cells + 1), (last + 1.0) / (num_cells + 1)


def _products_gradient(
    upstream: Tensor, maps: Tensor, boxes: Tensor, levels: Tensor, level: int, size: Size, bins: int
) -> Tensor:
    """The gradient of :func:`_products` by the maps, in which it is linear: the transposed products."""
    rows, columns = _weights(tf.cast(maps, tf.float32), boxes, levels, level, size, bins)
    (height, width, channels), number = maps.shape[1:], boxes.shape[1]
    spread = tf.matmul(columns[:, :, None], tf.cast(upstream, tf.float32), transpose_a=True)
    spread = tf.reshape(spread, [-1, number * bins, width * channels])
    gradient = tf.matmul(tf.reshape(rows, [-1, number * bins, height]), spread, transpose_a=True)
    return tf.cast(tf.reshape(gradient, [-1, height, width, channels]), maps.dtype)
