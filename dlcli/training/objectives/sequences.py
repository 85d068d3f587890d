"""The objectives of regression, tagging, step prediction and forecasting."""

import math
from collections.abc import Sequence

import tensorflow as tf

from dlcli.training.objectives.class_losses import CrossEntropy, Term, accuracy, class_loss
from dlcli.training.objectives.objective import Batch, Objective, Tensor


def regression(*, variance: float) -> Objective:
    """Squared error of one value per sample, float32 ``[b]``, with targets ``y["value"]`` float32 ``[b]``.

    Args:
        variance: variance of the training split's targets, by which the loss is divided, so that always predicting
            their mean gives a loss of 1. The metrics ``mse`` and ``mae`` are not scaled.
    """

    def squared(outputs: Tensor, batch: Batch) -> Tensor:
        return tf.square(outputs - batch["y"]["value"])

    return Objective(
        loss=lambda outputs, batch: squared(outputs, batch) / variance,
        metrics={"mse": squared, "mae": lambda outputs, batch: tf.abs(outputs - batch["y"]["value"])},
    )


def tagging(
    *,
    label_smoothing: float,
    class_weights: tuple[float, ...] | None = None,
    terms: Sequence[Term] = (CrossEntropy(),),
) -> Objective:
    """The loss and accuracy of the logits of each step, float32 ``[b, t, k]``.

    Labels are ``y["tags"]`` int32 ``[b, t]``. ``y["mask"]`` float32 ``[b, t]`` is 0 after a sequence's end, and such
    steps do not count.

    Args:
        label_smoothing, class_weights, terms: as in classification.
    """
    weights = None if class_weights is None else tf.constant(class_weights, tf.float32)

    def loss(logits: Tensor, batch: Batch) -> Tensor:
        return class_loss(logits, batch["y"]["tags"], terms=terms, label_smoothing=label_smoothing)

    def weighted(logits: Tensor, batch: Batch) -> Tensor:
        return class_loss(
            *(logits, batch["y"]["tags"]), terms=terms, label_smoothing=label_smoothing, class_weights=weights
        )

    def weight(batch: Batch) -> Tensor:
        return batch["weight"][:, None] * batch["y"]["mask"]

    return Objective(
        loss=loss,
        metrics={"accuracy": lambda logits, batch: accuracy(logits, batch["y"]["tags"])},
        weight=weight,
        training_loss=loss if weights is None else weighted,
    )


def crf() -> Objective:
    """The negative log-likelihood of each sentence's tags under a conditional random field, in nats per word ``[b]``
    (Lample et al. 2016, section 2.2), so that its mean over all words is comparable with that of `tagging`.

    Model outputs are emissions float32 ``[b, t, k]``; the scores of first tags, of pairs of neighbors and of last tags
    ``[b, k + 2, k]``; log Z ``[b]``; and the most probable tags int32 ``[b, t]``. Labels and mask are as for `tagging`.
    """

    def lengths(batch: Batch) -> Tensor:
        return tf.reduce_sum(batch["y"]["mask"], axis=1)

    def loss(outputs: Tensor, batch: Batch) -> Tensor:
        emissions, scores, log_partition, _ = outputs
        tags, mask = batch["y"]["tags"], batch["y"]["mask"]
        last = tf.gather(tags, tf.cast(lengths(batch), tf.int32) - 1, batch_dims=1)
        pairs = tf.gather_nd(scores[:, 1:-1], tf.stack([tags[:, :-1], tags[:, 1:]], axis=-1), batch_dims=1)
        of_labels = (
            tf.gather(scores[:, 0], tags[:, 0], batch_dims=1)
            + tf.reduce_sum(tf.gather(emissions, tags, batch_dims=2) * mask, axis=1)
            + tf.reduce_sum(pairs * mask[:, 1:], axis=1)
            + tf.gather(scores[:, -1], last, batch_dims=1)
        )
        return (log_partition - of_labels) / lengths(batch)

    return Objective(
        loss=loss,
        metrics={"accuracy": lambda outputs, batch: tf.cast(tf.equal(outputs[3], batch["y"]["tags"]), tf.float32)},
        weight=lambda batch: batch["weight"] * lengths(batch),
        metric_weights={"accuracy": lambda batch: batch["weight"][:, None] * batch["y"]["mask"]},
    )


def bits() -> Objective:
    """Cross-entropy in nats per bit of the logits of each bit and step, float32 ``[b, t, bits]``.

    Labels are ``y["bits"]`` float32 ``[b, t, bits]``, each 0 or 1. ``y["asked"]`` float32 ``[b, t]`` is 0 for steps
    without a target. The metrics are ``bits_wrong``, the number of wrong bits of a sequence, and ``exact``: whether it
    is 0.
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
    """Squared error divided by a variance, and ``mae``, of the forecasts of each step ahead, float32 ``[b, h]``.

    Targets are ``y["future"]`` float32 ``[b, h]``. Missing ones, for which ``y["known"]`` is 0, do not count.
    ``y["scale"]`` ``[b]`` is a further divisor of each sample's errors in the loss.

    Args:
        variance: divisor of the squared error in the loss.
    """

    def squared(outputs: Tensor, batch: Batch) -> Tensor:
        error = (outputs - batch["y"]["future"]) / batch["y"]["scale"][:, None]
        return tf.square(error) / variance

    return Objective(
        loss=squared,
        metrics={"mae": lambda outputs, batch: tf.abs(outputs - batch["y"]["future"])},
        weight=lambda batch: batch["weight"][:, None] * batch["y"]["known"],
    )


def quantile_forecast(*, levels: Sequence[float], deviation: float) -> Objective:
    """Twice the pinball loss (Koenker and Bassett 1978), divided by a deviation, of quantiles of each step ahead,
    float32 ``[b, h, levels]``: their mean. At 0.5 it is the absolute error. ``mae`` is that of the median.

    Targets and their weights are those of :func:`forecast`.

    Args:
        levels: of the quantiles, in increasing order, with 0.5 among them.
        deviation: divisor of the loss.
    """
    level, middle = tf.constant(levels, tf.float32), list(levels).index(0.5)

    def pinball(outputs: Tensor, batch: Batch) -> Tensor:
        error = (batch["y"]["future"][..., None] - outputs) / batch["y"]["scale"][:, None, None]
        return tf.reduce_mean(tf.maximum(level * error, (level - 1) * error), axis=-1) * (2 / deviation)

    return Objective(
        loss=pinball,
        metrics={"mae": lambda outputs, batch: tf.abs(outputs[..., middle] - batch["y"]["future"])},
        weight=lambda batch: batch["weight"][:, None] * batch["y"]["known"],
    )


def distribution_forecast(*, degrees_of_freedom: float | None, deviation: float) -> Objective:
    """Negative log-likelihood in nats, in units of a deviation, of a distribution of each step ahead, whose location
    and scale are the model outputs float32 ``[b, h, 2]``. ``mae`` is that of the location.

    Targets and their weights are those of :func:`forecast`.

    Args:
        degrees_of_freedom: of Student's t distribution; None for a normal one.
        deviation: unit of the target, with ``y["scale"]`` as a further factor of each sample.
    """
    freedom = degrees_of_freedom
    constant = 0.5 * math.log(2 * math.pi)
    if freedom is not None:
        constant = math.lgamma(freedom / 2) - math.lgamma((freedom + 1) / 2) + 0.5 * math.log(freedom * math.pi)

    def negative_log_likelihood(outputs: Tensor, batch: Batch) -> Tensor:
        location, scale = tf.unstack(outputs, axis=-1)
        squared = tf.square((batch["y"]["future"] - location) / scale)
        distance = 0.5 * squared if freedom is None else (freedom + 1) / 2 * tf.math.log1p(squared / freedom)
        return distance + tf.math.log(scale / (deviation * batch["y"]["scale"][:, None])) + constant

    return Objective(
        loss=negative_log_likelihood,
        metrics={"mae": lambda outputs, batch: tf.abs(outputs[..., 0] - batch["y"]["future"])},
        weight=lambda batch: batch["weight"][:, None] * batch["y"]["known"],
    )
