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

from dlcli.models.pooling import masked

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
        is_last = number == layers
        options: dict[str, Any] = {"unit_forget_bias": forget_bias} if cell == "lstm" else {}
        layer = LAYERS[cell](
            units,
            return_sequences=not (is_last and last_only),
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            recurrent_initializer=recurrent_initializer,
            stateful=stateful,
            name=f"{cell}{number}",
            **options,
        )
        if bidirectional:
            layer = keras.layers.Bidirectional(layer, name=f"bidirectional{number}")
        y = layer(x, mask=mask)
        if residual and y.shape[-1] == x.shape[-1] and len(y.shape) == len(x.shape):
            y = keras.layers.Add(name=f"residual{number}")([y, x])
        if layer_norm:
            y = keras.layers.LayerNormalization(name=f"norm{number}")(y)
        x = y
    return x if last_only else masked(x, mask)
