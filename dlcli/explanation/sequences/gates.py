"""The gates of a recurrent layer over time: what it keeps, writes and shows, computed by the equations of its cell.

LSTM: Hochreiter and Schmidhuber 1997, with the forget gates of Gers et al. 2000; GRU: Cho et al. 2014. The equations
are those of :mod:`dlcli.models.sequences.recurrent`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dlcli.explanation.network import NotExplainable

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gates:
    """What a layer computes for one sequence.

    Attributes:
        layer: its name.
        inputs: of the layer, ``[steps, features]``.
        gates: by name, ``[steps, units]`` in [0, 1].
        state: the cell of an LSTM, or the state of a GRU, ``[steps, units]``.
        outputs: of the layer, ``[steps, units]``.
    """

    layer: str
    inputs: Array
    gates: Mapping[str, Array]
    state: Array
    outputs: Array


def gates_of(model: keras.Model, sample: Any) -> Gates:
    """The gates of a network's first LSTM or GRU layer that runs forward in time.

    Args:
        model: raw samples -> outputs.
        sample: raw inputs of one sequence, with a batch dimension of 1.

    Raises:
        NotExplainable: it has no such layer; the message is written to follow "FILE: ".
    """
    layer = _gated_layer(model)
    tensors = keras.tree.flatten(layer.input)  # the second may be a mask
    found = keras.tree.flatten(keras.Model(model.input, tensors)(sample, training=False))
    x = np.asarray(found[0], dtype=np.float64)[0]
    x = x[: _length(sample, len(x))]
    if len(found) > 1:
        x = x[: int(np.sum(np.asarray(found[1])[0]))]
    weights = [np.asarray(weight, dtype=np.float64) for weight in layer.get_weights()]
    compute = _lstm if isinstance(layer, keras.layers.LSTM) else _gru
    gates, state, outputs = compute(x, *weights)
    return Gates(str(layer.name), x, gates, state, outputs)


def _gated_layer(model: keras.Model) -> Any:
    for layer in model.layers:
        if isinstance(layer, (keras.layers.LSTM, keras.layers.GRU)) and not layer.name.endswith("_backward"):
            return layer
    raise NotExplainable("has no LSTM or GRU layer, which alone have gates. Train it with model.cell: lstm or gru.")


def _length(sample: Any, steps: int) -> int:
    """Number of steps before the padding, which is NaN in series ``[1, steps, features]``; all of other samples."""
    if not isinstance(sample, np.ndarray) or sample.shape[1:2] != (steps,) or sample.dtype.kind != "f":
        return steps
    known = np.flatnonzero(~np.isnan(sample[0]).all(axis=-1))
    return int(known[-1]) + 1 if len(known) else steps


def _lstm(x: Array, kernel: Array, recurrent: Array, bias: Array) -> tuple[dict[str, Array], Array, Array]:
    h = c = np.zeros(recurrent.shape[0])
    rows = []
    for step in x @ kernel + bias:
        i, f, g, o = np.split(step + h @ recurrent, 4)
        i, f, o = expit(i), expit(f), expit(o)
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        rows.append((f, i, o, c, h))
    forget, write, show, cell, outputs = np.array(rows).transpose(1, 0, 2)
    return {"forget": forget, "input": write, "output": show}, cell, outputs


def _gru(x: Array, kernel: Array, recurrent: Array, bias: Array) -> tuple[dict[str, Array], Array, Array]:
    h = np.zeros(recurrent.shape[0])
    rows = []
    for step in x @ kernel + bias[0]:
        of_input, of_state = np.split(step, 3), np.split(h @ recurrent + bias[1], 3)
        z, r = expit(of_input[0] + of_state[0]), expit(of_input[1] + of_state[1])
        h = z * h + (1 - z) * np.tanh(of_input[2] + r * of_state[2])
        rows.append((z, r, h))
    update, reset, state = np.array(rows).transpose(1, 0, 2)
    return {"update": update, "reset": reset}, state, state
