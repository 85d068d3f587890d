"""Scores the batches of a classifier as they are predicted, so that memory does not grow with the number of classes."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dlcli.evaluation.class_predictions import Labels, ScoredClasses, score
from dlcli.evaluation.classification import calibration_error
from dlcli.tasks.calibration import Calibration
from dlcli.tasks.probability_file import ProbabilityFile


class Reduction:
    """The scores of all samples of a split, collected batch by batch in any order.

    Args:
        labels: int ``[n]``.
        kept: where the probabilities of all classes are kept; None if they are not.
        calibration: replaces the model's probabilities; None if they are scored as they are.
    """

    def __init__(
        self, labels: Labels, kept: ProbabilityFile | None = None, calibration: Calibration | None = None
    ) -> None:
        self._labels = labels
        self._kept = kept
        self._calibration = calibration
        self._index: list[NDArray[np.int64]] = []
        self._scores: list[ScoredClasses] = []
        self._losses: list[NDArray[np.float32]] = []
        self._confidence: list[NDArray[np.float32]] = []  # without calibration

    def add(
        self,
        index: NDArray[np.int64],
        logits: NDArray[np.float32],
        probabilities: NDArray[np.float32],
        losses: NDArray[np.float32],
        predicted: NDArray[np.int32] | None = None,
    ) -> None:
        """Add the outputs ``[b, classes]`` of the model for the samples at ``index``, and their losses ``[b]``.

        Args:
            predicted: as for :func:`dlcli.evaluation.class_predictions.rank`.
        """
        if self._calibration is not None:
            chosen = probabilities.argmax(axis=1) if predicted is None else predicted
            self._confidence.append(probabilities[np.arange(len(index)), chosen])
            probabilities = self._calibration.probabilities(logits)
        self._index.append(index)
        self._scores.append(score(self._labels[index], probabilities, predicted=predicted))
        self._losses.append(losses)
        if self._kept is not None:
            self._kept.write(index, probabilities)

    def scored(self) -> ScoredClasses:
        """The scores in the order of the samples."""
        return ScoredClasses.join(self._scores).take(self._order)

    def mean_loss(self) -> float:
        """The mean loss of the samples; a calibration does not change it."""
        return float(np.mean(np.concatenate(self._losses)[self._order], dtype=np.float64))

    def calibration_metrics(self) -> dict[str, float]:
        """``temperature``, and the ``uncalibrated_calibration_error``; nothing without a calibration."""
        if self._calibration is None:
            return {}
        confidence = np.concatenate(self._confidence)[self._order]
        before = replace(self.scored(), top_probabilities=confidence[:, None])
        return {
            "temperature": self._calibration.temperature,
            "uncalibrated_calibration_error": calibration_error(before),
        }

    @property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(np.concatenate(self._index))
