"""The outputs of a saved detector: the boxes with the highest scores after non-maximum suppression.

Everything is keras.ops and layers of Keras with static shapes, so that saved models load without this program.
"""

from collections.abc import Mapping
from typing import Any

import keras

from dlcli.models.heads.selection import select
from dlcli.models.heads.suppression import Suppression, earlier_overlaps, greedy_keep, soft_factors

Tensor = Any  # a symbolic keras.KerasTensor

CANDIDATES = ("candidate_boxes", "candidate_scores", "candidate_classes")
"""Names of the layers whose outputs non-maximum suppression takes."""


def detection_outputs(
    scores: Mapping[int, Tensor],
    boxes: Mapping[int, Tensor],
    *,
    score: float,
    iou: float,
    nms: Suppression,
    max_boxes: int,
    num_candidates: int,
    class_agnostic: bool,
) -> dict[str, Tensor]:
    """The detections of each image, from the scores of each class at each position or anchor.

    The ``num_candidates`` pairs of box and class with the highest scores are the outputs of the layers `CANDIDATES`.

    Args:
        scores: of each class by level, float32 ``[b, n_level, classes]``.
        boxes: by level, float32 rel_xyxy ``[b, n_level, 4]``; they are clipped to the image.
        score: smallest score of a detection.
        iou: intersection over union above which a box removes others; greedy only.
        nms: greedy removes boxes that overlap with one of a higher score, soft lowers their scores, none keeps all.
        max_boxes: largest number of detections of an image.
        class_agnostic: boxes remove or lower those of all classes, not only those of their own.

    Returns:
        ``boxes`` float32 rel_xyxy ``[b, max_boxes, 4]``, ``scores`` float32 ``[b, max_boxes]`` in descending order, 0
        where there is no box, ``classes`` int32 ``[b, max_boxes]``, -1 where there is no box, and the number of boxes,
        ``count`` int32 ``[b]``.
    """
    found_boxes, found_scores, found_classes = _candidates(scores, boxes, num=num_candidates)
    found_scores = keras.ops.where(found_scores >= score, found_scores, 0.0)
    found_boxes = keras.layers.Identity(dtype="float32", name="candidate_boxes")(keras.ops.clip(found_boxes, 0.0, 1.0))
    found_scores = keras.layers.Identity(dtype="float32", name="candidate_scores")(found_scores)
    found_classes = keras.layers.Identity(dtype="int32", name="candidate_classes")(
        keras.ops.where(found_scores > 0.0, found_classes, -1)
    )
    kept = found_scores
    if nms != "none":
        overlap = earlier_overlaps(found_boxes, None if class_agnostic else found_classes)
        if nms == "greedy":
            kept = found_scores * greedy_keep(overlap, iou=iou)
        else:
            kept = found_scores * soft_factors(overlap)
            kept = keras.ops.where(kept >= score, kept, 0.0)
    return _final(found_boxes, kept, found_classes, num=max_boxes)


def _candidates(
    scores: Mapping[int, Tensor], boxes: Mapping[int, Tensor], *, num: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The boxes, scores and classes of the highest scores, ``[b, num, 4]``, ``[b, num]`` and ``[b, num]``, in their
    descending order; fewer if there are not as many."""
    all_scores, all_boxes = _joined(scores), _joined(boxes)
    num_positions, num_classes = all_scores.shape[1:]
    if num_classes > 1 and num < num_positions:
        # the highest scores are at the positions whose highest score is among the highest: so few are sorted
        _, position = keras.ops.top_k(keras.ops.max(all_scores, axis=-1), num)
        all_scores, all_boxes, num_positions = select(all_scores, position), select(all_boxes, position), num
    flat = keras.ops.reshape(all_scores, (-1, num_positions * num_classes))
    best, index = keras.ops.top_k(flat, min(num, num_positions * num_classes))
    position = keras.ops.floor_divide(index, num_classes)
    return select(all_boxes, position), best, keras.ops.cast(index - position * num_classes, "int32")


def _joined(parts: Mapping[int, Tensor]) -> Tensor:
    """The values of all levels one after another."""
    return keras.ops.concatenate(list(parts.values()), axis=1) if len(parts) > 1 else next(iter(parts.values()))


def _taken(boxes: Tensor, scores: Tensor, classes: Tensor, *, num: int) -> tuple[Tensor, Tensor, Tensor]:
    """Those with the highest scores, in their descending order."""
    best, index = keras.ops.top_k(scores, min(num, scores.shape[1]))
    return select(boxes, index), best, select(classes, index)


def _final(boxes: Tensor, scores: Tensor, classes: Tensor, *, num: int) -> dict[str, Tensor]:
    missing = num - scores.shape[1]
    if missing > 0:  # images so small that they have fewer positions
        boxes = keras.ops.pad(boxes, [(0, 0), (0, missing), (0, 0)])
        scores, classes = (keras.ops.pad(values, [(0, 0), (0, missing)]) for values in (scores, classes))
    boxes, scores, classes = _taken(boxes, scores, classes, num=num)
    is_box = scores > 0.0
    return {
        "boxes": keras.layers.Identity(dtype="float32", name="boxes")(keras.ops.where(is_box[..., None], boxes, 0.0)),
        "scores": keras.layers.Identity(dtype="float32", name="scores")(scores),
        "classes": keras.layers.Identity(dtype="int32", name="classes")(keras.ops.where(is_box, classes, -1)),
        "count": keras.layers.Identity(dtype="int32", name="count")(
            keras.ops.sum(keras.ops.cast(is_box, "int32"), axis=1)
        ),
    }
