"""The objective of regression with several numbers for each sample."""

from collections.abc import Sequence

import tensorflow as tf

from dlcli.training.objectives.objective import Batch, Objective, Tensor


def numbers(*, variance: Sequence[float]) -> Objective:
    """The squared error of each number divided by its variance, and ``mae``, of outputs float32 ``[b, t]``.

    Targets are ``y["value"]`` float32 ``[b, t]``. The loss and ``mae``, which is in the units of the numbers, are means
    over samples and numbers.

    Args:
        variance: of each number in the training split ``[t]``, so that always predicting their means gives a loss of 1
            whatever their units.
    """
    scale = tf.constant(variance, tf.float32)

    def weight(batch: Batch) -> Tensor:
        return batch["weight"][:, None] * tf.ones_like(batch["y"]["value"])

    return Objective(
        loss=lambda outputs, batch: tf.square(outputs - batch["y"]["value"]) / scale,
        metrics={"mae": lambda outputs, batch: tf.abs(outputs - batch["y"]["value"])},
        weight=weight,
    )
