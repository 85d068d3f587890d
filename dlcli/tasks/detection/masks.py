"""The masks of detections at the size of their images: their overlaps with those of objects, areas and encodings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import UPRIGHT, Frame, maps_to_input, move
from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.data.boxes.pasting import Patch, paste
from dlcli.data.boxes.polygons import decode_runs, encode_runs, fill_runs
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.evaluation.detection.boxes import Detections, GroundTruth, IouOfImage
from dlcli.evaluation.detection.masks import mask_iou, packed

Array = NDArray[Any]


@dataclass(frozen=True)
class ImageMasks:
    """What is kept of the masks in an image.

    Attributes:
        size: height and width of the upright image.
        areas: of the masks in pixels, float64 ``[d]``.
        iou: with the masks of the image's objects, float64 ``[d, g]``; for a crowd, the intersection over the mask's
            area.
        runs: COCO's compressed encoding of each mask in the upright image; none if they are only measured.
    """

    size: tuple[int, int]
    areas: NDArray[np.float64]
    iou: NDArray[np.float64]
    runs: tuple[str, ...] = ()

    def encoded(self, number: int) -> dict[str, Any]:
        """A mask as COCO's files have it: ``size`` and ``counts``."""
        return {"size": list(self.size), "counts": self.runs[number]}

    def mask(self, number: int) -> NDArray[np.uint8]:
        """A mask in the upright image, ``[height, width]``, 1 in the object."""
        return fill_runs(decode_runs(self.runs[number]), *self.size).astype(np.uint8)


ReadMasks = Callable[[int, Array, Array], ImageMasks]
"""Called with a sample's position, its boxes rel_xyxy ``[d, 4]`` in the network's input, and their masks
``[d, side, side]``."""


def mask_reader(
    objects: ObjectBoxes | None, frames: Sequence[Frame], policy: ImagePolicy, *, encodes: bool
) -> ReadMasks:
    """A function that pastes the masks of an image's detections and compares them with its objects.

    It may run in several threads.

    Args:
        objects: as :func:`objects_with_masks` returns them; None if there are none to compare with.
        frames: of the upright images.
        encodes: keep the encodings of the masks.
    """

    def read(position: int, boxes: Array, masks: Array) -> ImageMasks:
        width, height = frames[position].width, frames[position].height
        to_pixels = np.linalg.inv(maps_to_input((frames[position],), policy)).astype(np.float64)
        corners = move(np.asarray(boxes, np.float64), np.repeat(to_pixels, len(boxes), axis=0))
        patches = [
            paste(mask, (x1, y1, x2, y2), height=height, width=width)
            for mask, (x1, y1, x2, y2) in zip(masks, corners.tolist(), strict=True)
        ]
        return compare(patches, objects, position, size=(height, width), encodes=encodes)

    return read


def compare(
    patches: Sequence[Patch], objects: ObjectBoxes | None, position: int, *, size: tuple[int, int], encodes: bool
) -> ImageMasks:
    """The masks of an image against its objects.

    Args:
        objects: as :func:`objects_with_masks` returns them; None if there are none to compare with.
        position: of the image among theirs.
        size: its height and width.
        encodes: keep the encodings of the masks.

    Raises:
        InputError: the masks of the objects can no longer be read.
    """
    iou = np.zeros((len(patches), 0))
    if objects is not None:
        assert objects.instances is not None
        own = slice(int(objects.offsets[position]), int(objects.offsets[position + 1]))
        iou = np.zeros((len(patches), own.stop - own.start))
        if iou.size:
            true = objects.instances[position].read()
            iou = mask_iou(np.stack([patch.packed for patch in patches]), packed(true), objects.is_crowd[own])
    areas = np.array([patch.area for patch in patches], np.float64)
    return ImageMasks(size, areas, iou, tuple(encode_runs(patch.runs) for patch in patches) if encodes else ())


def with_areas(detections: Detections, masks: Sequence[ImageMasks]) -> Detections:
    """The detections with the areas of their masks."""
    areas = np.concatenate([np.zeros(0), *(of_image.areas for of_image in masks)])
    return Detections(detections.boxes, detections.scores, detections.classes, detections.offsets, areas)


def overlaps_of(
    masks: Sequence[ImageMasks], detections: Detections, truth: GroundTruth, is_kept: NDArray[np.bool_] | None = None
) -> IouOfImage:
    """How much the masks of detections overlap with objects.

    Args:
        masks: of the detections, image by image.
        is_kept: which of the detections are asked for, by their positions among these, bool ``[m]``; None for all.
    """
    positions = np.arange(len(detections)) if is_kept is None else np.flatnonzero(is_kept)

    def iou(image: int, found: Array, true: Array) -> Array:
        rows = positions[found] - detections.offsets[image]
        return masks[image].iou[np.ix_(rows, true - truth.offsets[image])]

    return iou


def objects_with_masks(samples: Samples) -> ObjectBoxes:
    """The objects of samples with their masks, all in the pixels of upright images, as masks are.

    Raises:
        InputError: there are none.
    """
    objects = objects_of(samples)
    if objects is None or objects.instances is None:
        raise InputError("the samples have no objects with masks to be evaluated on.")
    if all(frame.orientation == UPRIGHT for frame in objects.frames):
        return objects
    frames = tuple(Frame(*frame.upright_size) for frame in objects.frames)
    policy = ImagePolicy((1, 1), "rgb", "stretch", "nearest", antialias=False)  # relative to the whole image
    turned = objects.relative(policy) * np.array([[frame.width, frame.height] * 2 for frame in frames])[objects.owners]
    return replace(objects, corners=turned, frames=frames)
