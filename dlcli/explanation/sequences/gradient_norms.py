"""How far gradients reach back in time: their norm at each step before the end (the vanishing gradient).

Hochreiter 1991; Bengio, Simard and Frasconi 1994. What is differentiated is the output after the last step, with
respect to the inputs of a recurrent layer at each step; the gradient of the layer's state shrinks by the same ratio.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.explanation.network import NotExplainable, Tensor
from dlcli.explanation.sequences.scores import log_odds

STEPS_OF_RATIO = 50
FEWEST_SHARE = 0.5  # of the sequences that a step before the end needs


@dataclass(frozen=True)
class GradientNorms:
    """The norms of gradients in one network.

    Attributes:
        layer: name of the recurrent layer.
        trained, initial: mean norm over the sequences by steps before the end ``[steps]``, the last step first, with
            the trained weights and with initial ones.
        num_sequences: how many the mean is of.
        forgetting: as ``initial``, with forget gates whose biases start at 0; None for networks without an LSTM whose
            biases start at 1 (Jozefowicz et al. 2015).
    """

    layer: str
    trained: NDArray[np.float64]
    initial: NDArray[np.float64]
    num_sequences: int
    forgetting: NDArray[np.float64] | None = None


def gradient_norms(model: keras.Model, samples: Sequence[Any], *, is_class: bool, seed: int) -> GradientNorms:
    """The norms with a network's own weights, and with weights that its initializers draw.

    Args:
        model: raw samples -> numbers, or logits ``[b, classes]`` or ``[b, steps, classes]``, of which the last step
            counts.
        samples: raw inputs of one sequence each, with a batch dimension of 1.
        is_class: differentiate the log-odds of the most probable class; else the mean of the numbers.
        seed: of the initial weights.

    Raises:
        NotExplainable: it has no recurrent layer; the message is written to follow "FILE: ".
    """
    layer = recurrent_layer(model)
    keras.utils.set_random_seed(seed)
    initial = keras.models.clone_model(model)
    found = [_mean(_norms(_slopes(model, layer, is_class=is_class), samples))]
    of_initial = _slopes(initial, layer, is_class=is_class)
    found.append(_mean(_norms(of_initial, samples)))
    if _remove_forget_biases(initial):
        found.append(_mean(_norms(of_initial, samples)))
    size = min(map(len, found))
    trained, drawn, *forgetting = (norms[:size] for norms in found)
    return GradientNorms(layer, trained, drawn, len(samples), forgetting[0] if forgetting else None)


def _remove_forget_biases(model: keras.Model) -> bool:
    """Set the biases of the forget gates of LSTM layers to 0; whether any was another."""
    has_changed = False
    for layer in model.layers:
        if isinstance(layer, keras.layers.LSTM) and layer.use_bias:
            kernel, recurrent_kernel, bias = layer.get_weights()
            forget = slice(layer.units, 2 * layer.units)  # gates in Keras's order: input, forget, candidate, output
            has_changed |= bool(bias[forget].any())
            bias[forget] = 0.0
            layer.set_weights([kernel, recurrent_kernel, bias])
    return has_changed


def recurrent_layer(model: keras.Model) -> str:
    """The name of the first recurrent layer that runs forward in time.

    Raises:
        NotExplainable: there is none.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.RNN) and not layer.name.endswith("_backward"):
            return str(layer.name)
    raise NotExplainable("has no recurrent layer, through which gradients could vanish.")


def ratio_per_step(norms: NDArray[np.float64]) -> float:
    """By how much the norm changes with each step back: the geometric mean over the last 50 steps, or fewer."""
    steps = min(STEPS_OF_RATIO, len(norms) - 1)
    if steps < 1 or norms[0] <= 0:
        return float("nan")
    return float((norms[steps] / norms[0]) ** (1 / steps))


def _slopes(model: keras.Model, layer: str, *, is_class: bool) -> Callable[[Any], Tensor]:
    """The norm of the gradient at each step ``[steps]``, as a function of the raw inputs of one sequence."""
    inputs = keras.tree.flatten(model.get_layer(layer).input)[0]  # which a mask may follow
    start = keras.Model(model.input, inputs)
    rest = keras.Model([*model.inputs, inputs], model.outputs[0])

    def slopes(raw: Tensor) -> Tensor:
        x = start(raw, training=False)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            outputs = tf.cast(rest([*keras.tree.flatten(raw), x], training=False), tf.float32)
            score = _score(outputs, is_class=is_class)
        return tf.norm(tape.gradient(score, x)[0], axis=-1)

    return tf.function(slopes, reduce_retracing=True, autograph=False)  # type: ignore[no-any-return]


def _norms(slopes: Callable[[Any], Tensor], samples: Sequence[Any]) -> list[NDArray[np.float64]]:
    """The norm at each step of each sequence, the last step first."""
    found = []
    for raw in samples:
        backward = slopes(raw).numpy().astype(np.float64)[::-1]
        is_padding = np.cumsum(backward) == 0  # after the end of the sequence
        found.append(backward[~is_padding])
    return found


def _score(outputs: Tensor, *, is_class: bool) -> Tensor:
    """What is differentiated: the log-odds of the most probable class after the last step, or the mean number."""
    if not is_class:
        return tf.reduce_mean(outputs)
    logits = outputs[:, -1] if len(outputs.shape) == 3 else outputs
    return log_odds(logits, tf.argmax(logits, axis=-1, output_type=tf.int32))[0]


def _mean(norms: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean over the sequences that are long enough, for each step that at least half of them have."""
    longest = max(map(len, norms))
    table = np.full((len(norms), longest), np.nan)
    for row, values in zip(table, norms, strict=True):
        row[: len(values)] = values
    has_enough = (~np.isnan(table)).mean(axis=0) >= FEWEST_SHARE
    mean: NDArray[np.float64] = np.nanmean(table[:, has_enough], axis=0)
    return mean
