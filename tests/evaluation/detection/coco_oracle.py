"""Detections and ground truth evaluated by pycocotools."""

import contextlib
import io
from typing import Any

import numpy as np
from pycocotools import mask as mask_tools
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dlcli.evaluation.detection.boxes import Detections, GroundTruth

BEYOND = 1e12  # an area that is in no range, so that the object is ignored in all of them


def evaluate(detections: Detections, truth: GroundTruth, num_classes: int) -> Any:
    """A COCOeval with its ``stats`` and ``eval``; difficult objects are in no area range."""
    boxes, of_truth = ([{"bbox": xywh(box)} for box in values.boxes] for values in (detections, truth))
    return _evaluated(detections, truth, num_classes, boxes, of_truth, kind="bbox")


def evaluate_masks(detections: Detections, truth: GroundTruth, num_classes: int, masks: Any, of_truth: Any) -> Any:
    """The same by masks bool ``[m, height, width]`` and those of the truth."""
    codes, true_codes = (
        [{"segmentation": mask_tools.encode(np.asfortranarray(mask.astype(np.uint8)))} for mask in values]
        for values in (masks, of_truth)
    )
    return _evaluated(detections, truth, num_classes, codes, true_codes, kind="segm")


def _evaluated(
    detections: Detections, truth: GroundTruth, num_classes: int, found_shapes: Any, true_shapes: Any, *, kind: str
) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image + 1, "height": 1, "width": 1} for image in range(truth.num_images)],
            "categories": [{"id": label + 1} for label in range(num_classes)],
            "annotations": [
                {
                    "id": i + 1,
                    "image_id": int(image) + 1,
                    "category_id": int(truth.classes[i]) + 1,
                    "area": BEYOND if truth.is_difficult[i] else float(truth.areas[i]),
                    "iscrowd": int(truth.is_crowd[i]),
                    **true_shapes[i],
                }
                for i, image in enumerate(truth.images)
            ],
        }
        coco.createIndex()
        found = [
            {
                "image_id": int(image) + 1,
                "category_id": int(detections.classes[i]) + 1,
                "score": float(detections.scores[i]),
                **found_shapes[i],
            }
            for i, image in enumerate(detections.images)
        ]
        results = coco.loadRes(found) if found else COCO()
        evaluation = COCOeval(coco, results, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def xywh(box: Any) -> list[float]:
    return [float(value) for value in np.concatenate([box[:2], box[2:] - box[:2]])]
