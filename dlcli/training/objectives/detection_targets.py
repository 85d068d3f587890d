"""Which object each position or anchor of a detector is to predict, computed inside the compiled step.

Boxes are float32 ``[b, n, 4]`` rel_xyxy and their classes int32 ``[b, n]``, -1 where a row is padding.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dlcli.training.objectives.objective import Tensor

NEGATIVE = -1
"""The class of positions and anchors that are to predict no object."""
IGNORED = -2
"""The class of anchors that do not count."""

FAR = np.float32(1e9)
TINY = 1e-9


@dataclass(frozen=True)
class Positions:
    """The positions of an anchor-free detector, of all levels one after another.

    Attributes:
        centers: x and y in pixels, float64 ``[p, 2]``.
        strides: of their levels in pixels, float64 ``[p]``.
        size: height and width of the image in pixels.
    """

    centers: npt.NDArray[np.float64]
    strides: npt.NDArray[np.float64]
    size: tuple[int, int]


@dataclass(frozen=True)
class Assigned:
    """What each of p positions or anchors is to predict.

    Attributes:
        classes: int32 ``[b, p]``, NEGATIVE or IGNORED without an object.
        boxes: float32 rel_xyxy ``[b, p, 4]``; 0 without an object.
        centerness: of the position in its box, float32 ``[b, p]`` in [0, 1]; None for anchors.
    """

    classes: Tensor
    boxes: Tensor
    centerness: Tensor | None = None


def assign_positions(
    boxes: Tensor, classes: Tensor, positions: Positions, *, center_radius: float, largest_distance: float
) -> Assigned:
    """Traced: the targets of FCOS (Tian et al. 2019, sections 3.1 to 3.3; center sampling as in Tian et al. 2020).

    A position is a positive of an object if it is inside of its box, along each axis closer to the box's center than
    ``center_radius`` strides, and if the largest distance to a side of the box is within the range of its level. If
    that holds for several objects, the one with the smallest box is taken, of equal ones the first.

    Args:
        center_radius: in strides of the position's level.
        largest_distance: upper end of each level's range, in strides; also the lower end of the next coarser one's. The
            finest level's range starts at 0, the coarsest has no upper end.
    """
    height, width = positions.size
    x, y = (tf.constant(positions.centers[None, :, None, axis], tf.float32) for axis in (0, 1))  # [1, p, 1]
    left, top, right, bottom = (
        boxes[:, None, :, side] * float(length) for side, length in enumerate((width, height, width, height))
    )  # [b, 1, n]
    sides = (x - left, y - top, right - x, bottom - y)  # [b, p, n] each
    nearest = tf.minimum(tf.minimum(sides[0], sides[2]), tf.minimum(sides[1], sides[3]))
    farthest = tf.maximum(tf.maximum(sides[0], sides[2]), tf.maximum(sides[1], sides[3]))
    off_center = tf.maximum(tf.abs(sides[0] - sides[2]), tf.abs(sides[1] - sides[3])) / 2.0

    lower, upper = (tf.constant(values[None, :, None], tf.float32) for values in _ranges(positions, largest_distance))
    radius = tf.constant(center_radius * positions.strides[None, :, None], tf.float32)
    is_positive = (
        (nearest > 0.0) & (off_center < radius) & (farthest > lower) & (farthest <= upper) & (classes[:, None] >= 0)
    )
    area = (right - left) * (bottom - top)
    area = tf.where(is_positive, area, FAR)
    owner = tf.argmin(area, axis=-1, output_type=tf.int32)  # [b, p]
    has_owner = tf.reduce_min(area, axis=-1) < FAR

    def of_owner(values: Tensor) -> Tensor:
        return tf.gather(values, owner, axis=2, batch_dims=2)

    across, down = (_ratio(*(of_owner(sides[side]) for side in pair)) for pair in ((0, 2), (1, 3)))
    return Assigned(
        classes=tf.where(has_owner, tf.gather(classes, owner, batch_dims=1), NEGATIVE),
        boxes=tf.where(has_owner[..., None], tf.gather(boxes, owner, batch_dims=1), 0.0),
        centerness=tf.where(has_owner, tf.sqrt(across * down), 0.0),  # 2019, equation 3
    )


def _ranges(positions: Positions, largest_distance: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The smallest and largest distance of each position's level in pixels."""
    strides = positions.strides
    upper = np.where(strides == strides.max(), FAR, largest_distance * strides)
    lower = np.where(strides == strides.min(), 0.0, largest_distance * strides / 2)
    return lower, upper


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    return tf.maximum(tf.minimum(a, b), 0.0) / tf.maximum(tf.maximum(a, b), TINY)


def assign_anchors(
    boxes: Tensor, classes: Tensor, anchors: npt.NDArray[Any], *, positive_iou: float, negative_iou: float
) -> Assigned:
    """Traced: the targets of RetinaNet (Lin et al. 2017, "Focal loss for dense object detection", section 4) and of
    region proposal networks (Ren et al. 2015, section 3.1.2).

    An anchor belongs to the object with which its intersection over union (IoU) is largest, of equal ones the first. It
    is a positive if the IoU is at least ``positive_iou``, a negative below ``negative_iou``, and ignored between them.
    Besides, each object gets the anchors that have the largest IoU with it, whatever that is; an anchor that is the
    best one of several objects belongs to that of them with the largest IoU.

    Args:
        anchors: float64 rel_xyxy ``[p, 4]``.
    """
    is_object = classes[:, None] >= 0  # [b, 1, n]
    overlap = tf.where(is_object, _overlaps(tf.constant(anchors[None, :, None], tf.float32), boxes[:, None]), 0.0)
    best_of_object = tf.reduce_max(overlap, axis=1, keepdims=True)
    is_best = (overlap == best_of_object) & (best_of_object > 0.0)
    # an IoU is at most 1, so that objects whose best anchor this is come first
    order = tf.where(is_best, overlap + 2.0, overlap)
    owner = tf.argmax(order, axis=-1, output_type=tf.int32)  # [b, p]
    largest = tf.reduce_max(order, axis=-1)
    is_positive = (largest >= positive_iou) & (largest > 0.0)
    others = tf.where(largest < negative_iou, NEGATIVE, IGNORED)
    return Assigned(
        classes=tf.where(is_positive, tf.gather(classes, owner, batch_dims=1), others),
        boxes=tf.where(is_positive[..., None], tf.gather(boxes, owner, batch_dims=1), 0.0),
    )


def _overlaps(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes ``[..., 4]`` that broadcast against each other."""
    width = tf.minimum(a[..., 2], b[..., 2]) - tf.maximum(a[..., 0], b[..., 0])
    height = tf.minimum(a[..., 3], b[..., 3]) - tf.maximum(a[..., 1], b[..., 1])
    common = tf.nn.relu(width) * tf.nn.relu(height)
    areas = [(box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1]) for box in (a, b)]
    return common / tf.maximum(areas[0] + areas[1] - common, TINY)
