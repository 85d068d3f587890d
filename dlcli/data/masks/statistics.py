"""How many pixels of each class the masks of a split have."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.data.masks.masks import masks_of


@dataclass(frozen=True)
class MaskStatistics:
    """The pixels of a split's masks, at the size of their images.

    Attributes:
        pixels: of each class, int64 ``[classes]``.
        ignored: the number of pixels to ignore.
        images: in how many images each class is, int64 ``[classes]``.
    """

    pixels: NDArray[np.int64]
    ignored: int
    images: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """The proportion of each class among the pixels that are not ignored; 0 if all are."""
        return np.asarray(self.pixels / max(1, int(self.pixels.sum())), np.float64)

    @property
    def ignored_share(self) -> float:
        """The proportion of all pixels that are ignored."""
        return self.ignored / max(1, int(self.pixels.sum()) + self.ignored)


def count_masks(splits: Mapping[str, Samples]) -> dict[str, MaskStatistics]:
    """The statistics of each split that has masks, from what was counted when they were scanned."""
    found = {}
    for split, samples in splits.items():
        masks = masks_of(samples)
        if masks is not None and masks.counts is not None:
            pixels = masks.counts[:, :-1]
            found[split] = MaskStatistics(pixels.sum(axis=0), int(masks.counts[:, -1].sum()), (pixels > 0).sum(axis=0))
    return found
