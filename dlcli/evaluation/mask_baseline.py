"""The baselines of segmentation, computed from the training split's masks: what a network must beat.

``position``: at each position the class that is most frequent there; ``most_frequent``: one class everywhere.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.segmentation import IGNORED

Array = npt.NDArray[Any]

SIDE = 64  # height and width to which masks are resized, so that masks of different sizes can be compared

DESCRIPTIONS = {
    "position": "the most frequent class at each position",
    "most_frequent": "the most frequent class everywhere",
}


@dataclass
class MaskCounts:
    """The classes of masks: at each position of a grid, and of all pixels. Memory does not depend on the masks' number.

    Attributes:
        num_classes: k.
        positions: at each position of the grid the number of masks with each class there, int32 ``[side, side, k]``.
        pixels: the number of pixels of each class, int64 ``[k]``.
    """

    num_classes: int
    side: int = SIDE
    ignored: int = IGNORED
    positions: Array = field(init=False)
    pixels: Array = field(init=False)

    def __post_init__(self) -> None:
        self.positions = np.zeros((self.side, self.side, self.num_classes), np.int32)
        self.pixels = np.zeros(self.num_classes, np.int64)

    def add(self, mask: Array) -> None:
        """Counts a mask of integer labels ``[height, width]``; ignored pixels are not counted."""
        self.pixels += np.bincount(mask[mask != self.ignored].astype(np.int64), minlength=self.num_classes)
        small = resize_nearest(mask, self.side, self.side)
        rows, columns = np.nonzero(small != self.ignored)
        self.positions[rows, columns, small[rows, columns]] += 1  # each position once: no index is repeated

    @property
    def most_frequent(self) -> int:
        """The class with the most pixels; the first of several."""
        return int(self.pixels.argmax())

    @property
    def grid(self) -> npt.NDArray[np.uint8]:
        """The most frequent class at each position, uint8 ``[side, side]``; the most frequent class of all pixels where
        every mask is ignored, and the first of several."""
        is_known = self.positions.any(axis=-1)
        return np.where(is_known, self.positions.argmax(axis=-1), self.most_frequent).astype(np.uint8)


def resize_nearest(mask: Array, height: int, width: int) -> Array:
    """A mask ``[h, w]`` at another size, by the value at the nearest center of a pixel."""
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)
        for old, new in zip(mask.shape, (height, width), strict=True)
    )
    resized: Array = mask[rows[:, None], columns]
    return resized
