"""What training lowers, and what it reports: weighted means of one value for each sample (or step of a sequence)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import tensorflow as tf

Tensor = Any  # a symbolic or eager tf.Tensor
Batch = Mapping[str, Any]  # {x, y: {…}, weight: float32 [b], index: int64 [b]}


@dataclass(frozen=True)
class Objective:
    """A loss, the weights of its mean, and metrics of the same samples.

    The result of a batch is ``sum(weight * loss) / sum(weight)``, with both sums taken over the whole batch: over all
    its parts under gradient accumulation, over all devices under a strategy.

    Attributes:
        loss: (model outputs, batch) -> float32 ``[b]`` (or ``[b, t]``), not yet weighted.
        metrics: by name, (model outputs, batch) -> float32 of the same shape.
        weight: batch -> the weights of loss and metrics, of the loss's shape. Default: the batch's own, ``[b]``.
        metric_weights: of those metrics that have other weights, by name.
        loss_weight: batch -> the weights of the loss in training, where they are others.
    """

    loss: Callable[[Tensor, Batch], Tensor]
    metrics: Mapping[str, Callable[[Tensor, Batch], Tensor]]
    weight: Callable[[Batch], Tensor] = field(default=lambda batch: batch["weight"])
    metric_weights: Mapping[str, Callable[[Batch], Tensor]] = field(default_factory=dict)
    loss_weight: Callable[[Batch], Tensor] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What an epoch reports, in order."""
        return ("loss", *self.metrics)

    def training_weight(self, batch: Batch) -> Tensor:
        """The weights of the loss in training."""
        return self.weight(batch) if self.loss_weight is None else self.loss_weight(batch)

    def metric_sums(self, outputs: Tensor, batch: Batch) -> list[Tensor]:
        """For each metric in turn the sum of weight * value over the batch, and the sum of the weights."""
        sums = []
        for name, metric in self.metrics.items():
            weight = self.metric_weights.get(name, self.weight)(batch)
            sums += [tf.reduce_sum(weight * metric(outputs, batch)), tf.reduce_sum(weight)]
        return sums


def classification(*, num_classes: int, label_smoothing: float, class_weights: tuple[float, ...] | None) -> Objective:
    """Cross-entropy of float32 logits ``[b, num_classes]`` with labels ``y["class"]``, and accuracy.

    Labels are int32 ``[b]``, or float32 ``[b, num_classes]`` where samples were mixed; the accuracy then goes by the
    class that has most of a sample.

    Args:
        label_smoothing: epsilon in [0, 1): the target is ``1 - epsilon`` on the label plus ``epsilon / num_classes`` on
            every class (Szegedy et al. 2016, section 7).
        class_weights: weight of each class in the training loss, in the order of the outputs.
    """

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        label = batch["y"]["class"]
        if label.shape.rank == 2:
            cross_entropy = tf.nn.softmax_cross_entropy_with_logits(labels=label, logits=logits)
        else:
            cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)
        if label_smoothing == 0.0:
            return cross_entropy
        # sum over classes of -log p / num_classes, by way of the logits
        uniform = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
        return (1.0 - label_smoothing) * cross_entropy + label_smoothing * uniform

    def accuracy(logits: Tensor, batch: Batch) -> Tensor:
        label = batch["y"]["class"]
        if label.shape.rank == 2:
            label = tf.argmax(label, axis=-1, output_type=tf.int32)
        return tf.cast(tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), label), tf.float32)

    if class_weights is None:
        return Objective(loss=loss, metrics={"accuracy": accuracy})
    if len(class_weights) != num_classes:
        raise ValueError(
            f"class_weights must hold one weight for each of {num_classes} classes. Received {len(class_weights)}."
        )
    weight_of_class = tf.constant(class_weights, tf.float32)

    def loss_weight(batch: Batch) -> Tensor:
        label = batch["y"]["class"]
        if label.shape.rank == 2:
            return batch["weight"] * tf.linalg.matvec(label, weight_of_class)
        return batch["weight"] * tf.gather(weight_of_class, label)

    return Objective(loss=loss, metrics={"accuracy": accuracy}, loss_weight=loss_weight)


# Boxes ----------------------------------------------------------------------------------------------------------------

BoxLoss = Literal["smooth_l1", "l2", "giou", "ciou"]

SMOOTH_BELOW = 0.1  # of a side: smaller differences are squared, larger ones taken as they are
LOCALISED = 0.5  # intersection over union from which a box counts as right (ILSVRC, Russakovsky et al. 2015)
TINY = 1e-9


def localisation(
    *,
    classes: Objective,
    box_loss: BoxLoss,
    class_weight: float,
    box_weight: float,
) -> Objective:
    """The losses of a class head and of a box head, added up, each with its weight.

    The model's outputs are logits float32 ``[b, k]``, and boxes rel_xyxy float32 ``[b, 4]`` or, one for each class,
    ``[b, k, 4]``, of which the label's counts. Labels are ``y["class"]`` int32 ``[b]`` and ``y["box"]`` float32
    ``[b, 4]`` with ``y["box_weight"]`` ``[b]``: 0 where a sample has no box, whose loss and metrics then do not count.

    Args:
        classes: the loss and accuracy of the logits.
    """

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

    def accuracy(outputs: Tensor, batch: Batch) -> Tensor:
        return classes.metrics["accuracy"](outputs[0], batch)

    def overlap(outputs: Tensor, batch: Batch) -> Tensor:
        return intersection_over_union(predicted_box(outputs), batch["y"]["box"])

    def is_localised(outputs: Tensor, batch: Batch) -> Tensor:
        return accuracy(outputs, batch) * tf.cast(overlap(outputs, batch) >= LOCALISED, tf.float32)

    def weight(batch: Batch) -> Tensor:
        return batch["weight"] * batch["y"]["box_weight"]

    return Objective(
        loss=loss,
        metrics={"accuracy": accuracy, "iou": overlap, "localisation_accuracy": is_localised},
        metric_weights={"iou": weight, "localisation_accuracy": weight},
        loss_weight=classes.loss_weight,
    )


def box_losses(kind: BoxLoss, predicted: Tensor, true: Tensor) -> Tensor:
    """How far boxes ``[b, 4]`` rel_xyxy are from the true ones: ``[b]``.

    ``smooth_l1`` (Girshick 2015, equation 3, with its bend at a tenth of the side) and ``l2`` (half the square) are
    summed over the four corners' coordinates; ``giou`` is 1 - GIoU (Rezatofighi et al. 2019, algorithm 1), ``ciou``
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
            return 1.0 - _generalised(predicted, true)
        case "ciou":
            return 1.0 - _complete(predicted, true)


def intersection_over_union(a: Tensor, b: Tensor) -> Tensor:
    """Of boxes ``[b, 4]`` with their corners in order: ``[b]`` in [0, 1]; 0 for two boxes without an area."""
    return _overlap(a, b)[0]


def _overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union, and the union."""
    sides = tf.maximum(tf.minimum(a[..., 2:], b[..., 2:]) - tf.maximum(a[..., :2], b[..., :2]), 0.0)
    common = sides[..., 0] * sides[..., 1]
    union = _area(a) + _area(b) - common
    return common / tf.maximum(union, TINY), union


def _area(box: Tensor) -> Tensor:
    return (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])


def _hull(a: Tensor, b: Tensor) -> Tensor:
    """Width and height of the smallest box around both: ``[b, 2]``."""
    return tf.maximum(a[..., 2:], b[..., 2:]) - tf.minimum(a[..., :2], b[..., :2])


def _generalised(a: Tensor, b: Tensor) -> Tensor:
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
    """Its gradient lacks the factor 1 / (width^2 + height^2), which has no bound (Zheng et al. 2020, section 3.3)."""

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        return upstream * height, -upstream * width

    return tf.atan2(width, height), gradient


# Numbers --------------------------------------------------------------------------------------------------------------


def regression(*, variance: float) -> Objective:
    """Squared error of one number for each sample, float32 ``[b]``, with ``y["value"]`` float32 ``[b]``.

    Args:
        variance: of the training split's numbers: the loss is the squared error by it, so that it is 1 for a network
            that always answers their mean. The metrics ``mse`` and ``mae`` are errors as they are.
    """

    def squared(outputs: Tensor, batch: Batch) -> Tensor:
        return tf.square(outputs - batch["y"]["value"])

    return Objective(
        loss=lambda outputs, batch: squared(outputs, batch) / variance,
        metrics={"mse": squared, "mae": lambda outputs, batch: tf.abs(outputs - batch["y"]["value"])},
    )


# Steps ----------------------------------------------------------------------------------------------------------------


def tagging(*, label_smoothing: float) -> Objective:
    """Cross-entropy and accuracy of logits for each step, float32 ``[b, t, k]``, over the steps that are there.

    Labels are ``y["tags"]`` int32 ``[b, t]``, with ``y["mask"]`` float32 ``[b, t]``: 0 after a sequence's end, where
    nothing counts.
    """

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=batch["y"]["tags"], logits=logits)
        if label_smoothing == 0.0:
            return cross_entropy
        uniform = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
        return (1.0 - label_smoothing) * cross_entropy + label_smoothing * uniform

    def accuracy(logits: Tensor, batch: Batch) -> Tensor:
        return tf.cast(tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), batch["y"]["tags"]), tf.float32)

    def weight(batch: Batch) -> Tensor:
        return batch["weight"][:, None] * batch["y"]["mask"]

    return Objective(loss=loss, metrics={"accuracy": accuracy}, weight=weight)


def bits() -> Objective:
    """Cross-entropy in nats a bit of logits for each bit and step, float32 ``[b, t, bits]``.

    Labels are ``y["bits"]`` float32 ``[b, t, bits]`` of 0 and 1, with ``y["asked"]`` float32 ``[b, t]``: 0 where a step
    has none. ``bits_wrong`` is their number in a sequence, ``exact`` whether there are none.
    """

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        labels = batch["y"]["bits"]
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits), axis=-1)

    def bits_wrong(logits: Tensor, batch: Batch) -> Tensor:
        wrong = tf.cast(tf.not_equal(logits > 0, batch["y"]["bits"] > 0.5), tf.float32)
        return tf.reduce_sum(wrong * batch["y"]["asked"][..., None], axis=[1, 2])

    def exact(logits: Tensor, batch: Batch) -> Tensor:
        return tf.cast(tf.equal(bits_wrong(logits, batch), 0.0), tf.float32)

    def of_samples(batch: Batch) -> Tensor:
        return batch["weight"]

    return Objective(
        loss=loss,
        metrics={"bits_wrong": bits_wrong, "exact": exact},
        weight=lambda batch: batch["weight"][:, None] * batch["y"]["asked"],
        metric_weights={"bits_wrong": of_samples, "exact": of_samples},
    )


def forecast(*, variance: float) -> Objective:
    """Squared error by a variance, of values for each step ahead, float32 ``[b, h]``, and ``mae``, the absolute one.

    Labels are ``y["future"]`` float32 ``[b, h]``, with ``y["known"]``: 0 where a value is missing, which then does not
    count.
    """

    def squared(outputs: Tensor, batch: Batch) -> Tensor:
        return tf.square(outputs - batch["y"]["future"]) / variance

    return Objective(
        loss=squared,
        metrics={"mae": lambda outputs, batch: tf.abs(outputs - batch["y"]["future"])},
        weight=lambda batch: batch["weight"][:, None] * batch["y"]["known"],
    )
