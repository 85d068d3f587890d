"""The losses of regression, tagging, step prediction and forecasting."""

import tensorflow as tf

from dlcli.training.objectives.objective import Batch, Objective, Tensor


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
