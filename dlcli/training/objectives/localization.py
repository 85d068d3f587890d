"""The objective of localization: the losses of class and box."""

import math
from typing import Any, Literal

import tensorflow as tf

from dlcli.training.objectives.objective import Batch, Objective, Tensor

BoxLoss = Literal["smooth_l1", "l2", "giou", "ciou"]

SMOOTH_BELOW = 0.1  # smooth L1 is quadratic below this difference, relative to the image's side, and linear above
LOCALIZED = 0.5  # smallest intersection over union of a correct box (ILSVRC, Russakovsky et al. 2015)
TINY = 1e-9


def localization(
    *,
    classes: Objective,
    box_loss: BoxLoss,
    class_weight: float,
    box_weight: float,
    class_weights: tuple[float, ...] | None = None,
) -> Objective:
    """The weighted sum of the losses of a class head and a box head, with accuracy, IoU and localization accuracy.

    The model's outputs are logits float32 ``[b, k]`` and boxes rel_xyxy float32, ``[b, 4]`` or, with a box for each
    class, ``[b, k, 4]``, of which the loss takes that of the label. Labels are ``y["class"]`` int32 ``[b]`` and
    ``y["box"]`` float32 ``[b, 4]`` with ``y["box_weight"]`` ``[b]``, which is 0 for samples without a box: they have no
    box loss, and do not count in the metrics of boxes.

    Args:
        classes: the loss and accuracy of the logits, without class weights.
        box_loss: the loss of a box, see :func:`box_losses`.
        class_weight, box_weight: weights of the two losses; 0 leaves a loss out.
        class_weights: weight of each class in the training loss of both heads, in the order of the outputs; None for
            none.
    """
    weight_of_class = None if class_weights is None else tf.constant(class_weights, tf.float32)

    def own_box(outputs: Tensor, batch: Batch) -> Tensor:
        boxes = outputs[1]
        return boxes if boxes.shape.rank == 2 else tf.gather(boxes, batch["y"]["class"], batch_dims=1)

    def predicted_box(outputs: Tensor) -> Tensor:
        logits, boxes = outputs
        return boxes if boxes.shape.rank == 2 else tf.gather(boxes, tf.argmax(logits, axis=-1), batch_dims=1)

    def loss(outputs: Tensor, batch: Batch) -> Tensor:
        total = tf.zeros_like(batch["weight"])
        if class_weight:
            total += class_weight * classes.loss(outputs[0], batch)
        if box_weight:
            found = box_losses(box_loss, own_box(outputs, batch), batch["y"]["box"])
            total += box_weight * batch["y"]["box_weight"] * found
        return total

    def weighted(outputs: Tensor, batch: Batch) -> Tensor:
        return tf.gather(weight_of_class, batch["y"]["class"]) * loss(outputs, batch)

    def accuracy(outputs: Tensor, batch: Batch) -> Tensor:
        return classes.metrics["accuracy"](outputs[0], batch)

    def overlap(outputs: Tensor, batch: Batch) -> Tensor:
        return intersection_over_union(predicted_box(outputs), batch["y"]["box"])

    def is_localized(outputs: Tensor, batch: Batch) -> Tensor:
        return accuracy(outputs, batch) * tf.cast(overlap(outputs, batch) >= LOCALIZED, tf.float32)

    def weight(batch: Batch) -> Tensor:
        return batch["weight"] * batch["y"]["box_weight"]

    return Objective(
        loss=loss,
        metrics={"accuracy": accuracy, "iou": overlap, "localization_accuracy": is_localized},
        metric_weights={"iou": weight, "localization_accuracy": weight},
        training_loss=loss if weight_of_class is None else weighted,
    )


def box_losses(kind: BoxLoss, predicted: Tensor, true: Tensor) -> Tensor:
    """The loss of each predicted box ``[b, 4]`` rel_xyxy against the true one: ``[b]``.

    ``smooth_l1`` (Girshick 2015, equation 3, with the transition at a tenth of the side) and ``l2`` (half the square)
    are summed over the four coordinates; ``giou`` is 1 - GIoU (Rezatofighi et al. 2019, algorithm 1), ``ciou`` is
    1 - CIoU (Zheng et al. 2020, equations 7 to 11).
    """
    difference = tf.abs(predicted - true)
    match kind:
        case "smooth_l1":
            near = 0.5 * difference**2 / SMOOTH_BELOW
            return tf.reduce_sum(tf.where(difference < SMOOTH_BELOW, near, difference - SMOOTH_BELOW / 2), axis=-1)
        case "l2":
            return 0.5 * tf.reduce_sum(difference**2, axis=-1)
        case "giou":
            return 1.0 - _generalized(predicted, true)
        case "ciou":
            return 1.0 - _complete(predicted, true)


def intersection_over_union(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of pairs of boxes ``[b, 4]``: ``[b]`` in [0, 1]; 0 if neither has an area."""
    return _overlap(a, b)[0]


def _overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union, and the area of the union."""
    sides = tf.maximum(tf.minimum(a[..., 2:], b[..., 2:]) - tf.maximum(a[..., :2], b[..., :2]), 0.0)
    common = sides[..., 0] * sides[..., 1]
    union = _area(a) + _area(b) - common
    return common / tf.maximum(union, TINY), union


def _area(box: Tensor) -> Tensor:
    return (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])


def _hull(a: Tensor, b: Tensor) -> Tensor:
    """Width and height of the smallest box around both: ``[b, 2]``."""
    return tf.maximum(a[..., 2:], b[..., 2:]) - tf.minimum(a[..., :2], b[..., :2])


def _generalized(a: Tensor, b: Tensor) -> Tensor:
    overlap, union = _overlap(a, b)
    hull = tf.reduce_prod(_hull(a, b), axis=-1)
    return overlap - (hull - union) / tf.maximum(hull, TINY)


def _complete(a: Tensor, b: Tensor) -> Tensor:
    overlap, _ = _overlap(a, b)
    diagonal = tf.reduce_sum(_hull(a, b) ** 2, axis=-1)
    distance = tf.reduce_sum((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) ** 2, axis=-1) / 4
    angle = _slant(a) - _slant(b)
    shape = 4 / math.pi**2 * angle**2
    share = tf.stop_gradient(tf.math.divide_no_nan(shape, 1.0 - overlap + shape))
    return overlap - tf.math.divide_no_nan(distance, diagonal) - share * shape


def _slant(box: Tensor) -> Tensor:
    """The angle of a box's diagonal: arc tangent of width by height."""
    return _arc_tangent(box[..., 2] - box[..., 0], tf.maximum(box[..., 3] - box[..., 1], TINY))


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _arc_tangent(width: Tensor, height: Tensor) -> Any:
    """Arc tangent of width / height.

    Its gradient leaves out the factor 1 / (width^2 + height^2), which is unbounded (Zheng et al. 2020, section 3.3).
    """

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        return upstream * height, -upstream * width

    return tf.atan2(width, height), gradient
