"""Recurrent layers: the simple recurrent network, LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et al. 2014).

Leaky units and Jordan networks are in :mod:`dlcli.models.sequences.cells`. The equations are Keras's. With ``s`` the
logistic sigmoid, ``*`` elementwise, ``x`` the input of the step and ``h`` the previous output, a simple cell is
``h' = tanh(W x + U h + b)``; an LSTM is

    i = s(Wi x + Ui h + bi)    f = s(Wf x + Uf h + bf)    o = s(Wo x + Uo h + bo)
    g = tanh(Wg x + Ug h + bg)    c' = f * c + i * g    h' = o * tanh(c')

and a GRU, whose reset gate is applied after the product with U, so that it has two biases, is

    z = s(Wz x + bz + Uz h + dz)    r = s(Wr x + br + Ur h + dr)
    g = tanh(Wg x + bg + r * (Ug h + dg))    h' = z * h + (1 - z) * g

The LSTM of Goodfellow et al. 2016, equation 10.41, has a sigmoid for its candidate ``g``; those of 1997 and of Keras
have tanh.
"""

from typing import Any, Literal

import keras

from dlcli.models.sequences.cells import JordanCell, LeakyCell
from dlcli.models.sequences.pooling import last_step, lengths, masked, rows

Tensor = Any  # a symbolic keras.KerasTensor
Cell = Literal["simple", "leaky", "jordan", "lstm", "gru"]

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
    decay: float,
    learn_decay: bool,
    last_only: bool,
    is_first: Tensor | None = None,
) -> Tensor:
    """Stacked recurrent layers over all steps (Graves et al. 2013; bidirectional: Schuster 1997).

    Args:
        x: ``[batch, steps, features]``.
        mask: bool ``[batch, steps]``, true up to each sequence's end; later steps have no effect.
        cell: kind of recurrent cell.
        units: number of units of each layer, in each direction.
        layers: number of layers.
        bidirectional: add a second layer to each that runs backward from the sequence's end; outputs are concatenated.
        dropout: dropout rate of each layer's inputs, with one mask for all steps of a sequence (Gal and Ghahramani
            2016).
        recurrent_dropout: dropout rate of the state, with one mask for all steps of a sequence.
        residual: add each layer's inputs to its outputs, if they have the same size.
        layer_norm: normalize each layer's outputs over the units (Ba et al. 2016), after the sum.
        recurrent_initializer: initializer of U.
        forget_bias: initialize the LSTM's ``bf`` to 1 (Jozefowicz et al. 2015).
        decay, learn_decay: of leaky units, as in :class:`dlcli.models.sequences.cells.LeakyCell`.
        last_only: return the state after each sequence's last step (backward: after its first) instead of all steps.
        is_first: bool ``[batch]``, for layers that continue from the final state of the previous batch: true where a
            new sequence starts. The batch size must then be fixed, and ``bidirectional`` false.

    Returns:
        ``[batch, steps, outputs]``, or ``[batch, outputs]`` with ``last_only``; there are as many outputs as units, or
        twice as many if bidirectional.
    """

    def layer(name: str, *, return_state: bool = False) -> Any:
        options: dict[str, Any] = {
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "recurrent_initializer": recurrent_initializer,
        }
        of_layer: dict[str, Any] = {"return_sequences": True, "return_state": return_state, "name": name}
        match cell:
            case "leaky":
                own = LeakyCell(units, decay=decay, learn_decay=learn_decay, **options, name="cell")
                return keras.layers.RNN(own, **of_layer)
            case "jordan":
                return keras.layers.RNN(JordanCell(units, **options, name="cell"), **of_layer)
            case "lstm":
                options["unit_forget_bias"] = forget_bias
        return LAYERS[cell](units, **options, **of_layer)

    for number in range(1, layers + 1):
        # no mask, which would have to hold the state at each padded step: only padding follows a sequence
        if is_first is None:
            y = layer(f"{cell}{number}")(x)
        else:
            inner = layer(f"{cell}{number}", return_state=True)
            y = Carried(inner, name=f"{cell}{number}_carried")(x, is_first)
        if bidirectional:
            backward = layer(f"{cell}{number}_backward")(reversed_each(x, mask))
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
    return summary(x, mask, bidirectional=bidirectional)


def summary(x: Tensor, mask: Tensor, *, bidirectional: bool) -> Tensor:
    """The final state of the last layer: ``[batch, steps, outputs]`` -> ``[batch, outputs]``.

    If bidirectional: the last step of the first half of the outputs, which is forward, and the first of the second.
    """
    if not bidirectional:
        return last_step(x, mask)
    half = x.shape[-1] // 2
    return keras.ops.concatenate([last_step(x[..., :half], mask), x[:, 0, half:]], axis=-1)


class Carried(keras.layers.Layer):  # type: ignore[misc]
    """A recurrent layer that starts each batch from the final state of the previous one, for truncated backpropagation
    through time (Williams and Peng 1990): no gradient flows back to earlier batches. The states are variables.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, x_shape: Any, is_first_shape: Any) -> None:
        self.layer.build(x_shape)
        self.states = [
            self.add_weight(
                shape=(x_shape[0], self.layer.cell.units), initializer="zeros", trainable=False, name="state"
            )
            for _ in (self.layer.state_size if isinstance(self.layer.state_size, list | tuple) else [0])
        ]

    def call(self, x: Tensor, is_first: Tensor, training: bool = False) -> Tensor:
        ops = keras.ops
        kept = [ops.convert_to_tensor(state) for state in self.states]
        begin = [ops.where(is_first[:, None], ops.zeros_like(state), state) for state in kept]
        y, *end = self.layer(x, initial_state=[ops.cast(state, x.dtype) for state in begin], training=training)
        for state, value in zip(self.states, end, strict=True):
            state.assign(ops.cast(value, state.dtype))
        return y


def reversed_each(x: Tensor, mask: Tensor) -> Tensor:
    """Reverses the steps ``[batch, steps, features]`` of each sequence; padding after its end stays in place."""
    ops = keras.ops
    position = ops.cumsum(ops.cast(ops.ones_like(mask), "int32"), axis=1) - 1
    return rows(x, mask, ops.where(mask, lengths(mask) - 1 - position, position))
