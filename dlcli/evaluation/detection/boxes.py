"""Detected boxes and ground truth of a split, and how much they overlap.

Boxes are xmin, ymin, xmax, ymax in the pixels of each image, where coordinates are edges: the whole image is 0, 0,
width, height. The boxes of all images lie one after another; image i has those from ``offsets[i]`` to
``offsets[i + 1]``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

IouOfImage = Callable[[int, Array, Array], Array]
"""Called with an image's position, its positions in the detections ``[d]`` and in the ground truth ``[g]``: the
intersections over unions ``[d, g]``; for a crowd, the intersection over the detection's area."""


@dataclass(frozen=True)
class Detections:
    """What a detector found in n images.

    Attributes:
        boxes: float64 ``[m, 4]``.
        scores: float64 ``[m]`` in [0, 1].
        classes: int32 ``[m]``.
        offsets: int64 ``[n + 1]``.
        mask_areas: float64 ``[m]`` in pixels, of detections that are masks; None for boxes.
    """

    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    mask_areas: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def num_images(self) -> int:
        """Number of images, with those without a detection."""
        return len(self.offsets) - 1

    @property
    def images(self) -> npt.NDArray[np.int64]:
        """The image of each detection ``[m]``."""
        return owners(self.offsets)

    @property
    def areas(self) -> npt.NDArray[np.float64]:
        """In square pixels ``[m]``."""
        return box_areas(self.boxes) if self.mask_areas is None else self.mask_areas

    def where(self, is_kept: Array) -> "Detections":
        """Those for which ``is_kept`` is true, bool ``[m]``, of the same images."""
        return replace(
            self,
            boxes=self.boxes[is_kept],
            scores=self.scores[is_kept],
            classes=self.classes[is_kept],
            offsets=np.concatenate([[0], np.cumsum(is_kept, dtype=np.int64)])[self.offsets],
            mask_areas=None if self.mask_areas is None else self.mask_areas[is_kept],
        )


@dataclass(frozen=True)
class GroundTruth:
    """The annotated objects of n images.

    Attributes:
        boxes: float64 ``[m, 4]``.
        classes: int32 ``[m]``.
        is_crowd: bool ``[m]``: COCO's regions of many objects. Detections in them are not counted.
        is_difficult: bool ``[m]``: VOC's difficult objects. They need not be found, and finding one is not counted.
        areas: float64 ``[m]`` in square pixels: COCO's ``area``, which is that of the mask, otherwise the box's.
        offsets: int64 ``[n + 1]``.
    """

    boxes: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int32]
    is_crowd: npt.NDArray[np.bool_]
    is_difficult: npt.NDArray[np.bool_]
    areas: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def num_images(self) -> int:
        """Number of images, with those without an object."""
        return len(self.offsets) - 1

    @property
    def images(self) -> npt.NDArray[np.int64]:
        """The image of each object ``[m]``."""
        return owners(self.offsets)

    @property
    def is_ignored(self) -> npt.NDArray[np.bool_]:
        """Whether an object does not count: a crowd, or difficult ``[m]``."""
        return self.is_crowd | self.is_difficult

    def counts(self, num_classes: int) -> npt.NDArray[np.int64]:
        """The number of objects of each class that count ``[classes]``."""
        return np.bincount(self.classes[~self.is_ignored], minlength=num_classes)


@dataclass(frozen=True)
class Overlaps:
    """The pairs of a detection and an object of the same image that overlap enough.

    Attributes:
        detections, objects: positions in :class:`Detections` and :class:`GroundTruth`, int64 ``[p]``; in ascending
            order of detections, then of objects.
        iou: intersections over unions, float64 ``[p]``.
    """

    detections: npt.NDArray[np.int64]
    objects: npt.NDArray[np.int64]
    iou: npt.NDArray[np.float64]

    def where(self, is_kept: Array) -> "Overlaps":
        """The pairs for which ``is_kept`` is true, bool ``[p]``; or those at these positions."""
        return Overlaps(self.detections[is_kept], self.objects[is_kept], self.iou[is_kept])


def owners(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The image of each box ``[m]``."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def box_areas(boxes: Array) -> npt.NDArray[np.float64]:
    """Areas of boxes ``[m]``."""
    areas: npt.NDArray[np.float64] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def box_iou(boxes: Array, others: Array, is_crowd: Array | None = None) -> npt.NDArray[np.float64]:
    """Intersection over union of each box with each other one, ``[m, k]`` in [0, 1].

    It is computed from corner, width and height like that of pycocotools, so that it is equal to the last bit.

    Args:
        boxes: ``[m, 4]``.
        others: ``[k, 4]``.
        is_crowd: bool ``[k]``: for these it is the intersection over the area of the box of ``boxes``.
    """
    sizes, other_sizes = boxes[:, 2:] - boxes[:, :2], others[:, 2:] - others[:, :2]
    far = np.minimum((boxes[:, :2] + sizes)[:, None], (others[:, :2] + other_sizes)[None])
    sides = np.maximum(far - np.maximum(boxes[:, None, :2], others[None, :, :2]), 0.0)
    common = sides[..., 0] * sides[..., 1]
    areas = np.broadcast_to((sizes[:, 0] * sizes[:, 1])[:, None], common.shape)
    union = areas + other_sizes[:, 0] * other_sizes[:, 1] - common
    if is_crowd is not None:
        union = np.where(is_crowd, areas, union)
    result = np.zeros(common.shape)
    np.divide(common, union, out=result, where=common > 0)
    return result


def overlaps(
    detections: Detections, truth: GroundTruth, *, least: float, iou_of_image: IouOfImage | None = None
) -> Overlaps:
    """The pairs of a detection and an object of the same image, of any class, with an IoU of at least ``least``.

    Args:
        iou_of_image: how the overlap is measured; None for that of the boxes.
    """

    def of_boxes(image: int, found: Array, true: Array) -> Array:
        return box_iou(detections.boxes[found], truth.boxes[true], truth.is_crowd[true])

    measure = iou_of_image or of_boxes
    parts: list[tuple[Array, Array, Array]] = []
    for image in np.flatnonzero((np.diff(detections.offsets) > 0) & (np.diff(truth.offsets) > 0)).tolist():
        found = np.arange(detections.offsets[image], detections.offsets[image + 1])
        true = np.arange(truth.offsets[image], truth.offsets[image + 1])
        iou = measure(image, found, true)
        rows, columns = np.nonzero(iou >= least)
        parts.append((found[rows], true[columns], iou[rows, columns]))
    if not parts:
        return Overlaps(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Overlaps(*(np.concatenate(values) for values in zip(*parts, strict=True)))
