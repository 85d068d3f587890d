"""What a network ends in: the layers that turn features into the outputs of a task."""

from typing import Any

import keras

Tensor = Any  # a symbolic keras.KerasTensor


def classification(features: Tensor, *, num_classes: int) -> Tensor:
    """A dense layer ``logits`` and its softmax ``probabilities``.

    Both compute in float32 whatever the dtype policy, so that a loss and an attack can take the logits as they are.

    Args:
        features: a vector for each sample, ``[batch, units]``.
        num_classes: at least 2.

    Returns:
        float32 probabilities ``[batch, num_classes]``; the logits are the output of the layer ``logits``.

    Raises:
        ValueError: the features still have spatial dimensions, or there are fewer than two classes.
    """
    if len(features.shape) != 2:
        raise ValueError(
            "a classification head takes features of shape [batch, units]; flatten or pool them first. "
            f"Received shape {list(features.shape)}."
        )
    if num_classes < 2:
        raise ValueError(f"a classification head must have at least 2 classes. Received {num_classes}.")
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")(features)
    return keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits)
