"""Detections and ground truth evaluated by pycocotools."""

import contextlib
import io
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dlcli.evaluation.detection.boxes import Detections, GroundTruth

BEYOND = 1e12  # an area that is in no range, so that the object is ignored in all of them


def evaluate(detections: Detections, truth: GroundTruth, num_classes: int) -> Any:
    """A COCOeval with its ``stats`` and ``eval``; difficult objects are in no area range."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image + 1} for image in range(truth.num_images)],
            "categories": [{"id": label + 1} for label in range(num_classes)],
            "annotations": [
                {
                    "id": i + 1,
                    "image_id": int(image) + 1,
                    "category_id": int(truth.classes[i]) + 1,
                    "bbox": xywh(truth.boxes[i]),
                    "area": BEYOND if truth.is_difficult[i] else float(truth.areas[i]),
                    "iscrowd": int(truth.is_crowd[i]),
                }
                for i, image in enumerate(truth.images)
            ],
        }
        coco.createIndex()
        found = [
            {
                "image_id": int(image) + 1,
                "category_id": int(detections.classes[i]) + 1,
                "bbox": xywh(detections.boxes[i]),
                "score": float(detections.scores[i]),
            }
            for i, image in enumerate(detections.images)
        ]
        results = coco.loadRes(found) if found else COCO()
        evaluation = COCOeval(coco, results, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def xywh(box: Any) -> list[float]:
    return [float(value) for value in np.concatenate([box[:2], box[2:] - box[:2]])]
