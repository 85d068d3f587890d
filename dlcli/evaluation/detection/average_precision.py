"""COCO's average precision and average recall, equal to those of pycocotools to the last bit.

Precision at a recall is the highest precision at that or a higher recall, at 101 recalls from 0 to 1; the average
precision (AP) of a class is the mean over these recalls and over 10 IoU thresholds from 0.5 to 0.95
(https://cocodataset.org/#detection-eval).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.detection.boxes import Detections, GroundTruth, Overlaps
from dlcli.evaluation.detection.matching import ALL_AREAS, Matches, Range, match

Array = npt.NDArray[Any]

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of the IoU
RECALLS = np.linspace(0.0, 1.0, 101)
AREAS: dict[str, Range] = {
    "all": ALL_AREAS,
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e5**2),
}
"""COCO's ranges of areas in square pixels of the original image."""
LIMITS = (1, 10, 100)
"""Numbers of detections per image and class, those of the highest scores."""


@dataclass(frozen=True)
class CocoScores:
    """Precision and recall in all of COCO's settings; NaN for classes without an object that counts.

    Attributes:
        precision: float64 ``[thresholds, recalls, classes, areas, limits]``.
        recall: the highest that is reached, float64 ``[thresholds, classes, areas, limits]``.
    """

    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]

    def ap(self, *, iou: float | None = None, area: str = "all", label: int | None = None) -> float:
        """The mean of the precision; NaN if there is no object.

        Args:
            iou: one of THRESHOLDS; None for the mean over all.
            area: one of AREAS.
            label: of the class; None for the mean over all.
        """
        chosen = slice(None) if iou is None else [_position(iou)]
        classes = slice(None) if label is None else slice(label, label + 1)
        return _mean(self.precision[chosen][:, :, classes, list(AREAS).index(area), -1])

    def ar(self, *, limit: int = LIMITS[-1], area: str = "all", label: int | None = None) -> float:
        """The mean over IoU thresholds of the highest recall; NaN if there is no object.

        Args:
            limit: one of LIMITS.
            area, label: as in :meth:`ap`.
        """
        classes = slice(None) if label is None else slice(label, label + 1)
        return _mean(self.recall[:, classes, list(AREAS).index(area), LIMITS.index(limit)])


def coco_scores(detections: Detections, truth: GroundTruth, pairs: Overlaps, *, num_classes: int) -> CocoScores:
    """Precision and recall of a split.

    Args:
        pairs: all with an IoU of at least 0.5.
    """
    matches = match(
        *(detections, truth, pairs),
        thresholds=THRESHOLDS.tolist(),
        areas=tuple(AREAS.values()),
        num_taken=LIMITS[-1],
    )
    shape = (len(THRESHOLDS), len(RECALLS), num_classes, len(AREAS), len(LIMITS))
    precision = np.full(shape, np.nan)
    recall = np.full((shape[0], *shape[2:]), np.nan)
    ends = np.searchsorted(detections.classes[matches.detections], np.arange(num_classes + 1))
    for label in range(num_classes):
        of_class = np.arange(ends[label], ends[label + 1])
        is_own = truth.classes == label
        for limit_number, limit in enumerate(LIMITS):
            kept = of_class[matches.rank[of_class] < limit]
            kept = kept[np.argsort(-detections.scores[matches.detections[kept]], kind="stable")]
            for area in range(len(AREAS)):
                num_objects = int((is_own & ~matches.is_object_ignored[area]).sum())
                if num_objects:
                    cell = (slice(None), label, area, limit_number)
                    recall[cell], precision[:, :, label, area, limit_number] = _curve(matches, area, kept, num_objects)
    return CocoScores(precision, recall)


def precision_recall(is_true: Array, is_ignored: Array, num_objects: int) -> tuple[Array, Array]:
    """Precision and recall after each detection in descending order of scores.

    Args:
        is_true: whether a detection takes an object that counts, bool ``[..., d]``.
        is_ignored: whether a detection does not count, bool ``[..., d]``.
        num_objects: that count; at least 1.

    Returns:
        Two float64 ``[..., d]``.
    """
    true = np.cumsum(is_true & ~is_ignored, axis=-1).astype(np.float64)
    false = np.cumsum(~is_true & ~is_ignored, axis=-1).astype(np.float64)
    return true / (false + true + np.spacing(1)), true / num_objects


def _curve(matches: Matches, area: int, kept: Array, num_objects: int) -> tuple[Array, Array]:
    """The highest recall ``[thresholds]`` and the precision at RECALLS ``[thresholds, recalls]``."""
    is_true, is_ignored = matches.objects[area][:, kept] >= 0, matches.is_ignored[area][:, kept]
    precision, recall = precision_recall(is_true, is_ignored, num_objects)
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    found = np.zeros((len(THRESHOLDS), len(RECALLS)))
    for row, (of_recall, of_precision) in enumerate(zip(recall, highest, strict=True)):
        place = np.searchsorted(of_recall, RECALLS, side="left")
        is_reached = place < len(of_recall)
        found[row, is_reached] = of_precision[place[is_reached]]
    return recall[:, -1] if len(kept) else np.zeros(len(THRESHOLDS)), found


def _position(iou: float) -> int:
    return int(np.abs(THRESHOLDS - iou).argmin())


def _mean(values: Array) -> float:
    """Over the values that are not NaN, in the order of pycocotools, on which the last bit depends."""
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if len(known) else float("nan")
