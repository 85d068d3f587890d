"""Greedy non-maximum suppression, by which that of saved models is checked."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.detection.boxes import box_iou

Array = npt.NDArray[Any]


def greedy_nms(
    boxes: Array,
    scores: Array,
    classes: Array,
    *,
    score: float,
    iou: float,
    max_boxes: int,
    class_agnostic: bool = False,
) -> npt.NDArray[np.int64]:
    """The positions of the boxes of an image that remain, in descending order of scores.

    Boxes are taken in descending order of their scores, equal ones in their order; each removes the following ones of
    its class whose IoU with it is greater than ``iou``.

    Args:
        boxes: xyxy ``[k, 4]`` in any unit.
        scores, classes: ``[k]``.
        score: smallest score of a box.
        max_boxes: at most so many remain.
        class_agnostic: a box removes those of other classes too.
    """
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= score]
    removes = box_iou(boxes[order], boxes[order]) > iou
    if not class_agnostic:
        removes &= classes[order][:, None] == classes[order]
    is_kept = np.ones(len(order), bool)
    for i in range(len(order)):
        if is_kept[i]:
            is_kept[i + 1 :] &= ~removes[i, i + 1 :]
    return order[is_kept][:max_boxes]
