"""Grid pointing: whether a map finds the quarter of a 2x2 mosaic that holds the class (Böhle et al. 2021, section 4.1).

It needs no boxes. A mosaic is made of images of the data, each at half its size, so that it has the size of the
network's input; none of the other three is of the class.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mosaics:
    """Images made of four.

    Attributes:
        images: float32 ``[n, height, width, channels]``.
        classes: int32 ``[n]``, of one quarter each.
        quarters: where it is ``[n]``: 0 and 1 above, 2 and 3 below.
    """

    images: NDArray[np.float32]
    classes: NDArray[np.int32]
    quarters: NDArray[np.int64]


def mosaics(images: NDArray[np.float32], classes: NDArray[np.int32], *, seed: int = 0) -> Mosaics:
    """A mosaic for each image, with three random ones of other classes; none if all have the same class."""
    generator = np.random.default_rng(seed)
    height, width = images.shape[1:3]
    top, left = height // 2, width // 2
    made, owners, quarters = [], [], []
    for row, label in enumerate(classes):
        others = np.flatnonzero(classes != label)
        if not len(others):
            continue
        cells = list(generator.choice(others, 3, replace=len(others) < 3))
        quarter = int(generator.integers(4))
        cells.insert(quarter, row)
        mosaic = np.empty(images.shape[1:], np.float32)
        for number, cell in enumerate(cells):
            place = place_of(number, height, width)
            size = (top if number < 2 else height - top, left if number % 2 == 0 else width - left)
            mosaic[place] = tf.image.resize(images[cell], size, method="area").numpy()
        made.append(mosaic)
        owners.append(label)
        quarters.append(quarter)
    stacked = np.stack(made) if made else np.empty((0, *images.shape[1:]), np.float32)
    return Mosaics(stacked, np.array(owners, np.int32), np.array(quarters, np.int64))


def place_of(quarter: int, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of a quarter."""
    top, left = height // 2, width // 2
    rows = slice(0, top) if quarter < 2 else slice(top, height)
    return rows, slice(0, left) if quarter % 2 == 0 else slice(left, width)


def pointing(maps: NDArray[np.float32], quarters: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The share of positive evidence in the right quarter, and whether that quarter has the most, both ``[n]``.

    By chance both are 0.25 in the mean, which is also what a map without positive evidence gets.
    """
    height, width = maps.shape[1:]
    positive = maps.astype(np.float64).clip(0)
    masses = np.stack([positive[:, *place_of(quarter, height, width)].sum((1, 2)) for quarter in range(4)], axis=1)
    totals = masses.sum(axis=1)
    own = masses[np.arange(len(maps)), quarters]
    share = np.divide(own, totals, out=np.full(len(maps), 0.25), where=totals > 0)
    is_largest = (own == masses.max(axis=1)) / (masses == masses.max(axis=1, keepdims=True)).sum(axis=1)
    return share, is_largest
