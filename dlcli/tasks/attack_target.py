"""The classifier that an attack runs against: raw pixels in, float32 logits out, in inference mode."""

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

SKIPPED_LAYERS = (keras.layers.Identity, keras.layers.Dropout, keras.layers.ActivityRegularization)


@dataclass(frozen=True)
class AttackTarget:
    """A classifier as attacks see it.

    Attributes:
        logits: pixels float32 ``[b, height, width, channels]`` in [0, 255] -> float32 ``[b, k]``.
        shape: of one image, (height, width, channels).
        num_classes: k.
        note: what the user should know about how the logits were obtained; empty if nothing.
    """

    logits: Callable[[Any], Any]
    shape: tuple[int, ...]
    num_classes: int
    note: str = ""


def of_model(model: keras.Model, *, input_range: tuple[float, float], has_logits: bool = False) -> AttackTarget:
    """Take the logits of a classifier, whether its softmax is a layer, an activation of a layer, or in a nested model.

    Args:
        model: the classifier, computing in float32.
        input_range: the inputs that the model expects for the pixel values 0 and 255.
        has_logits: the model's outputs are logits already, whatever its last layer is.

    Raises:
        InputError: it is not an image classifier.
    """
    if len(model.outputs) > 1 and "box" in model.output_names:
        raise InputError("has a box head: attacks need a classifier, whose only output is a class.")
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        raise InputError("is not a classifier: it must have one input, and one output vector per sample.")
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or None in shape:
        raise InputError(
            "must take images of a fixed size, height x width x channels: train with data.image_size in place of "
            f"data.resize: none. Its input shape is {list(shape)}."
        )
    network, to_logits, num_classes, note = _trusted(model) if has_logits else _find_logits(_flattened(model))
    low, high = input_range
    scale = (high - low) / 255

    def logits(pixels: Any) -> Any:
        x = pixels if (low, high) == (0.0, 255.0) else pixels * scale + low
        return to_logits(tf.cast(network(x, training=False), tf.float32))

    return AttackTarget(logits, shape, num_classes, note)


def _flattened(model: keras.Model) -> keras.Model:
    """The same network with nested models replaced by their layers; unchanged if that would alter its outputs."""
    if not any(isinstance(layer, keras.Model) for layer in model.layers):
        return model
    x = np.random.default_rng(0).uniform(0, 1, (2, *model.inputs[0].shape[1:])).astype(np.float32)
    try:
        flat = saved_network.flattened(model)
        flat.set_weights(model.get_weights())
        is_same = np.allclose(flat(x, training=False), model(x, training=False), rtol=1e-4, atol=1e-5)
    except ValueError:  # the flat model orders its weights differently
        return model
    return flat if is_same else model


def _trusted(model: keras.Model) -> tuple[keras.Model, Callable[[Any], Any], int, str]:
    units = model.outputs[0].shape[-1]
    return (model, _two_class_logits, 2, "") if units == 1 else (model, _unchanged, units, "")


def _unchanged(outputs: Any) -> Any:
    return outputs


def _log(outputs: Any) -> Any:
    return tf.math.log(tf.maximum(outputs, np.finfo(np.float32).tiny))


def _two_class_logits(outputs: Any) -> Any:
    return tf.concat([tf.zeros_like(outputs), outputs], axis=1)  # of "not the class" and of the class


def _find_logits(model: keras.Model) -> tuple[keras.Model, Callable[[Any], Any], int, str]:
    """A network, the function from its outputs to logits, the number of classes, and a note."""
    units = model.outputs[0].shape[-1]
    tensor = model.outputs[0]
    while True:
        operation = _origin(tensor)
        is_idle = isinstance(operation, SKIPPED_LAYERS) or (
            _is_activation(operation) and _activation(operation) == "linear"
        )
        if not is_idle:
            break
        tensor = operation.input
    activation = _activation(operation)
    if activation == "softmax":
        return _without_activation(model, operation), _unchanged, units, ""
    if activation == "sigmoid" and units == 1:
        return _without_activation(model, operation), _two_class_logits, 2, ""
    if units == 1:
        raise InputError("outputs one number that is not a probability. If it is a logit, use --logits.")
    if activation == "sigmoid":
        raise InputError("outputs an independent probability for each class: attacks need mutually exclusive classes.")
    if isinstance(operation, keras.layers.Dense) and activation == "linear":
        return model, _unchanged, units, ""
    return _from_probabilities(model, units)


def _without_activation(model: keras.Model, operation: Any) -> keras.Model:
    """The network up to the input of its last activation, which is a layer of its own or part of one."""
    if _is_activation(operation):
        return keras.Model(model.inputs[0], operation.input)
    operation.activation = keras.activations.linear  # modifies the loaded model, which nothing else uses
    return keras.Model(model.inputs[0], operation.output)


def _from_probabilities(model: keras.Model, units: int) -> tuple[keras.Model, Callable[[Any], Any], int, str]:
    """Logits recovered from probabilities, which are recognized because they sum to 1."""
    x = np.random.default_rng(0).uniform(0, 1, (4, *model.inputs[0].shape[1:])).astype(np.float32)
    outputs = np.asarray(model(x, training=False), np.float64)
    if not np.isfinite(outputs).all():
        raise InputError("its outputs must be finite. Received NaN or infinity.")
    if outputs.min() < 0 or np.abs(outputs.sum(axis=1) - 1).max() > 1e-3:
        raise InputError(
            "its outputs are neither logits nor probabilities that sum to 1: it must end in a softmax, in a sigmoid "
            "with one unit, or in a dense layer. If its outputs are logits, use --logits."
        )
    note = (
        "the softmax could not be removed; the logits are the logarithms of the probabilities, whose gradients vanish "
        "where the network is confident"
    )
    return model, _log, units, note


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
    """Load the classifier in a .keras file, computing in float32 whatever dtype policy it was saved with.

    Raises:
        InputError: it cannot be loaded, or is not an image classifier.
    """
    return target_of(load_float32(path), path, input_range=input_range, has_logits=has_logits)


def target_of(
    model: keras.Model, path: Path, *, input_range: tuple[float, float] = (0.0, 255.0), has_logits: bool = False
) -> AttackTarget:
    """As :func:`of_model`, for a model that was read from a file.

    Raises:
        InputError: it is not an image classifier; names the file.
    """
    try:
        return of_model(model, input_range=input_range, has_logits=has_logits)
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
