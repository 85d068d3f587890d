"""The baseline of detection: the same boxes in every image, chosen from the training split without looking at a pixel.

The boxes of a class are chosen greedily: each is the annotated box that finds an object, not yet found by those chosen
before, in the most training images. Its score is the proportion of the training images in which it does. Since the IoU
does not change when an axis is scaled, boxes are relative to their images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation.detection.boxes import Detections, box_iou

Array = npt.NDArray[Any]

DESCRIPTION = "the boxes of each class that find the most objects of the training split, the same in every image"

LEAST_IOU = 0.5  # of a box that finds an object
NUM_BOXES = 100  # of all classes together, as many as COCO evaluates in an image; but at least one of each class
MAX_CANDIDATES = 500  # annotated boxes of a class among which the boxes are chosen
MAX_OBJECTS = 5_000  # of a class on which they are compared


@dataclass(frozen=True)
class FixedBoxes:
    """The boxes that are predicted in every image.

    Attributes:
        boxes: rel_xyxy float64 ``[k, 4]``.
        scores: float64 ``[k]``.
        classes: int32 ``[k]``.
        shapes: of masks, the part of a box that an object of each class fills, bool ``[classes, side, side]``; None for
            boxes alone.
    """

    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int32]
    shapes: npt.NDArray[np.bool_] | None = None

    def detections(self, sizes: Array) -> Detections:
        """The boxes in images of these widths and heights ``[n, 2]``, in pixels."""
        num = len(sizes)
        scaled = self.boxes[None] * np.tile(sizes, (1, 2)).astype(np.float64)[:, None]
        return Detections(
            scaled.reshape(-1, 4),
            np.tile(self.scores, num),
            np.tile(self.classes, num),
            np.arange(num + 1, dtype=np.int64) * len(self.boxes),
        )


def fixed_boxes(boxes: Array, classes: Array, images: Array, *, num_images: int, num_classes: int) -> FixedBoxes:
    """Choose the boxes.

    Args:
        boxes: of the objects of the training split, rel_xyxy ``[m, 4]``.
        classes: of these ``[m]``.
        images: the image of each, in ascending order ``[m]``.
        num_images: of the training split, at least 1.
        num_classes: number of classes; those without an object get no box.
    """
    num_chosen = max(1, NUM_BOXES // num_classes)
    found: list[tuple[Array, Sequence[float], int]] = []
    for label in range(num_classes):
        own = np.flatnonzero(classes == label)
        compared = own[_spread(len(own), MAX_OBJECTS)]
        chosen, counts = _greedy(
            boxes[own[_spread(len(own), MAX_CANDIDATES)]], boxes[compared], images[compared], num_chosen
        )
        share = len(compared) / max(1, len(own))  # of the objects on which counts were taken
        found.append((chosen, [min(1.0, count / share / num_images) for count in counts], label))
    return FixedBoxes(
        np.concatenate([chosen for chosen, _, _ in found]).reshape(-1, 4).astype(np.float64),
        np.array([score for _, scores, _ in found for score in scores], np.float64),
        np.array([label for chosen, _, label in found for _ in chosen], np.int32),
    )


def _spread(number: int, limit: int) -> Array:
    """At most ``limit`` positions, evenly spread."""
    return (
        np.unique(np.linspace(0, number - 1, min(number, limit)).round().astype(np.int64)) if number else np.arange(0)
    )


def _greedy(candidates: Array, objects: Array, images: Array, number: int) -> tuple[Array, list[int]]:
    """The boxes chosen of ``candidates``, and in how many images each finds an object that those before did not."""
    iou = box_iou(candidates, objects)
    finds = iou >= LEAST_IOU
    num_images = _num_images(finds, images)
    chosen: list[int] = []
    counts: list[int] = []
    while len(chosen) < number and num_images.max(initial=0) > 0:
        best = int(num_images.argmax())
        chosen.append(best)
        counts.append(int(num_images[best]))
        # in each image it finds the object that it overlaps most; only the counts of these images change
        place = np.flatnonzero(np.isin(images, images[finds[best]]))
        starts = np.flatnonzero(np.diff(images[place], prepend=-1))
        of_best = np.where(finds[best, place], iou[best, place], -1.0)
        highest = np.repeat(np.maximum.reduceat(of_best, starts), np.diff(starts, append=len(place)))
        num_images -= _num_images(finds[:, place], images[place])
        finds[:, place[of_best == highest]] = False
        num_images += _num_images(finds[:, place], images[place])
    return candidates[chosen], counts


def _num_images(finds: Array, images: Array) -> Array:
    """The number of images with an object that each candidate finds."""
    if not len(images):
        return np.zeros(len(finds), np.int64)
    of_images = np.logical_or.reduceat(finds, np.flatnonzero(np.diff(images, prepend=-1)), axis=1)
    number: Array = of_images.sum(axis=1)
    return number
