"""Precision, recall and F1 of detections as functions of the score from which they count, and the best such score."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.detection.boxes import Detections, GroundTruth, Overlaps
from dlcli.evaluation.detection.matching import match

Array = npt.NDArray[Any]

LEAST_IOU = 0.5  # of a detection that is correct
SCORES = np.round(np.linspace(0.0, 1.0, 1001), 3)


@dataclass(frozen=True)
class ConfidenceCurves:
    """The counts of each class at each of SCORES, of the detections with that score or a higher one.

    Attributes:
        true: detections that take an object, int64 ``[classes, scores]``.
        counted: all detections but those that are ignored, int64 ``[classes, scores]``.
        objects: that count, int64 ``[classes]``.
    """

    true: npt.NDArray[np.int64]
    counted: npt.NDArray[np.int64]
    objects: npt.NDArray[np.int64]

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """Of each class, ``[classes, scores]``: 2 TP / (2 TP + FP + FN); NaN for classes without objects."""
        result = np.full(self.true.shape, np.nan)
        total = self.counted + self.objects[:, None]
        np.divide(2 * self.true, total, out=result, where=np.broadcast_to(self.objects[:, None] > 0, total.shape))
        return result

    @property
    def mean_f1(self) -> npt.NDArray[np.float64]:
        """The mean over the classes that have objects ``[scores]``; 0 if none has."""
        is_present = self.objects > 0
        result: npt.NDArray[np.float64] = (
            self.f1[is_present].mean(axis=0) if is_present.any() else np.zeros(len(SCORES))
        )
        return result

    @property
    def best(self) -> tuple[float, float]:
        """The score from which detections count for the highest mean F1, and that F1; of several, the middle one."""
        mean = self.mean_f1
        highest = np.flatnonzero(mean == mean.max())
        place = highest[len(highest) // 2]
        return float(SCORES[place]), float(mean[place])


def confidence_curves(
    detections: Detections, truth: GroundTruth, pairs: Overlaps, *, num_classes: int
) -> ConfidenceCurves:
    """The curves of a split, by COCO's matching at an IoU of 0.5.

    Args:
        pairs: all with an IoU of at least 0.5.
    """
    matches = match(detections, truth, pairs, thresholds=(LEAST_IOU,))
    scores, labels = detections.scores[matches.detections], detections.classes[matches.detections]
    is_counted = ~matches.is_ignored[0, 0]
    is_true = is_counted & (matches.objects[0, 0] >= 0)
    shape = (num_classes, len(SCORES))
    true, counted = (_counts_from(scores[chosen], labels[chosen], shape) for chosen in (is_true, is_counted))
    return ConfidenceCurves(true, counted, truth.counts(num_classes))


def _counts_from(scores: Array, labels: Array, shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The number of each class with at least each of SCORES."""
    last = np.searchsorted(SCORES, scores, side="right") - 1  # the highest that is reached
    reached = np.zeros(shape, np.int64)
    np.add.at(reached, (labels[last >= 0], last[last >= 0]), 1)
    return reached[:, ::-1].cumsum(axis=1)[:, ::-1]
