"""Anchors that fit the boxes of a data set: sizes and aspect ratios, and how well they fit.

The size of a box is the square root of its area, its ratio the width divided by the height. Ratios are clustered by
k-means of their logarithms, so that 1/2 is as far from 1 as 2 is. Sizes are those of a feature pyramid, whose level l
has a stride of 2^l pixels: a few at each level, evenly spaced over an octave, from the small boxes to the large ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_RATIOS = 3
PER_OCTAVE = 3  # sizes of a level
FINEST, COARSEST = 3, 7  # levels of a pyramid
LEAST_STRIDES = 3.0  # the smallest size of a level, where a finer level could have it
EXTREMES = (0.05, 0.95)  # quantiles of the sizes that anchors reach
GOOD = 0.5  # intersection over union with an anchor


def is_small(size: float, finest: int = FINEST) -> bool:
    """Whether boxes of this size, in pixels, are small for a pyramid from this level on: they cover few of its
    positions."""
    return bool(size < LEAST_STRIDES * 2**finest)


@dataclass(frozen=True)
class Anchors:
    """Anchors of each level of a feature pyramid.

    Attributes:
        levels: from the finest on.
        sizes: in strides of their level, ascending.
        ratios: width divided by height, ascending.
    """

    levels: tuple[int, ...]
    sizes: tuple[float, ...]
    ratios: tuple[float, ...]

    def shapes(self) -> NDArray[np.float64]:
        """Width and height of every anchor in pixels ``[a, 2]``."""
        size = np.array([size * 2**level for level in self.levels for size in self.sizes])
        root = np.sqrt(np.array(self.ratios))
        return np.stack([np.outer(size, root).ravel(), np.outer(size, 1 / root).ravel()], axis=1)


def suggest(sides: NDArray[np.float64]) -> Anchors:
    """Anchors that fit boxes.

    Args:
        sides: width and height of the boxes in pixels of the network's input ``[m, 2]``, at least one.
    """
    size = np.sqrt(sides.prod(axis=1))
    ratios = np.exp(_means(np.log(sides[:, 0] / sides[:, 1]), NUM_RATIOS))
    small, large = np.quantile(size, EXTREMES)
    octave = int(np.clip(np.floor(np.log2(max(small, 1.0) / LEAST_STRIDES)), FINEST, COARSEST))
    steps = 2 ** (np.arange(PER_OCTAVE) / PER_OCTAVE)
    sizes = max(small, 1.0) / 2**octave * steps
    last = int(np.clip(np.ceil(np.log2(large / sizes[-1])), octave, COARSEST))
    return Anchors(
        levels=tuple(range(octave, last + 1)),
        sizes=tuple(round(float(value), 2) for value in sizes),
        ratios=tuple(round(float(value), 2) for value in np.unique(ratios.round(2))),
    )


def shape_iou(sides: NDArray[np.float64], anchors: Anchors) -> NDArray[np.float64]:
    """The intersection over union of each box ``[m, 2]`` with the anchor of the most similar shape, if their centers
    are the same, ``[m]``."""
    best = np.zeros(len(sides))
    area = sides.prod(axis=1)
    for shape in anchors.shapes():
        shared = np.minimum(sides, shape).prod(axis=1)
        best = np.maximum(best, shared / (area + shape.prod() - shared))
    return best


def _means(values: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """The centers of the clusters of k-means in one dimension, ascending (Lloyd 1982), from quantiles on."""
    means = np.unique(np.quantile(values, (np.arange(number) + 0.5) / number))
    while True:
        nearest = np.abs(values[:, None] - means[None]).argmin(axis=1)
        moved = np.array([values[nearest == i].mean() for i in np.unique(nearest)])
        if len(moved) == len(means) and np.allclose(moved, means, atol=1e-9, rtol=0):
            return moved
        means = moved
