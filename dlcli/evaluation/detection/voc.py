"""VOC's average precision at an IoU of 0.5, as in its devkit since 2010: the area under the interpolated curve
(Everingham et al. 2010, section 4.2; VOCdevkit 2010, VOCevaldet).

It differs from COCO's: a detection is compared with the object that it overlaps most, whether or not that is taken, all
detections count, and precision is not sampled at 101 recalls. Detections of difficult objects do not count. VOC has no
crowds; here a detection that finds no object and lies in a crowd does not count either.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.detection.average_precision import precision_recall
from dlcli.evaluation.detection.boxes import Detections, GroundTruth, Overlaps

Array = npt.NDArray[Any]

LEAST_IOU = 0.5


def voc_ap50(
    detections: Detections, truth: GroundTruth, pairs: Overlaps, *, num_classes: int
) -> npt.NDArray[np.float64]:
    """The average precision of each class ``[classes]``; NaN for a class without an object that counts.

    Args:
        pairs: all with an IoU of at least 0.5.
    """
    is_same_class = detections.classes[pairs.detections] == truth.classes[pairs.objects]
    pairs = pairs.where(is_same_class & (pairs.iou >= LEAST_IOU))
    best = _most_overlapped(len(detections), pairs.where(~truth.is_crowd[pairs.objects]))
    in_crowd = np.zeros(len(detections), bool)
    in_crowd[pairs.detections[truth.is_crowd[pairs.objects]]] = True
    num_objects = truth.counts(num_classes)
    result = np.full(num_classes, np.nan)
    for label in np.flatnonzero(num_objects).tolist():
        order = np.flatnonzero(detections.classes == label)
        order = order[np.argsort(-detections.scores[order], kind="stable")]
        taken = best[order]
        is_true = np.zeros(len(order), bool)
        objects, first = np.unique(taken, return_index=True)
        is_true[first[objects >= 0]] = True
        is_ignored = np.where(taken >= 0, truth.is_difficult[taken], in_crowd[order])
        precision, recall = precision_recall(is_true, is_ignored, int(num_objects[label]))
        highest = np.maximum.accumulate(precision[::-1])[::-1]
        result[label] = float((np.diff(recall, prepend=0.0) * highest).sum())
    return result


def _most_overlapped(num_detections: int, pairs: Overlaps) -> npt.NDArray[np.int64]:
    """The object that each detection overlaps most ``[m]``, the first of several; -1 for none."""
    order = np.lexsort((-pairs.objects, pairs.iou))  # of the assignments to a position, the last one stays
    best = np.full(num_detections, -1, np.int64)
    best[pairs.detections[order]] = pairs.objects[order]
    return best
