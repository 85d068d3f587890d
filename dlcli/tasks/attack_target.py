"""The network that is attacked: raw pixels in, float32 logits out, in inference mode, whatever its file has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.errors import InputError
from dlcli.models.images import saved_network
from dlcli.runtime.model_files import load_float32

PASSED_OVER = (keras.layers.Identity, keras.layers.Dropout, keras.layers.ActivityRegularization)


@dataclass(frozen=True)
class AttackTarget:
    """A classifier as attacks see it.

    Attributes:
        logits: pixels float32 ``[b, height, width, channels]`` in [0, 255] -> float32 ``[b, k]``.
        shape: of an image.
        num_classes: k.
        note: what the user should know of how the logits were found; empty where nothing.
    """

    logits: Callable[[Any], Any]
    shape: tuple[int, ...]
    num_classes: int
    note: str = ""


def of_model(model: keras.Model, *, input_range: tuple[float, float], has_logits: bool = False) -> AttackTarget:
    """The logits of a classifier, wherever its softmax stands.

    Args:
        model: float32.
        input_range: what it takes for the pixels 0 and 255.
        has_logits: its outputs are logits, whatever its last layer is.

    Raises:
        InputError: it is no classifier of images.
    """
    if len(model.outputs) > 1 and "box" in model.output_names:
        raise InputError("has a box head: attacks are for classifiers, whose one output is a class.")
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        raise InputError("is no classifier: it must take one input and give one vector for each sample.")
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or None in shape:
        raise InputError(f"must take images of a known size, height x width x channels. It takes {list(shape)}.")
    network, find, num_classes, note = _as_said(model) if has_logits else _logits_of(_opened(model))
    low, high = input_range
    scale = (high - low) / 255

    def logits(pixels: Any) -> Any:
        x = pixels if (low, high) == (0.0, 255.0) else pixels * scale + low
        return find(tf.cast(network(x, training=False), tf.float32))

    return AttackTarget(logits, shape, num_classes, note)


def _opened(model: keras.Model) -> keras.Model:
    """The same network with the layers of models inside in their place; as it is where that does not give the same."""
    if not any(isinstance(layer, keras.Model) for layer in model.layers):
        return model
    x = np.random.default_rng(0).uniform(0, 1, (2, *model.inputs[0].shape[1:])).astype(np.float32)
    try:
        flat = saved_network.flattened(model)
        flat.set_weights(model.get_weights())
        is_same = np.allclose(flat(x, training=False), model(x, training=False), rtol=1e-4, atol=1e-5)
    except ValueError:  # the weights are in another order
        return model
    return flat if is_same else model


def _as_said(model: keras.Model) -> tuple[keras.Model, Callable[[Any], Any], int, str]:
    units = model.outputs[0].shape[-1]
    return (model, _of_one, 2, "") if units == 1 else (model, _as_they_are, units, "")


def _as_they_are(outputs: Any) -> Any:
    return outputs


def _of_probabilities(outputs: Any) -> Any:
    return tf.math.log(tf.maximum(outputs, np.finfo(np.float32).tiny))


def _of_one(outputs: Any) -> Any:
    return tf.concat([tf.zeros_like(outputs), outputs], axis=1)  # of not and of the class


def _logits_of(model: keras.Model) -> tuple[keras.Model, Callable[[Any], Any], int, str]:
    """A network, what makes logits of its outputs, the number of classes, and a note."""
    units = model.outputs[0].shape[-1]
    tensor = model.outputs[0]
    while True:
        operation = _origin(tensor)
        is_idle = isinstance(operation, PASSED_OVER) or (
            _is_activation(operation) and _activation(operation) == "linear"
        )
        if not is_idle:
            break
        tensor = operation.input
    activation = _activation(operation)
    if activation == "softmax":
        return _without_activation(model, operation), _as_they_are, units, ""
    if activation == "sigmoid" and units == 1:
        return _without_activation(model, operation), _of_one, 2, ""
    if units == 1:
        raise InputError("gives one number, which is no probability. If that is a logit, say so with --logits.")
    if activation == "sigmoid":
        raise InputError("gives a probability for each class by itself: attacks need classes that exclude each other.")
    if isinstance(operation, keras.layers.Dense) and activation == "linear":
        return model, _as_they_are, units, ""
    return _of_unknown(model, units)


def _without_activation(model: keras.Model, operation: Any) -> keras.Model:
    """The network up to what a last activation takes, whether it is a layer of its own or inside of one."""
    if _is_activation(operation):
        return keras.Model(model.inputs[0], operation.input)
    operation.activation = keras.activations.linear  # the loaded model is ours to change
    return keras.Model(model.inputs[0], operation.output)


def _of_unknown(model: keras.Model, units: int) -> tuple[keras.Model, Callable[[Any], Any], int, str]:
    """Logits recovered from probabilities, which are recognized by their sums."""
    x = np.random.default_rng(0).uniform(0, 1, (4, *model.inputs[0].shape[1:])).astype(np.float32)
    outputs = np.asarray(model(x, training=False), np.float64)
    if not np.isfinite(outputs).all():
        raise InputError("its outputs must be finite numbers, and are not.")
    if outputs.min() < 0 or np.abs(outputs.sum(axis=1) - 1).max() > 1e-3:
        raise InputError(
            "neither its logits nor probabilities that add up to 1 can be found: it must end in a softmax, in a "
            "sigmoid of one unit, or in a dense layer. If its outputs are logits, say so with --logits."
        )
    note = (
        "the softmax could not be taken off; logits are the logarithms of the probabilities, whose gradients vanish "
        "where the network is sure"
    )
    return model, _of_probabilities, units, note


def _origin(tensor: Any) -> Any:
    return tensor._keras_history.operation


def _is_activation(operation: Any) -> bool:
    return isinstance(operation, (keras.layers.Activation, keras.layers.Softmax))


def _activation(operation: Any) -> str:
    if isinstance(operation, keras.layers.Softmax):
        return "softmax"
    return getattr(getattr(operation, "activation", None), "__name__", "")


def load_target(
    path: Path, *, input_range: tuple[float, float] = (0.0, 255.0), has_logits: bool = False
) -> AttackTarget:
    """The classifier in a .keras file, computing in float32 whatever policy it was saved with.

    Raises:
        InputError: it cannot be loaded, or is no classifier of images.
    """
    try:
        return of_model(load_float32(path), input_range=input_range, has_logits=has_logits)
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
