"""Detects the objects of images, in the pixels of the original images."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import Frame, in_frames
from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.data.files import workers
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.data.images.tiles import make_grids
from dlcli.evaluation.detection.boxes import Detections, GroundTruth
from dlcli.evaluation.detection.suppression import greedy_nms
from dlcli.models.heads.detection_outputs import CANDIDATES
from dlcli.recipe.sections.detect import Detect
from dlcli.runtime.console import Console
from dlcli.tasks.detection.masks import ImageMasks, ReadMasks, with_areas
from dlcli.tasks.detection.tiles import Merger
from dlcli.tasks.images.batches import prediction
from dlcli.tasks.images.frames import upright_frames

Array = NDArray[Any]

FINAL = ("boxes", "scores", "classes", "count")  # layers of the saved model
MASKS = "masks"  # the further layer of one that predicts masks
DIGITS = 3  # of a pixel, after the decimal point


@dataclass(frozen=True)
class Detected:
    """What a model detects in samples.

    Attributes:
        detections: in the pixels of the images' frames.
        nms_differs: the number of images in which exact greedy non-maximum suppression leaves other boxes than that in
            the model; None if they were not compared.
        masks: of the detections, image by image; none of a model that predicts boxes alone. The detections then have
            their areas.
    """

    detections: Detections
    nms_differs: int | None = None
    masks: Sequence[ImageMasks] = ()

    @property
    def has_masks(self) -> bool:
        """Whether the model predicts masks."""
        return self.detections.mask_areas is not None

    @property
    def boxes(self) -> Detections:
        """The boxes alone."""
        return replace(self.detections, mask_areas=None)


def detector(
    model: keras.Model,
    samples: Samples,
    *,
    batch_size: int,
    console: Console,
    frames: tuple[Frame, ...] | None = None,
    detect: Detect | None = None,
    read_masks: ReadMasks | None = None,
    merging: Detect | None = None,
) -> Callable[[], Detected]:
    """A function that detects the objects of samples by a model's current weights; it is compiled once.

    Memory does not depend on the number of images but for their detections.

    Args:
        frames: in which the boxes are; None for those of the annotations, or those of the upright images.
        detect: if it asks for greedy suppression, that in the model is compared with the exact one.
        read_masks: for the masks of a model that predicts them, whose frames must be those of upright images.
        merging: how the boxes of several tiles remove each other, where images are cut into these; they are compared
            tile by tile.
    """
    objects = objects_of(samples)
    of_images = frames or (upright_frames(samples) if objects is None else objects.frames)
    has_candidates = set(CANDIDATES) <= {layer.name for layer in model.layers}  # an exported model has none
    compared = detect is not None and detect.nms == "greedy" and has_candidates
    predict = prediction(
        with_detections(model, has_masks=read_masks is not None, has_candidates=compared),
        replace(samples, annotations={}),
        batch_size=batch_size,
        console=console,
    )

    def run() -> Detected:
        return detected(
            *(predict(), samples),
            frames=of_images,
            read_masks=read_masks,
            merging=merging,
            detect=detect if compared else None,
        )

    return run


def with_detections(model: keras.Model, *, has_masks: bool, has_candidates: bool = False) -> keras.Model:
    """A saved model that outputs its final boxes, scores, classes and counts; then its masks; then the candidates of
    suppression."""
    names = (*FINAL, *((MASKS,) if has_masks else ()), *(CANDIDATES if has_candidates else ()))
    return keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])


def detected(
    batches: Iterable[tuple[NDArray[np.int64], tuple[Array, ...]]],
    samples: Samples,
    *,
    frames: Sequence[Frame],
    read_masks: ReadMasks | None = None,
    merging: Detect | None = None,
    detect: Detect | None = None,
) -> Detected:
    """The objects in samples, from the outputs of the network that :func:`with_detections` returns.

    Args:
        batches: the outputs for images, or for the tiles of images, with their positions.
        frames: in which the boxes are.
        read_masks, merging: as for :func:`detector`.
        detect: greedy suppression, with which that in the model is compared; None for outputs without candidates.
    """
    policy = samples.policy
    assert policy is not None
    merger = None
    if policy.overlap is not None:
        assert merging is not None
        merger = Merger(make_grids(samples.sizes, policy.image_size, policy.overlap), merging)
    parts: list[Detections] = []
    masks: list[ImageMasks] = []
    num_different = 0
    for index, found in batches:
        outputs = found[: len(FINAL) + (read_masks is not None)]
        for positions, (boxes, scores, classes, counts, *pixels) in (
            [(index, outputs)] if merger is None else merger.add(outputs)
        ):
            of_images = [frames[i] for i in positions]
            parts.append(_in_pixels(boxes, scores, classes, counts, frames=of_images, policy=policy))
            if read_masks is not None:
                each = zip(boxes, pixels[0], counts, strict=True)
                own = [(of_image[:count], of_mask[:count]) for of_image, of_mask, count in each]
                masks += workers().map(read_masks, positions.tolist(), *zip(*own, strict=True))
        if detect is not None:
            candidates = found[-len(CANDIDATES) :]
            num_different += sum(
                _differs(detect, *of_image) for of_image in zip(*found[: len(FINAL)], *candidates, strict=True)
            )
    detections = _joined(parts)
    if read_masks is not None:
        detections = with_areas(detections, masks)
    return Detected(detections, None if detect is None else num_different, masks)


def ground_truth(objects: ObjectBoxes) -> GroundTruth:
    """The annotated objects as evaluation takes them."""
    return GroundTruth(
        boxes=objects.corners,
        classes=objects.labels,
        is_crowd=objects.is_crowd,
        is_difficult=objects.is_difficult,
        areas=objects.areas,
        offsets=objects.offsets,
    )


def _in_pixels(
    boxes: Array, scores: Array, classes: Array, counts: Array, *, frames: list[Frame], policy: ImagePolicy
) -> Detections:
    """The detections of a batch: rel_xyxy boxes ``[b, max_boxes, 4]``, of each image the first ``counts`` ones."""
    is_box = np.arange(boxes.shape[1]) < counts[:, None]
    of_boxes = tuple(frame for frame, count in zip(frames, counts.tolist(), strict=True) for _ in range(count))
    return Detections(
        in_frames(boxes[is_box], of_boxes, policy).round(DIGITS),
        scores[is_box].astype(np.float64),
        classes[is_box].astype(np.int32),
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
    )


def _joined(parts: list[Detections]) -> Detections:
    starts = np.cumsum([0, *(len(part) for part in parts)])
    return Detections(
        np.concatenate([np.zeros((0, 4)), *(part.boxes for part in parts)]),
        np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
        np.concatenate([np.zeros(0, np.int32), *(part.classes for part in parts)]),
        np.concatenate(
            [np.zeros(1, np.int64), *(part.offsets[1:] + start for part, start in zip(parts, starts, strict=False))]
        ),
    )


def _differs(
    detect: Detect,
    boxes: Array,
    scores: Array,
    classes: Array,
    count: Array,
    candidate_boxes: Array,
    candidate_scores: Array,
    candidate_classes: Array,
) -> bool:
    """Whether exact greedy suppression leaves other boxes of one image than the model, in whatever order."""
    kept = greedy_nms(
        candidate_boxes,
        candidate_scores,
        candidate_classes,
        score=detect.score,
        iou=detect.iou,
        max_boxes=detect.max_boxes,
        class_agnostic=detect.class_agnostic,
    )
    of_model = np.column_stack([boxes, scores, classes])[: int(count)]
    exact = np.column_stack([candidate_boxes, candidate_scores, candidate_classes])[kept]
    return sorted(of_model.tolist()) != sorted(exact.tolist())
