"""The transformer encoder (Vaswani et al. 2017)."""

import math
from typing import Any

import keras
import numpy as np

from dlcli.models.sequences.pooling import masked

Tensor = Any  # a symbolic keras.KerasTensor

LONGEST_WAVE = 10_000.0  # longest wavelength of the positional encoding, in units of 2 pi steps (section 3.5)


def steps(
    x: Tensor,
    mask: Tensor,
    *,
    units: int,
    heads: int,
    layers: int,
    feed_forward: int,
    causal: bool,
    dropout: float,
) -> Tensor:
    """Blocks of self-attention and a position-wise feed-forward network, each with a residual connection.

    Layer normalization comes before each sublayer (pre-norm), not after the sum as in figure 1 of the paper: training
    then needs no warm-up (Xiong et al. 2020).

    Args:
        x: ``[batch, steps, features]``; projected by a dense layer if there are not ``units`` features.
        mask: bool ``[batch, steps]``, true up to each sequence's end; later steps are not attended to.
        units: model dimension.
        heads: number of attention heads, which must divide ``units``.
        layers: number of blocks.
        feed_forward: number of hidden units of the feed-forward networks.
        causal: let each step attend only to itself and earlier steps.
        dropout: dropout rate of the inputs and of each sublayer's output.

    Returns:
        ``[batch, steps, units]``.

    Raises:
        ValueError: the heads do not divide the units.
    """
    if units % heads:
        raise ValueError(f"units must be a multiple of heads. Received {units} and {heads}.")
    if x.shape[-1] != units:
        x = keras.layers.Dense(units, name="projection")(x)
    x = x + positions(x)
    if dropout > 0:
        x = keras.layers.Dropout(dropout, name="input_dropout")(x)
    for number in range(1, layers + 1):
        y = keras.layers.LayerNormalization(name=f"attention{number}_norm")(x)
        y = keras.layers.MultiHeadAttention(heads, units // heads, name=f"attention{number}")(
            y, y, attention_mask=mask[:, None, :], use_causal_mask=causal
        )
        x = x + _dropped(y, dropout, f"attention{number}_dropout")
        y = keras.layers.LayerNormalization(name=f"feed_forward{number}_norm")(x)
        y = keras.layers.Dense(feed_forward, activation="gelu", name=f"feed_forward{number}_hidden")(y)
        y = keras.layers.Dense(units, name=f"feed_forward{number}_output")(y)
        x = x + _dropped(y, dropout, f"feed_forward{number}_dropout")
    return masked(keras.layers.LayerNormalization(name="norm")(x), mask)


def _dropped(x: Tensor, dropout: float, name: str) -> Tensor:
    return keras.layers.Dropout(dropout, name=name)(x) if dropout > 0 else x


def positions(x: Tensor) -> Tensor:
    """Sinusoidal positional encoding: ``[batch, steps, units]`` (section 3.5, with all sines before the cosines)."""
    units = x.shape[-1]
    waves = np.exp(-math.log(LONGEST_WAVE) * np.arange((units + 1) // 2) / max(1, (units + 1) // 2)).astype("float32")
    ones = keras.ops.ones_like(x[..., :1], dtype="float32")
    angles = (keras.ops.cumsum(ones, axis=1) - 1.0) * waves
    both = keras.ops.concatenate([keras.ops.sin(angles), keras.ops.cos(angles)], axis=-1)
    return keras.ops.cast(both[..., :units], x.dtype)
