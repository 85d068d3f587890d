"""Random sets of objects and detections that have what detectors' results have: ties, crowds, duplicates, empty images.

Coordinates are multiples of a quarter of a pixel, so that sums are exact whatever their order.
"""

from typing import Any

import numpy as np

from dlcli.evaluation.detection.boxes import Detections, GroundTruth

SIDE = 300


def scenes(
    seed: int,
    *,
    num_images: int = 12,
    num_classes: int = 4,
    num_objects: int = 8,
    crowds: bool = True,
    step: float = 0.05,
) -> tuple[Detections, GroundTruth]:
    """Detections and ground truth; the last class has no object, and some images have none or no detection.

    Args:
        num_objects: the largest number in an image.
        step: of the scores, so that many are equal.
    """
    rng = np.random.default_rng(seed)
    true = rng.integers(0, num_objects + 1, num_images) * (rng.random(num_images) > 0.15)
    corners = rng.integers(0, SIDE - 60, (true.sum(), 2))
    sides = rng.choice([3, 10, 30, 60, 120, 200], (true.sum(), 2)) + rng.integers(0, 12, (true.sum(), 2)) / 4
    boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float64)
    labels = rng.integers(0, max(num_classes - 1, 1), true.sum())
    areas = np.where(rng.random(len(boxes)) < 0.5, sides.prod(axis=1), np.rint(sides.prod(axis=1) * 0.7))
    truth = GroundTruth(
        *(boxes, labels.astype(np.int32)),
        is_crowd=(rng.random(len(boxes)) < 0.15) & crowds,
        is_difficult=np.zeros(len(boxes), bool),
        areas=areas,
        offsets=offsets_of(true),
    )
    found: list[Any] = []
    counts = []
    for image in range(num_images):
        own = np.arange(truth.offsets[image], truth.offsets[image + 1])
        own = np.repeat(own, rng.integers(0, 4, len(own)))
        near = boxes[own] + rng.integers(-16, 17, (len(own), 4)) / 4 * rng.choice([0, 1, 2, 4], (len(own), 1))
        wrong = rng.random(len(own)) < 0.2
        near_labels = np.where(wrong, rng.integers(0, num_classes, len(own)), labels[own])
        corner = rng.integers(0, SIDE - 50, (rng.integers(0, 5), 2))
        far = np.concatenate([corner, corner + rng.integers(4, 100, corner.shape)], axis=1)
        of_image = np.concatenate([near, far])
        if rng.random() < 0.1:
            of_image = of_image[:0]
        of_image[:, 2:] = np.maximum(of_image[:, 2:], of_image[:, :2] + 0.25)
        all_labels = np.concatenate([near_labels, rng.integers(0, num_classes, len(far))])[: len(of_image)]
        scores = np.rint(rng.random(len(of_image)) / step) * step
        found += [(of_image, all_labels, scores)]
        counts.append(len(of_image))
    return (
        Detections(
            np.concatenate([a for a, _, _ in found]).astype(np.float64),
            np.concatenate([c for _, _, c in found]),
            np.concatenate([b for _, b, _ in found]).astype(np.int32),
            offsets_of(counts),
        ),
        truth,
    )


def offsets_of(counts: Any) -> Any:
    return np.concatenate([[0], np.cumsum(np.asarray(counts, np.int64))]).astype(np.int64)


def one_image(
    found: list[tuple[float, ...]], true: list[tuple[float, ...]], **flags: list[bool]
) -> tuple[Detections, GroundTruth]:
    """An image with detections (xmin, ymin, xmax, ymax, score, class) and objects (xmin, ymin, xmax, ymax, class)."""
    detected = np.array(found, np.float64).reshape(-1, 6)
    objects = np.array(true, np.float64).reshape(-1, 5)
    none = [False] * len(objects)
    return (
        Detections(detected[:, :4], detected[:, 4], detected[:, 5].astype(np.int32), offsets_of([len(detected)])),
        GroundTruth(
            *(objects[:, :4], objects[:, 4].astype(np.int32)),
            is_crowd=np.array(flags.get("is_crowd", none), bool),
            is_difficult=np.array(flags.get("is_difficult", none), bool),
            areas=(objects[:, 2] - objects[:, 0]) * (objects[:, 3] - objects[:, 1]),
            offsets=offsets_of([len(objects)]),
        ),
    )
