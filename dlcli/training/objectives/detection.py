"""The objectives of one-stage detectors: losses of classes, boxes and, for FCOS, centerness.

The losses of all positions or anchors are summed over the batch and divided by its number of positives plus its number
of images, so that images without objects are no division by 0. This normalizer is computed from the ground truth of the
whole batch, however the batch is divided.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dlcli.training.objectives.detection_targets import (
    IGNORED,
    Assigned,
    Positions,
    assign_anchors,
    assign_positions,
)
from dlcli.training.objectives.localization import box_losses
from dlcli.training.objectives.multilabel import LabelFocal
from dlcli.training.objectives.objective import Batch, Objective, Tensor

Size = tuple[int, int]
Term = Callable[[Tensor, Batch], Tensor]
BoxLoss = Literal["smooth_l1", "giou"]

SMOOTH_BELOW = 1 / 9  # smooth L1 of coordinates relative to the anchor is quadratic below this difference


def fcos_objective(
    *,
    positions_of: Callable[[Size], Positions],
    center_radius: float,
    largest_distance: float,
    focal_gamma: float,
    focal_alpha: float,
    box_weight: float,
    centerness_weight: float,
) -> Objective:
    """The losses of FCOS: focal loss of each class, GIoU loss of the boxes of positives and cross-entropy of their
    centerness (Tian et al. 2019, equation 2, with the GIoU loss of the 2020 version).

    The model's outputs are class logits ``[b, p, classes]``, boxes rel_xyxy ``[b, p, 4]`` and logits of the centerness
    ``[b, p, 1]``. Labels are ``y["boxes"]`` and ``y["box_class"]``, see :mod:`.detection_targets`.

    Args:
        positions_of: the detector's positions for images of this height and width.
        center_radius, largest_distance: see :func:`.detection_targets.assign_positions`.
        focal_gamma, focal_alpha: of the focal loss.
        box_weight, centerness_weight: weights of the losses of boxes and centerness.
    """

    def assign(batch: Batch) -> Assigned:
        return assign_positions(
            *_labels(batch),
            positions_of(_size(batch)),
            center_radius=center_radius,
            largest_distance=largest_distance,
        )

    def box_loss(outputs: Tensor, batch: Batch) -> Tensor:
        assigned = batch["targets"]
        return _mean(box_losses("giou", outputs[1], assigned["boxes"]) * _is_positive(assigned), assigned)

    def centerness_loss(outputs: Tensor, batch: Batch) -> Tensor:
        assigned = batch["targets"]
        values = tf.nn.sigmoid_cross_entropy_with_logits(labels=assigned["centerness"], logits=outputs[2][..., 0])
        return _mean(values * _is_positive(assigned), assigned)

    terms = {
        "class_loss": _class_loss(focal_gamma, focal_alpha),
        "box_loss": _weighted(box_weight, box_loss),
        "centerness_loss": _weighted(centerness_weight, centerness_loss),
    }
    return _objective(assign, terms)


def retinanet_objective(
    *,
    anchors_of: Callable[[Size], npt.NDArray[np.float64]],
    encode: Callable[[Tensor, Tensor], Tensor],
    positive_iou: float,
    negative_iou: float,
    box_loss: BoxLoss,
    focal_gamma: float,
    focal_alpha: float,
    box_weight: float,
) -> Objective:
    """The losses of RetinaNet: focal loss of each class and the loss of the boxes of positives (Lin et al. 2017, "Focal
    loss for dense object detection", section 4).

    The model's outputs are class logits ``[b, p, classes]``, boxes relative to the anchors ``[b, p, 4]`` and the same
    boxes rel_xyxy ``[b, p, 4]``. Labels are ``y["boxes"]`` and ``y["box_class"]``, see :mod:`.detection_targets`.

    Args:
        anchors_of: the anchors rel_xyxy ``[p, 4]`` for images of this height and width.
        encode: (boxes, anchors) -> the boxes relative to the anchors, ``[..., 4]``.
        positive_iou, negative_iou: see :func:`.detection_targets.assign_anchors`.
        box_loss: smooth L1 (Girshick 2015, equation 3, with the transition at 1/9) of what the model predicts, or 1 -
            GIoU of the boxes.
        focal_gamma, focal_alpha: of the focal loss.
        box_weight: weight of the loss of boxes.
    """

    def assign(batch: Batch) -> Assigned:
        return assign_anchors(
            *_labels(batch), anchors_of(_size(batch)), positive_iou=positive_iou, negative_iou=negative_iou
        )

    def loss_of_boxes(outputs: Tensor, batch: Batch) -> Tensor:
        assigned = batch["targets"]
        if box_loss == "giou":
            values = box_losses("giou", outputs[2], assigned["boxes"])
        else:
            anchors = tf.constant(anchors_of(_size(batch)), tf.float32)
            # negatives have no box to encode
            boxes = tf.where(assigned["classes"][..., None] >= 0, assigned["boxes"], anchors)
            difference = tf.abs(outputs[1] - encode(boxes, anchors))
            near = 0.5 * difference**2 / SMOOTH_BELOW
            values = tf.reduce_sum(tf.where(difference < SMOOTH_BELOW, near, difference - SMOOTH_BELOW / 2), axis=-1)
        return _mean(values * _is_positive(assigned), assigned)

    terms = {
        "class_loss": _class_loss(focal_gamma, focal_alpha),
        "box_loss": _weighted(box_weight, loss_of_boxes),
    }
    return _objective(assign, terms)


def _objective(assign: Callable[[Batch], Assigned], terms: dict[str, Term]) -> Objective:
    """The sum of the terms, which are metrics too."""

    def targets(batch: Batch) -> dict[str, Tensor]:
        assigned = assign(batch)
        found = {"classes": assigned.classes, "boxes": assigned.boxes}
        return found if assigned.centerness is None else {**found, "centerness": assigned.centerness}

    def loss(outputs: Tensor, batch: Batch) -> Tensor:
        return tf.add_n([term(outputs, batch) for term in terms.values()])

    def weight(batch: Batch) -> Tensor:
        return batch["weight"] * _share(batch["targets"])

    return Objective(loss=loss, metrics=terms, weight=weight, targets=targets)


def _class_loss(gamma: float, alpha: float) -> Term:
    focal = LabelFocal(gamma, alpha)

    def class_loss(outputs: Tensor, batch: Batch) -> Tensor:
        assigned, logits = batch["targets"], outputs[0]
        labels = tf.one_hot(assigned["classes"], logits.shape[-1])  # all 0 for negatives
        values = tf.reduce_sum(focal.values(logits, labels, tf.constant(1.0)), axis=-1)
        counts = tf.cast(tf.not_equal(assigned["classes"], IGNORED), tf.float32)
        return _mean(values * counts, assigned)

    return class_loss


def _weighted(weight: float, term: Term) -> Term:
    return lambda outputs, batch: weight * term(outputs, batch)


def _is_positive(assigned: Any) -> Tensor:
    return tf.cast(assigned["classes"] >= 0, tf.float32)


def _share(assigned: Any) -> Tensor:
    """Each image's share of the normalizer, ``[b]``: 1 plus its number of positives."""
    return 1.0 + tf.reduce_sum(_is_positive(assigned), axis=1)


def _mean(values: Tensor, assigned: Any) -> Tensor:
    """The sum over an image's positions divided by its share of the normalizer, by which the objective weights it."""
    return tf.reduce_sum(values, axis=1) / _share(assigned)


def _labels(batch: Batch) -> tuple[Tensor, Tensor]:
    return batch["y"]["boxes"], batch["y"]["box_class"]


def _size(batch: Batch) -> Size:
    """Height and width of the images, which are fixed."""
    height, width = batch["x"].shape[1:3]
    return height, width
