"""How many objects the images of a split have, of which classes and sizes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.data.images.samples import Samples

SMALL, MEDIUM = 32.0**2, 96.0**2
"""COCO's limits of areas in square pixels: a small object is below the first, a medium one below the second."""
SIZES = ("small", "medium", "large")
SAME = 0.95  # intersection over union of two boxes that probably mean one object


@dataclass(frozen=True)
class ObjectStatistics:
    """The objects of a split; crowds and difficult ones are counted apart.

    Attributes:
        boxes: of each class, int64 ``[classes]``.
        images: in how many images each class is, int64 ``[classes]``.
        per_image: the objects of each image, int64 ``[n]``.
        sizes: how many objects are small, medium and large, int64 ``[3]``.
        ratios: width divided by height of each object, float64 ``[m]``.
        crowds, difficult: their numbers.
    """

    boxes: NDArray[np.int64]
    images: NDArray[np.int64]
    per_image: NDArray[np.int64]
    sizes: NDArray[np.int64]
    ratios: NDArray[np.float64]
    crowds: int
    difficult: int


def count_objects(splits: Mapping[str, Samples], num_classes: int) -> dict[str, ObjectStatistics]:
    """The statistics of each split that has objects."""
    listed = {split: objects_of(samples) for split, samples in splits.items()}
    return {split: _count(objects, num_classes) for split, objects in listed.items() if objects is not None}


def _count(objects: ObjectBoxes, num_classes: int) -> ObjectStatistics:
    counted = objects.is_trained
    labels, owners, corners = objects.labels[counted], objects.owners[counted], objects.corners[counted]
    pairs = np.unique(np.stack([owners, labels.astype(np.int64)], axis=1), axis=0)
    return ObjectStatistics(
        boxes=np.bincount(labels, minlength=num_classes),
        images=np.bincount(pairs[:, 1], minlength=num_classes),
        per_image=np.bincount(owners, minlength=len(objects)),
        sizes=np.bincount(np.digitize(objects.areas[counted], (SMALL, MEDIUM)), minlength=3),
        ratios=(corners[:, 2] - corners[:, 0]) / (corners[:, 3] - corners[:, 1]),
        crowds=int(objects.is_crowd.sum()),
        difficult=int((objects.is_difficult & ~objects.is_crowd).sum()),
    )


def nearly_same(objects: ObjectBoxes) -> tuple[list[int], list[int]]:
    """The images in which two objects have nearly the same box, by their positions: of one class, and of two."""
    alike: list[int] = []
    contradicting: list[int] = []
    for image in np.flatnonzero(objects.counts > 1).tolist():
        own = np.arange(objects.offsets[image], objects.offsets[image + 1])
        own = own[~objects.is_crowd[own]]
        one, other = np.triu_indices(len(own), 1)
        is_same = _iou(objects.corners[own[one]], objects.corners[own[other]]) >= SAME
        has_one_class = objects.labels[own[one]] == objects.labels[own[other]]
        if (is_same & has_one_class).any():
            alike.append(image)
        if (is_same & ~has_one_class).any():
            contradicting.append(image)
    return alike, contradicting


def _iou(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of pairs of boxes ``[n, 4]`` that have areas."""
    sides = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(others[:, 2:] - others[:, :2], axis=1)
    return np.asarray(shared / (areas - shared))
