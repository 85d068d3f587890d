"""What is wrong with the detections from some score on: the confusion matrix with background, and a list of errors.

The kinds of errors are those of TIDE (Bolya et al. 2020, section 2.2), with its thresholds: an object is found from an
IoU of 0.5 on, and below 0.1 a detection is on background.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.detection.boxes import Detections, GroundTruth, Overlaps
from dlcli.evaluation.detection.matching import match

Array = npt.NDArray[Any]

LEAST_IOU = 0.5  # of a detection that finds an object
BACKGROUND_IOU = 0.1  # below it a detection has nothing to do with an object

KINDS = {
    "duplicate": "an object that a detection of a higher score has found",
    "class": "an object of another class",
    "localization": "an object of its class, overlapped too little",
    "both": "an object of another class, overlapped too little",
    "background": "no object",
    "missed": "an object that no detection finds, and none has as its class or localization error",
}
"""The kinds of errors: what a false detection is on, the first that applies; and objects that are missed."""


@dataclass(frozen=True)
class Error:
    """A false detection or a missed object.

    Attributes:
        kind: one of KINDS.
        detection: its position; None for a missed object.
        object: the position of the object that the detection overlaps most, of those that make it this kind, or that is
            missed; None for a detection on background.
        iou: of the two; None if one is None.
    """

    kind: str
    detection: int | None
    object: int | None
    iou: float | None


@dataclass(frozen=True)
class Assessment:
    """The detections from some score on, compared with the objects.

    Attributes:
        objects: the object of its class that each detection finds, int64 ``[m]``; -1 for none.
        iou: of the two ``[m]``; NaN for none.
        is_ignored: whether a detection does not count: it is in a crowd, or on a difficult object ``[m]``.
        confusion: int64 ``[classes + 1, classes + 1]``, true classes in rows and predicted ones in columns; the last
            of each is background. An object that no detection of its class finds is assigned to one of another class,
            if there is one that finds no object itself.
        errors: false detections, then missed objects.
    """

    objects: npt.NDArray[np.int64]
    iou: npt.NDArray[np.float64]
    is_ignored: npt.NDArray[np.bool_]
    confusion: npt.NDArray[np.int64]
    errors: Sequence[Error]

    @property
    def kinds(self) -> dict[str, int]:
        """The number of errors of each of KINDS."""
        found = Counter(error.kind for error in self.errors)
        return {kind: found[kind] for kind in KINDS}


def assess(detections: Detections, truth: GroundTruth, pairs: Overlaps, *, num_classes: int) -> Assessment:
    """Compare detections, already limited to those from some score on, with objects.

    Args:
        pairs: all with an IoU of at least 0.1.
    """
    found = pairs.where(pairs.iou >= LEAST_IOU)
    objects, is_ignored = _matched(detections, truth, found)
    iou = np.full(len(detections), np.nan)
    is_own = objects[pairs.detections] == pairs.objects
    iou[pairs.detections[is_own]] = pairs.iou[is_own]

    is_false = (objects < 0) & ~is_ignored
    is_lost = ~truth.is_ignored
    is_lost[objects[objects >= 0]] = False
    confused = _confused(detections, truth, found.where(is_false[found.detections] & is_lost[found.objects]))

    true_class = np.full(len(detections), num_classes)
    is_assigned = (objects >= 0) | (confused >= 0)
    true_class[is_assigned] = truth.classes[np.where(objects >= 0, objects, confused)[is_assigned]]
    confusion = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    np.add.at(confusion, (true_class[~is_ignored], detections.classes[~is_ignored]), 1)
    is_lost_in_matrix = is_lost.copy()
    is_lost_in_matrix[confused[confused >= 0]] = False
    confusion[:-1, -1] = np.bincount(truth.classes[is_lost_in_matrix], minlength=num_classes)
    return Assessment(objects, iou, is_ignored, confusion, _errors(detections, truth, pairs, is_false, is_lost))


def _matched(detections: Detections, truth: GroundTruth, pairs: Overlaps) -> tuple[Array, Array]:
    """The object that each detection takes ``[m]``, -1 for none or one that is ignored; and whether it is ignored."""
    matches = match(detections, truth, pairs, thresholds=(LEAST_IOU,), num_taken=max(1, len(detections)))
    objects, is_ignored = np.full(len(detections), -1, np.int64), np.zeros(len(detections), bool)
    is_ignored[matches.detections] = matches.is_ignored[0, 0]
    objects[matches.detections] = matches.objects[0, 0]
    return np.where(is_ignored, -1, objects), is_ignored


def _confused(detections: Detections, truth: GroundTruth, pairs: Overlaps) -> Array:
    """The same whatever the classes, of these pairs alone."""
    of_one_class = replace(detections, classes=np.zeros_like(detections.classes))
    objects, _ = _matched(of_one_class, replace(truth, classes=np.zeros_like(truth.classes)), pairs)
    return objects


def _errors(
    detections: Detections, truth: GroundTruth, pairs: Overlaps, is_false: Array, is_lost: Array
) -> list[Error]:
    pairs = pairs.where(is_false[pairs.detections] & ~truth.is_crowd[pairs.objects])
    is_same = detections.classes[pairs.detections] == truth.classes[pairs.objects]
    is_found = pairs.iou >= LEAST_IOU
    of_kind = {
        "duplicate": is_same & is_found,
        "class": ~is_same & is_found,
        "localization": is_same & ~is_found,
        "both": ~is_same & ~is_found,
    }
    errors: dict[int, Error] = {}
    for kind, chosen in of_kind.items():
        own = pairs.where(chosen)
        own = own.where(np.argsort(-own.iou, kind="stable"))
        for detection, index, iou in zip(own.detections.tolist(), own.objects.tolist(), own.iou.tolist(), strict=True):
            errors.setdefault(detection, Error(kind, detection, index, iou))  # the first is the highest IoU
    for detection in np.flatnonzero(is_false).tolist():
        errors.setdefault(detection, Error("background", detection, None, None))
    explained = {error.object for error in errors.values() if error.kind in ("class", "localization")}
    missed = [
        Error("missed", None, index, None) for index in np.flatnonzero(is_lost).tolist() if index not in explained
    ]
    return [errors[detection] for detection in sorted(errors)] + missed
