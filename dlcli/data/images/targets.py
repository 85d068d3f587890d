"""Numbers that belong to images: they enter batches, and stay as they are where augmentation warps the images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.annotations import BatchMixing, Target
from dlcli.data.splits import Index


@dataclass(frozen=True)
class ArrayTarget(Target):
    """As many numbers for each sample, such as several values to predict, or which of several labels apply.

    Attributes:
        name: of the entry of a batch's ``y``.
        values: float32 ``[n, t]``.
    """

    name: str
    values: NDArray[np.float32]

    def take(self, index: Index) -> "ArrayTarget":
        """The numbers of the samples at these positions."""
        return ArrayTarget(self.name, self.values[index])

    def rows(self) -> Mapping[str, Any]:
        """The numbers, float32 ``[n, t]``, by the target's name."""
        return {self.name: tf.constant(self.values, tf.float32)}

    def batch(self, element: Mapping[str, Any]) -> Mapping[str, Any]:
        """Traced: the batch's numbers, float32 ``[b, t]``; nothing without :meth:`rows`."""
        return {self.name: element[self.name]} if self.name in element else {}

    def mixed(self, entries: Mapping[str, Any], mixing: BatchMixing) -> Mapping[str, Any]:
        """Traced: the means of both samples' numbers."""
        return {name: mixing.means(values) for name, values in entries.items()}
