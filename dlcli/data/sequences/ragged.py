"""Sequences of different lengths, concatenated in one array."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.annotations import Annotation
from dlcli.data.splits import Index


@dataclass(frozen=True)
class Ragged(Annotation):
    """Sequences of steps, each a number or an array.

    Attributes:
        flat: all steps ``[total, ...]``.
        lengths: of each sequence, int64 ``[n]``.
    """

    flat: NDArray[Any]
    lengths: Index

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> Index:
        """Where each sequence starts in ``flat``."""
        return np.cumsum(self.lengths) - self.lengths

    def __getitem__(self, position: int) -> NDArray[Any]:
        start = int(self.starts[position])
        return np.asarray(self.flat[start : start + int(self.lengths[position])])

    def take(self, index: Index) -> "Ragged":
        """The sequences at these positions."""
        lengths, starts = self.lengths[index], self.starts[index]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return Ragged(self.flat[np.repeat(starts, lengths) + within], lengths)

    def cut(self, max_length: int) -> "Ragged":
        """The sequences truncated to at most ``max_length`` steps."""
        if not (self.lengths > max_length).any():
            return self
        within = np.arange(len(self.flat)) - np.repeat(self.starts, self.lengths)
        return Ragged(self.flat[within < max_length], np.minimum(self.lengths, max_length))

    @classmethod
    def join(cls, sequences: Sequence[NDArray[Any]]) -> "Ragged":
        """Concatenates sequences, at least one."""
        return cls(np.concatenate(sequences), np.array([len(sequence) for sequence in sequences], np.int64))
