"""Scores the batches of a classifier as they are predicted, so that memory does not grow with the number of classes."""

import numpy as np
from numpy.typing import NDArray

from dlcli.evaluation.class_predictions import Labels, ScoredClasses, score
from dlcli.tasks.probability_file import ProbabilityFile


class Reduction:
    """The scores of all samples of a split, collected batch by batch in any order.

    Args:
        labels: int ``[n]``.
        kept: where the probabilities of all classes are kept; None if they are not.
    """

    def __init__(self, labels: Labels, kept: ProbabilityFile | None = None) -> None:
        self._labels = labels
        self._kept = kept
        self._index: list[NDArray[np.int64]] = []
        self._scores: list[ScoredClasses] = []
        self._losses: list[NDArray[np.float32]] = []

    def add(self, index: NDArray[np.int64], probabilities: NDArray[np.float32], losses: NDArray[np.float32]) -> None:
        """Add the probabilities ``[b, classes]`` and the losses ``[b]`` of the samples at ``index``."""
        self._index.append(index)
        self._scores.append(score(self._labels[index], probabilities))
        self._losses.append(losses)
        if self._kept is not None:
            self._kept.write(index, probabilities)

    def scored(self) -> ScoredClasses:
        """The scores in the order of the samples."""
        return ScoredClasses.join(self._scores).take(self._order)

    def mean_loss(self) -> float:
        """The mean loss of the samples."""
        return float(np.mean(np.concatenate(self._losses)[self._order], dtype=np.float64))

    @property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(np.concatenate(self._index))
