"""Heads: the layers that turn features into the outputs of a task."""

from collections.abc import Sequence
from typing import Any, Literal

import keras

from dlcli.models.images.layers import kernel_initializer

Tensor = Any  # a symbolic keras.KerasTensor


def vector(
    maps: Tensor, *, pooling: Literal["flatten", "average", "max"], dense: Sequence[int], dropout: float
) -> Tensor:
    """Turns feature maps into the vector that `classification` takes.

    Args:
        maps: ``[batch, height, width, channels]``; with known sides for ``flatten``.
        pooling: flatten the maps, or take the mean or maximum of each.
        dense, dropout: as in `dense_layers`.

    Returns:
        ``[batch, units]``.
    """
    match pooling:
        case "flatten":
            x = keras.layers.Flatten(name="head_flatten")(maps)
        case "average":
            x = keras.layers.GlobalAveragePooling2D(name="head_average")(maps)
        case "max":
            x = keras.layers.GlobalMaxPooling2D(name="head_max")(maps)
    return dense_layers(x, dense=dense, dropout=dropout)


def dense_layers(x: Tensor, *, dense: Sequence[int], dropout: float, name: str = "head") -> Tensor:
    """Dense layers with ReLU.

    Args:
        x: ``[batch, units]``, or ``[batch, steps, units]``, with the same layers for each step.
        dense: number of units of each layer.
        dropout: dropout rate after each dense layer, or of ``x`` itself if there are no dense layers.
        name: prefix of the names of the layers.

    Returns:
        ``x`` with the units of the last layer.
    """
    for number, units in enumerate(dense, start=1):
        x = keras.layers.Dense(
            units, activation="relu", kernel_initializer=kernel_initializer("relu"), name=f"{name}_dense{number}"
        )(x)
        if dropout > 0:
            x = keras.layers.Dropout(dropout, name=f"{name}_dropout{number}")(x)
    if dropout > 0 and not dense:
        x = keras.layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x


def classification(features: Tensor, *, num_classes: int, l2: float = 0.0, least: int = 2) -> Tensor:
    """A dense layer ``logits`` and its softmax ``probabilities``.

    Both compute in float32 whatever the dtype policy, so that losses and attacks can use the logits directly.

    Args:
        features: a vector for each sample, ``[batch, units]``.
        num_classes: number of classes, at least ``least``.
        l2: factor of the L2 penalty on the kernel.
        least: smallest number of classes, which may be 1 beside a box head.

    Returns:
        float32 probabilities ``[batch, num_classes]``; the logits are the output of the layer ``logits``.

    Raises:
        ValueError: the features still have spatial dimensions, or there are too few classes.
    """
    if len(features.shape) != 2:
        raise ValueError(
            "a classification head takes features of shape [batch, units]; flatten or pool them first. "
            f"Received shape {list(features.shape)}."
        )
    if num_classes < least:
        raise ValueError(f"a classification head must have at least {least} classes. Received {num_classes}.")
    penalty = keras.regularizers.L2(l2) if l2 else None
    logits = keras.layers.Dense(num_classes, kernel_regularizer=penalty, dtype="float32", name="logits")(features)
    if num_classes == 1:  # Keras warns of a softmax over a single logit
        return keras.layers.Identity(dtype="float32", name="probabilities")(keras.ops.exp(logits - logits))
    return keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits)


def classification_by_step(features: Tensor, *, num_classes: int) -> Tensor:
    """A dense layer ``logits`` for each step, and its softmax ``probabilities``.

    Args:
        features: ``[batch, steps, units]``.
        num_classes: number of classes.

    Returns:
        float32 probabilities ``[batch, steps, num_classes]``.
    """
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")(features)
    return keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits)


def regression(features: Tensor, *, mean: float, deviation: float) -> Tensor:
    """A dense layer with one output, rescaled to the range of the targets; float32 whatever the dtype policy.

    Args:
        features: a vector for each sample, ``[batch, units]``.
        mean, deviation: mean and standard deviation of the training split's targets.

    Returns:
        float32 ``[batch]``, the output of the layer ``value``.
    """
    scaled = keras.layers.Dense(1, dtype="float32", name="scaled_value")(features)
    scaled = keras.layers.Rescaling(deviation, offset=mean, dtype="float32", name="unscaled_value")(scaled)
    return keras.layers.Reshape((), dtype="float32", name="value")(scaled)


def numbers(features: Tensor, *, mean: Sequence[float], deviation: Sequence[float], l2: float = 0.0) -> Tensor:
    """A dense layer with an output for each of several numbers, rescaled to their ranges; float32 whatever the dtype
    policy.

    Args:
        features: a vector for each sample, ``[batch, units]``.
        mean, deviation: mean and standard deviation of each number in the training split ``[t]``.
        l2: factor of the L2 penalty on the kernel.

    Returns:
        float32 ``[batch, t]``, the output of the layer ``value``.

    Raises:
        ValueError: the features still have spatial dimensions.
    """
    _check_vector(features, "numbers")
    penalty = keras.regularizers.L2(l2) if l2 else None
    scaled = keras.layers.Dense(len(mean), kernel_regularizer=penalty, dtype="float32", name="scaled_value")(features)
    return keras.layers.Rescaling(list(deviation), offset=list(mean), dtype="float32", name="value")(scaled)


def labels(features: Tensor, *, num_labels: int, l2: float = 0.0) -> Tensor:
    """A dense layer ``logits`` and its sigmoid ``probabilities``, float32 whatever the dtype policy.

    Args:
        features: a vector for each sample, ``[batch, units]``.
        num_labels: number of labels, each of which applies or does not.
        l2: factor of the L2 penalty on the kernel.

    Returns:
        float32 probabilities ``[batch, num_labels]``; the logits are the output of the layer ``logits``.

    Raises:
        ValueError: the features still have spatial dimensions.
    """
    _check_vector(features, "labels")
    penalty = keras.regularizers.L2(l2) if l2 else None
    logits = keras.layers.Dense(num_labels, kernel_regularizer=penalty, dtype="float32", name="logits")(features)
    return keras.layers.Activation("sigmoid", dtype="float32", name="probabilities")(logits)


def _check_vector(features: Tensor, noun: str) -> None:
    """Refuses features that are not a vector for each sample.

    Raises:
        ValueError: they still have spatial dimensions.
    """
    if len(features.shape) != 2:
        raise ValueError(
            f"a head for {noun} takes features of shape [batch, units]; flatten or pool them first. "
            f"Received shape {list(features.shape)}."
        )
