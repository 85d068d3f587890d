"""Pooling the steps of each sequence to one vector; steps after a sequence's end never count."""

from typing import Any, Literal

import keras

Tensor = Any  # a symbolic keras.KerasTensor
Pooling = Literal["last", "mean", "max", "attention"]

FAR_BELOW = -1e9  # a softmax input that gets no weight; finite, so that a row of them gives no NaN


def masked(x: Tensor, mask: Tensor) -> Tensor:
    """The steps ``[batch, steps, features]`` with zeros after each sequence's end."""
    return keras.ops.where(mask[..., None], x, keras.ops.zeros_like(x))


def pooled(x: Tensor, mask: Tensor, *, pooling: Pooling) -> Tensor:
    """One vector per sequence.

    Args:
        x: ``[batch, steps, features]``.
        mask: bool ``[batch, steps]``, true up to each sequence's end, and at least for the first step.
        pooling: the features of the last step; their mean or maximum over the steps; or their mean weighted by learned
            attention (Bahdanau et al. 2015, equation 6, with a learned query; Yang et al. 2016, equations 5 to 7).

    Returns:
        ``[batch, features]``.
    """
    match pooling:
        case "last":
            return last_step(x, mask)
        case "mean":
            number = keras.ops.sum(keras.ops.cast(mask, x.dtype), axis=1, keepdims=True)
            return keras.ops.sum(masked(x, mask), axis=1) / number
        case "max":
            # near the others, because the 8 bits of an exported network divide the range of all values
            below = keras.ops.stop_gradient(keras.ops.min(x, axis=1, keepdims=True)) - 1.0
            return keras.ops.max(keras.ops.where(mask[..., None], x, below), axis=1)
        case "attention":
            hidden = keras.layers.Dense(x.shape[-1], activation="tanh", name="attention_hidden")(x)
            scores = keras.layers.Dense(1, use_bias=False, dtype="float32", name="attention_scores")(hidden)
            scores = keras.ops.where(mask[..., None], scores, keras.ops.full_like(scores, FAR_BELOW))
            weights = keras.layers.Softmax(axis=1, dtype="float32", name="attention_weights")(scores)
            return keras.ops.sum(x * keras.ops.cast(weights, x.dtype), axis=1)


def last_step(x: Tensor, mask: Tensor) -> Tensor:
    """Each sequence's last step: ``[batch, steps, features]`` -> ``[batch, features]``."""
    return rows(x, mask, lengths(mask) - 1)[:, 0]


def lengths(mask: Tensor) -> Tensor:
    """Lengths of the sequences: int32 ``[batch, 1]``."""
    return keras.ops.sum(keras.ops.cast(mask, "int32"), axis=1, keepdims=True)


def rows(x: Tensor, mask: Tensor, steps: Tensor) -> Tensor:
    """Selects steps of each sequence: ``[batch, steps, features]`` at ``[batch, n]`` -> ``[batch, n, features]``.

    It takes whole rows of the flattened batch, because ``take_along_axis`` would gather each feature separately.
    """
    ops = keras.ops
    width = ops.sum(ops.cast(ops.ones_like(mask), "int32"), axis=1, keepdims=True)
    first = ops.cumsum(width, axis=0) - width  # of each sequence
    return ops.take(ops.reshape(x, (-1, x.shape[-1])), first + steps, axis=0)
