"""Mosaic (Bochkovskiy et al. 2020, YOLOv4): a training image is composed of parts of four, around a random point.

It comes before the other transforms, which so are those of the composed image. What is drawn is a function of (seed,
epoch, sample), of the number of samples, and of the size of the images.
"""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.augmentation.affine import Maps, identity, interpolate

Tensor = Any

NUM_PARTS = 4
MARGIN = 0.25  # of a side: the point lies at least so far inside of the image


@dataclass(frozen=True)
class Parts:
    """The parts of which the samples of an epoch are composed: upper left, upper right, lower left, lower right.

    Attributes:
        sources: the samples that they show, int64 ``[n, 4]``; the first is the sample itself.
        cells: where they are in the composed image: left, top, right, bottom in pixels, float64 ``[n, 4, 4]``. In a
            sample that is not composed, the first cell is the whole image, and the others are empty.
        maps: from pixels of the composed image to positions in the sources, ``[n, 4, 3, 3]``, as in
            :mod:`dlcli.data.augmentation.affine`.
    """

    sources: NDArray[np.int64]
    cells: NDArray[np.float64]
    maps: Maps

    @property
    def is_composed(self) -> NDArray[np.bool_]:
        """Whether a sample is composed of several, bool ``[n]``."""
        return np.asarray(self.cells[:, -1, 0] < self.cells[:, -1, 2])

    def take(self, index: NDArray[np.int64]) -> "Parts":
        """The parts of the samples at these positions; the sources stay positions among all samples."""
        return Parts(self.sources[index], self.cells[index], self.maps[index])

    def to_tensors(self) -> dict[str, Tensor]:
        """The arguments of :func:`compose` for all samples: ``part_point`` float32 ``[n, 2]`` and ``part_maps`` float32
        ``[n, 4, 3]``; and ``sources`` int64 ``[n, 4]``."""
        scales, x, y = self.maps[:, :, 0, 0], self.maps[:, :, 0, 2], self.maps[:, :, 1, 2]
        return {
            "sources": tf.constant(self.sources, tf.int64),
            "part_point": tf.constant(self.cells[:, 0, 2:], tf.float32),
            "part_maps": tf.constant(np.stack([scales, x, y], axis=-1), tf.float32),
        }


@dataclass(frozen=True)
class Mosaic:
    """Composes samples of four.

    Each part is drawn from its image: of any place, and at a scale between the smallest that fills its cell, and 1.

    Attributes:
        probability: that a sample is composed.
    """

    probability: float

    def draw(self, *, seed: int, epoch: int, num: int, height: int, width: int) -> Parts:
        """The parts of ``num`` samples in an epoch."""
        generator = np.random.Generator(np.random.PCG64([seed, epoch, zlib.crc32(b"mosaic")]))
        columns = np.split(generator.random((num, 18)), [1, 3, 6, 10, 14], axis=1)
        chance, point, others, scale, left, top = columns
        is_composed = chance < self.probability  # [n, 1]
        own = np.arange(num)[:, None]
        sources = np.concatenate([own, np.where(is_composed, (others * num).astype(np.int64), own)], axis=1)
        sides = np.array([width, height], np.float64)
        x, y = np.where(is_composed, np.rint((MARGIN + (1 - 2 * MARGIN) * point) * sides), sides).T
        zero, right, bottom = np.zeros(num), np.full(num, sides[0]), np.full(num, sides[1])
        cells = np.stack(
            [
                np.stack([zero, zero, x, y], axis=1),
                np.stack([x, zero, right, y], axis=1),
                np.stack([zero, y, x, bottom], axis=1),
                np.stack([x, y, right, bottom], axis=1),
            ],
            axis=1,
        )
        fitting = ((cells[..., 2:] - cells[..., :2]) / sides).max(axis=-1)  # scale at which an image fills its cell
        scale = fitting + (1 - fitting) * scale
        return Parts(sources, cells, _maps(cells, scale, np.stack([left, top], axis=-1), sides))


def _maps(
    cells: NDArray[np.float64], scale: NDArray[np.float64], place: NDArray[np.float64], sides: NDArray[np.float64]
) -> Maps:
    """Maps under which a part of each image, at its scale, fills its cell.

    Args:
        cells: ``[n, 4, 4]``.
        scale: of the images, ``[n, 4]``.
        place: of the part in its image, ``[n, 4, 2]``: 0 for the left or upper end, 1 for the right or lower.
        sides: width and height of the images.
    """
    shown = (cells[..., 2:] - cells[..., :2]) / scale[..., None]  # width and height of the part, in pixels of its image
    corner = place * (sides - shown)
    maps = identity(scale.size).reshape(*scale.shape, 3, 3)
    for axis in (0, 1):
        maps[..., axis, axis] = 1 / scale
        # edges to edges, not centers to centers
        maps[..., axis, 2] = corner[..., axis] + (0.5 - cells[..., axis]) / scale - 0.5
    return maps


def _compose(pixels: Tensor, point: Tensor, maps: Tensor) -> Tensor:
    num = tf.shape(pixels)[0]
    height, width, channels = pixels.shape[2:]
    flat = tf.reshape(pixels, [num, NUM_PARTS * height * width, channels])
    column = tf.range(width, dtype=tf.float32)[None, None, :]
    row = tf.range(height, dtype=tf.float32)[None, :, None]
    part = part_of_pixels(point, height, width)
    scale, x, y = tf.unstack(tf.gather(maps, part, batch_dims=1), axis=-1)

    def value(row: Tensor, column: Tensor) -> Tensor:
        row, column = tf.clip_by_value(row, 0, height - 1), tf.clip_by_value(column, 0, width - 1)
        index = tf.reshape((part * height + row) * width + column, [num, height * width])
        gathered = tf.gather(flat, index, batch_dims=1)
        return tf.reshape(tf.cast(gathered, tf.float32), [num, height, width, channels])

    return interpolate(value, scale * column + x, scale * row + y)


def part_of_pixels(point: Tensor, height: int, width: int) -> Tensor:
    """Traced: the number of the part that each pixel belongs to, int32 ``[b, height, width]``."""
    column = tf.range(width, dtype=tf.float32)[None, None, :]
    row = tf.range(height, dtype=tf.float32)[None, :, None]
    is_right, is_lower = column >= point[:, 0][:, None, None], row >= point[:, 1][:, None, None]
    return tf.cast(is_right, tf.int32) + 2 * tf.cast(is_lower, tf.int32)


_compose_compiled = tf.function(_compose, autograph=False, jit_compile=True)


def compose(pixels: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    """Traced: the composed images of a batch.

    Args:
        pixels: of the sources, uint8 or float32 ``[b, 4, height, width, channels]``.
        tensors: the batch's rows of :meth:`Parts.to_tensors`.

    Returns:
        float32 ``[b, height, width, channels]``, with bilinear interpolation.
    """
    composed = _compose_compiled(pixels, tensors["part_point"], tensors["part_maps"])
    return tf.ensure_shape(composed, [pixels.shape[0], *pixels.shape[2:]])
