"""Recurrent layers: the simple recurrent network, LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et al. 2014).

The equations are Keras's. With ``s`` the logistic sigmoid, ``*`` elementwise, ``x`` the step's input and ``h`` the last
output, a simple cell is ``h' = tanh(W x + U h + b)``; an LSTM

    i = s(Wi x + Ui h + bi)    f = s(Wf x + Uf h + bf)    o = s(Wo x + Uo h + bo)
    g = tanh(Wg x + Ug h + bg)    c' = f * c + i * g    h' = o * tanh(c')

and a GRU, whose reset gate acts after the product with U, so that it has two biases,

    z = s(Wz x + bz + Uz h + dz)    r = s(Wr x + br + Ur h + dr)
    g = tanh(Wg x + bg + r * (Ug h + dg))    h' = z * h + (1 - z) * g

The LSTM of Goodfellow et al. 2016, equation 10.41, has a sigmoid for its candidate ``g``; that of 1997 and Keras
have tanh.
"""

from typing import Any, Literal

import keras

from dlcli.models.pooling import last_step, lengths, masked, rows

Tensor = Any  # a symbolic keras.KerasTensor
Cell = Literal["simple", "lstm", "gru"]

LAYERS = {"simple": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


def steps(
    x: Tensor,
    mask: Tensor,
    *,
    cell: Cell,
    units: int,
    layers: int,
    bidirectional: bool,
    dropout: float,
    recurrent_dropout: float,
    residual: bool,
    layer_norm: bool,
    recurrent_initializer: Literal["orthogonal", "glorot_uniform"],
    forget_bias: bool,
    last_only: bool,
    stateful: bool = False,
) -> Tensor:
    """Layers one above the other, over all the steps (Graves et al. 2013; bidirectional: Schuster 1997).

    Args:
        x: ``[batch, steps, features]``.
        mask: bool ``[batch, steps]``, true up to each sequence's end: what comes after changes nothing.
        units: of each layer, in each direction.
        bidirectional: a second layer beside each that goes backward from the sequence's end, their outputs joined.
        dropout: proportion of each layer's inputs set to 0 in training, the same at every step of a sequence (Gal and
            Ghahramani 2016).
        recurrent_dropout: proportion of the state set to 0 in training, the same at every step of a sequence.
        residual: add each layer's inputs to its outputs, where both are as many.
        layer_norm: normalise each layer's outputs over the units (Ba et al. 2016), after the sum.
        recurrent_initializer: of U.
        forget_bias: the LSTM's ``bf`` begins at 1 (Jozefowicz et al. 2015).
        last_only: give the state after each sequence's last step (and backward, after its first) in place of all steps.
        stateful: begin each batch in the state that the last one ended in; the batch's size must then be fixed.

    Returns:
        ``[batch, steps, outputs]``, or ``[batch, outputs]``; as many outputs as units, twice that with two directions.
    """
    for number in range(1, layers + 1):
        options: dict[str, Any] = {
            "return_sequences": True,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "recurrent_initializer": recurrent_initializer,
            "stateful": stateful,
        }
        if cell == "lstm":
            options["unit_forget_bias"] = forget_bias
        # a sequence is followed by padding alone: it needs no mask, which would keep every step's state from changing
        y = LAYERS[cell](units, name=f"{cell}{number}", **options)(x)
        if bidirectional:
            backward = LAYERS[cell](units, name=f"{cell}{number}_backward", **options)(reversed_each(x, mask))
            if last_only and number == layers and not residual and not layer_norm:
                return keras.ops.concatenate([last_step(y, mask), last_step(backward, mask)], axis=-1)
            y = keras.ops.concatenate([y, reversed_each(backward, mask)], axis=-1)
        if residual and y.shape[-1] == x.shape[-1]:
            y = keras.layers.Add(name=f"residual{number}")([y, x])
        if layer_norm:
            y = keras.layers.LayerNormalization(name=f"norm{number}")(y)
        x = y
    if not last_only:
        return masked(x, mask)
    if not bidirectional:
        return last_step(x, mask)
    return keras.ops.concatenate([last_step(x[..., :units], mask), x[:, 0, units:]], axis=-1)


def reversed_each(x: Tensor, mask: Tensor) -> Tensor:
    """The steps ``[batch, steps, features]`` of each sequence in the opposite order; what comes after its end stays."""
    ops = keras.ops
    position = ops.cumsum(ops.cast(ops.ones_like(mask), "int32"), axis=1) - 1
    return rows(x, mask, ops.where(mask, lengths(mask) - 1 - position, position))
