"""RoIAlign: features of a fixed size for each box, from one feature map or from the levels of a pyramid.

He et al. 2017, section 3: a box is divided into bins without rounding, and each bin is the mean of four bilinear
samples (2x2, evenly spaced). The cells of a map have their centers at half-integer positions, so that map and image are
aligned at their corners.

There are two forms of the same function. :func:`roi_align` consists of matrix products in keras.ops: saved models have
it, because it loads without dlcli. :class:`RoiAlign` is for training: it samples by ``tf.image.crop_and_resize``, which
is several times faster, but computes the gradient by matrix products, because the threads of the gradient of
``crop_and_resize`` add to the same cells without a lock, so that it differs from one call to the next.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

SAMPLES = 2  # of a bin along each side

CANONICAL_LEVEL = 4
CANONICAL_SIDE = 224 / 800
"""From this side on, in shorter sides of the image, a box belongs to the level of stride 2^4: Lin et al. 2017, section
4.2, takes 224 pixels in images whose shorter side is 800."""


def box_levels(boxes: Any, *, image_size: tuple[int, int], strides: Sequence[int]) -> Any:
    """The level of a pyramid that each box is sampled from.

    Lin et al. 2017, equation 1, for images of any size: ``k = floor(4 + log2(sqrt(w h) / side))``, where the canonical
    side is in proportion to the image's shorter side. Level k has the stride 2^k.

    Args:
        boxes: float32 ``[..., 4]``, rel_xyxy.
        image_size: height and width of the network's input in pixels.
        strides: of the levels: powers of 2, each twice the one before.

    Returns:
        int32 ``[...]``: positions in ``strides``; the nearest one for boxes that are too small or too large.
    """
    height, width = image_size
    side = CANONICAL_SIDE * min(height, width)
    pixels = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]) * float(height * width)
    octaves = 0.5 * keras.ops.log2(keras.ops.maximum(pixels, 1.0) / side**2)
    first = int(math.log2(strides[0]))
    position = keras.ops.floor(CANONICAL_LEVEL - first + octaves)
    return keras.ops.cast(keras.ops.clip(position, 0.0, len(strides) - 1.0), "int32")


def roi_align(maps: Sequence[Any], boxes: Any, levels: Any, *, size: int) -> Any:
    """The features of boxes, by matrix products in keras.ops.

    Args:
        maps: of each level, float ``[b, h, w, c]``.
        boxes: float32 ``[b, n, 4]``, rel_xyxy, within the image.
        levels: int32 ``[b, n]``: the position in ``maps`` that a box is sampled from.
        size: number of bins along each side.

    Returns:
        ``[b, n, size, size, c]`` in the dtype of the maps.
    """
    features = [_products(values, boxes, levels, position, size) for position, values in enumerate(maps)]
    total = features[0]
    for more in features[1:]:
        total = total + more
    return total


def _products(values: Any, boxes: Any, levels: Any, position: int, size: int) -> Any:
    """The features from one level, 0 for boxes of other levels."""
    rows, columns = _weights(values, boxes, levels, position, size)
    (height, width, channels), number = values.shape[1:], boxes.shape[1]
    lines = keras.ops.reshape(values, (-1, height, width * channels))
    found = keras.ops.matmul(keras.ops.reshape(rows, (-1, number * size, height)), lines)
    found = keras.ops.reshape(found, (-1, number, size, width, channels))
    return keras.ops.matmul(keras.ops.expand_dims(columns, 2), found)


def _weights(values: Any, boxes: Any, levels: Any, position: int, size: int) -> tuple[Any, Any]:
    """The weights of a map's rows ``[b, n, size, h]`` and columns ``[b, n, size, w]`` in the bins of each box; a cell's
    weight is their product. In boxes of other levels the rows have none."""
    height, width = values.shape[1:3]
    belongs = keras.ops.cast(keras.ops.equal(levels, position), "float32")[..., None, None]
    rows = _side_weights(boxes[..., 1], boxes[..., 3], height, size) * belongs
    columns = _side_weights(boxes[..., 0], boxes[..., 2], width, size)
    return keras.ops.cast(rows, values.dtype), keras.ops.cast(columns, values.dtype)


def _side_weights(start: Any, end: Any, num_cells: int, size: int) -> Any:
    """The bilinear weights of the cells along one side in the means of each bin's samples, ``[b, n, size, cells]``."""
    steps = (keras.ops.arange(size * SAMPLES, dtype="float32") + 0.5) / (size * SAMPLES)
    places = (start[..., None] + (end - start)[..., None] * steps) * num_cells - 0.5  # in cells from the first center
    places = keras.ops.clip(places, 0.0, num_cells - 1.0)
    distances = places[..., None] - keras.ops.arange(num_cells, dtype="float32")
    weights = keras.ops.relu(1.0 - keras.ops.abs(distances))
    by_bin = keras.ops.reshape(weights, (-1, start.shape[1], size, SAMPLES, num_cells))
    return keras.ops.mean(by_bin, axis=3)


class RoiAlign(keras.layers.Layer):  # type: ignore[misc]
    """The same features as :func:`roi_align`, for training.

    The gradient flows to the maps, not to the boxes.

    Args:
        size: number of bins along each side.
    """

    def __init__(self, *, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, maps: Sequence[Any], boxes: Any, levels: Any) -> Any:
        boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def sampled(*maps: Any) -> tuple[Any, Any]:
            def gradient(upstream: Any) -> tuple[Any, ...]:
                return tuple(
                    _products_gradient(upstream, values, boxes, levels, position, self.size)
                    for position, values in enumerate(maps)
                )

            return _cropped(maps, boxes, levels, self.size), gradient

        return sampled(*maps)

    def compute_output_shape(self, maps_shape: Any, boxes_shape: Any, levels_shape: Any) -> tuple[Any, ...]:
        return (*boxes_shape[:2], self.size, self.size, maps_shape[0][-1])


def _cropped(maps: Sequence[Any], boxes: Any, levels: Any, size: int) -> Any:
    number, channels = boxes.shape[1], maps[0].shape[-1]
    images = tf.repeat(tf.range(tf.shape(boxes)[0]), number)
    boxes, levels = tf.reshape(boxes, [-1, 4]), tf.reshape(levels, [-1])
    positions = [tf.where(tf.equal(levels, position))[:, 0] for position in range(len(maps))]
    crops = [
        _crops_of_level(values, tf.gather(boxes, index), tf.gather(images, index), size)
        for values, index in zip(maps, positions, strict=True)
    ]
    order = tf.math.invert_permutation(tf.cast(tf.concat(positions, axis=0), tf.int32))
    features = tf.gather(tf.concat(crops, axis=0), order)
    return tf.cast(tf.reshape(features, [-1, number, size, size, channels]), maps[0].dtype)


def _crops_of_level(values: Any, boxes: Any, images: Any, size: int) -> Any:
    """The features ``[m, size, size, c]`` of boxes ``[m, 4]`` of the images at ``images`` ``[m]``."""
    height, width, channels = values.shape[1:]
    # the outermost cells once more, because crop_and_resize has zeros outside of the outermost centers
    padded = tf.pad(tf.cast(values, tf.float32), [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    left, top, right, bottom = tf.unstack(boxes, axis=1)
    y = _end_samples(top, bottom, height, size)
    x = _end_samples(left, right, width, size)
    corners = tf.stack([y[0], x[0], y[1], x[1]], axis=1)
    samples = tf.image.crop_and_resize(padded, corners, images, [size * SAMPLES, size * SAMPLES])
    return tf.reduce_mean(tf.reshape(samples, [-1, size, SAMPLES, size, SAMPLES, channels]), axis=[2, 4])


def _end_samples(start: Any, end: Any, num_cells: int, size: int) -> tuple[Any, Any]:
    """The places of the first and the last sample of boxes along one side, in the padded map's own coordinates: its
    first center is at 0, its last one at 1."""
    margin = (end - start) * (0.5 / (size * SAMPLES))
    first, last = start + margin, end - margin
    return (first * num_cells + 0.5) / (num_cells + 1), (last * num_cells + 0.5) / (num_cells + 1)


def _products_gradient(upstream: Any, values: Any, boxes: Any, levels: Any, position: int, size: int) -> Any:
    """The gradient of :func:`_products` by the map, which is linear in it: the transposed products."""
    rows, columns = _weights(tf.cast(values, tf.float32), boxes, levels, position, size)
    (height, width, channels), number = values.shape[1:], boxes.shape[1]
    spread = tf.matmul(columns[:, :, None], tf.cast(upstream, tf.float32), transpose_a=True)
    spread = tf.reshape(spread, [-1, number * size, width * channels])
    gradient = tf.matmul(tf.reshape(rows, [-1, number * size, height]), spread, transpose_a=True)
    return tf.cast(tf.reshape(gradient, [-1, height, width, channels]), values.dtype)
