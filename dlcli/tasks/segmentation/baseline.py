"""The baselines of masks: computed from the training split once, and recorded in run.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.data.masks.masks import masks_of
from dlcli.errors import InputError
from dlcli.evaluation.mask_baseline import SIDE, MaskCounts


@dataclass(frozen=True)
class MaskBaseline:
    """What is predicted without a network.

    Attributes:
        grid: the most frequent class at each position, uint8 ``[64, 64]``.
        most_frequent: the most frequent class.
    """

    grid: NDArray[np.uint8]
    most_frequent: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values: each row of the grid is a text with two hexadecimal digits for each position."""
        return {"most_frequent": self.most_frequent, "grid": [row.tobytes().hex() for row in self.grid]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, num_classes: int, place: Path) -> "MaskBaseline":
        """The baseline that a run has recorded.

        Args:
            place: the file that records it, for messages.

        Raises:
            InputError: it is corrupt.
        """
        try:
            rows = [np.frombuffer(bytes.fromhex(row), np.uint8) for row in values["grid"]]
            grid = np.stack(rows)
            most_frequent = int(values["most_frequent"])
        except (KeyError, TypeError, ValueError):
            grid, most_frequent = np.zeros((0, 0), np.uint8), -1
        if grid.shape != (SIDE, SIDE) or grid.max() >= num_classes or not 0 <= most_frequent < num_classes:
            raise InputError(f"{place}: is corrupt: the baseline is not one of {num_classes} classes. Restore it.")
        return cls(grid, most_frequent)


def baseline_of(train: Samples, num_classes: int) -> MaskBaseline:
    """The baseline of the masks of a training split, each of which is read once.

    Raises:
        InputError: a mask can no longer be read.
    """
    masks = masks_of(train)
    assert masks is not None
    counts = MaskCounts(num_classes)
    for mask in masks.masks:
        counts.add(mask.read())
    return MaskBaseline(counts.grid, counts.most_frequent)
