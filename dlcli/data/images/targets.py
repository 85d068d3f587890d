"""Numbers that belong to images: they enter batches, and stay as they are where augmentation warps the images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.annotations import BatchMixing, Target
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import ImageAnnotation, Samples
from dlcli.data.splits import SPLIT_COLUMNS, Index

TABLE = "targets"  # the name of the annotation


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


@dataclass(frozen=True)
class TargetTable(ImageAnnotation):
    """Columns of numbers, with a row for each image.

    Attributes:
        entry: of a batch's ``y``: ``value`` for numbers to predict, ``labels`` for which of several labels apply.
        names: of the columns, t of them.
        values: float64 ``[n, t]``; NaN where one is unknown.
    """

    entry: str
    names: tuple[str, ...]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: Index) -> "TargetTable":
        """The rows of the images at these positions."""
        return TargetTable(self.entry, self.names, self.values[index])

    def columns(self) -> Mapping[str, Sequence[str]]:
        """A column for each of the numbers; empty cells where one is unknown. A column may take the place of the empty
        label of samples without a class, but of no other column of split.csv."""
        taken = set(SPLIT_COLUMNS) - {"label"}
        names = [f"target_{name}" if name in taken else name for name in self.names]
        cells = [["" if np.isnan(value) else repr(float(value)) for value in column] for column in self.values.T]
        return dict(zip(names, cells, strict=True))

    def described(self, position: int, classes: Sequence[str]) -> dict[str, Any]:
        """The numbers of an image by name, None where one is unknown, under the name of their entry."""
        row = self.values[position].tolist()
        return {self.entry: {n: None if np.isnan(value) else value for n, value in zip(self.names, row, strict=True)}}

    @property
    def nouns(self) -> str:
        """What the columns are, for messages."""
        return "labels" if self.entry == "labels" else "numbers"

    def target(self, policy: ImagePolicy | None) -> ArrayTarget:
        """The numbers as they enter batches."""
        return ArrayTarget(self.entry, self.values.astype(np.float32))


def target_values(samples: Samples) -> NDArray[np.float64]:
    """The numbers or labels of samples that have them, float64 ``[n, t]``."""
    table = samples.annotations[TABLE]
    assert isinstance(table, TargetTable)
    return table.values
