"""Non-maximum suppression in keras.ops, with static shapes, so that it is a part of saved models.

Boxes come in descending order of their scores.
"""

from typing import Any, Literal

import keras

Tensor = Any  # a tensor or a symbolic keras.KerasTensor
Suppression = Literal["greedy", "soft", "none"]

NUM_ROUNDS = 16
"""Rounds of Cluster-NMS. n rounds are exact for chains of n boxes in which each would remove the next one; in images
they are short."""

SIGMA = 0.5
"""Of the Gaussian that lowers scores: exp(-IoU^2 / SIGMA) (Bodla et al. 2017, "Soft-NMS", section 5)."""

TINY = 1e-9


def pairwise_iou(boxes: Tensor) -> Tensor:
    """Intersection over union of all pairs of boxes: ``[b, k, k]`` for corners ``[b, k, 4]``; 0 if neither has an
    area."""
    left, top, right, bottom = (boxes[..., i] for i in range(4))
    width = keras.ops.minimum(right[:, :, None], right[:, None]) - keras.ops.maximum(left[:, :, None], left[:, None])
    height = keras.ops.minimum(bottom[:, :, None], bottom[:, None]) - keras.ops.maximum(top[:, :, None], top[:, None])
    common = keras.ops.relu(width) * keras.ops.relu(height)
    area = (right - left) * (bottom - top)
    union = keras.ops.add(area[:, None], area[:, :, None] - common)  # in this order, see box_coding
    return common / keras.ops.maximum(union, TINY)


def earlier_overlaps(boxes: Tensor, classes: Tensor | None) -> Tensor:
    """For each box (the last axis) the intersection over union with those of higher scores: ``[b, k, k]``; 0 for others
    and, if ``classes`` ``[b, k]`` are given, for those of other classes."""
    # of each image, because a constant matrix would be a part of the model's configuration
    rank = keras.ops.cumsum(keras.ops.ones_like(boxes[..., 0]), axis=1)
    is_earlier = keras.ops.less(rank[:, :, None], rank[:, None])
    if classes is not None:
        is_earlier = keras.ops.logical_and(keras.ops.equal(classes[:, :, None], classes[:, None]), is_earlier)
    return keras.ops.where(is_earlier, pairwise_iou(boxes), 0.0)


def greedy_keep(overlap: Tensor, *, iou: float) -> Tensor:
    """Which boxes greedy non-maximum suppression keeps, 1 or 0, float32 ``[b, k]``.

    From the highest score on, a box removes all later ones that overlap with it by more than ``iou``. As a matrix
    iteration over all boxes at once: Cluster-NMS, Zheng et al. 2020, "Enhancing geometric factors in model learning and
    inference for object detection and instance segmentation", algorithm 2.

    Args:
        overlap: of :func:`earlier_overlaps`.
    """
    removes = keras.ops.cast(overlap > iou, "float32")
    keep = keras.ops.ones_like(removes[:, :1])  # [b, 1, k]
    for _ in range(NUM_ROUNDS):
        keep = keras.ops.relu(1.0 - keras.ops.matmul(keep, removes))  # 1 where the number of removing boxes is 0
    return keep[:, 0]


def soft_factors(overlap: Tensor) -> Tensor:
    """The factors by which soft non-maximum suppression lowers the scores, ``[b, k]`` in [0, 1].

    The Gaussian of Soft-NMS (Bodla et al. 2017, equation 3), which goes through the boxes one by one, in the parallel
    form of Matrix NMS (Wang et al. 2020, "SOLOv2", equation 5): a box is lowered by the earlier one for which the
    Gaussian, divided by the Gaussian of the largest overlap that the earlier one has itself, is smallest.

    Args:
        overlap: of :func:`earlier_overlaps`.
    """
    own_largest = keras.ops.max(overlap, axis=1)[:, :, None]
    exponent = (own_largest**2 - overlap**2) / SIGMA
    return keras.ops.exp(keras.ops.minimum(keras.ops.min(exponent, axis=1), 0.0))
