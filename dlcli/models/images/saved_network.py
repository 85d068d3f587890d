"""The features of a saved classifier: the network without its last layer, for transfer learning."""

import math
from collections.abc import Callable
from typing import Any

import keras

from dlcli.errors import InputError

Tensor = Any  # a symbolic keras.KerasTensor


NEUTRAL = (  # layers that leave the range of the values as it is
    *(keras.layers.InputLayer, keras.layers.Identity, keras.layers.Dropout, keras.layers.SpatialDropout2D),
    *(keras.layers.ZeroPadding2D, keras.layers.Cropping2D, keras.layers.CenterCrop, keras.layers.Resizing),
    *(keras.layers.Flatten, keras.layers.Reshape, keras.layers.Permute),
    *(keras.layers.MaxPooling2D, keras.layers.AveragePooling2D),
    *(keras.layers.RandomFlip, keras.layers.RandomRotation, keras.layers.RandomTranslation, keras.layers.RandomZoom),
    keras.layers.RandomCrop,
)


def features(model: keras.Model, *, input_range: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
    """The inputs of a classifier, and the vector ``[batch, units]`` that is the input of its last layer.

    That layer is dense, or a 1x1 convolution of a single pixel, which is equivalent.

    Args:
        input_range: the range in which the classifier takes pixels; new inputs in [0, 255] are scaled to it.

    Raises:
        InputError: the model is not an image classifier that ends in such a layer.
    """
    is_graph = isinstance(model, (keras.Function, keras.Sequential)) and model.built
    if is_graph and len(model.outputs) > 1:
        raise InputError(
            "has several outputs, such as a class and a box: only classifiers can get a new head. To start from its "
            "weights, name it in model.weights of a recipe for the same network."
        )
    if not is_graph or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError("is not a functional or sequential model with one input and one output.")
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise InputError(f"does not take images [batch, height, width, channels]: its input has shape {list(shape)}.")
    flat = flattened(model, input_range=input_range)
    with_weights = [layer for layer in flat.layers if layer.weights]
    last = with_weights[-1] if with_weights else None
    if isinstance(last, keras.layers.Conv2D) and last.input.shape[1:-1] == (1, 1) and math.prod(last.kernel_size) == 1:
        return flat.inputs[0], keras.layers.Flatten(name="new_head_flatten")(last.input)
    if not isinstance(last, keras.layers.Dense) or len(last.output.shape) != 2:
        found = "no layer with weights" if last is None else f"a {type(last).__name__} '{last.name}'"
        raise InputError(f"is not a classifier: its last layer with weights must be a Dense layer. Found {found}.")
    return flat.inputs[0], last.input


def scales_its_input(inputs: Tensor, vector: Tensor) -> bool:
    """Whether anything between the inputs and the initial weights may scale the pixels.

    Batch normalization that comes first counts, because it adapts to any range in training.
    """
    for operation in keras.Model(inputs, vector).operations:
        if isinstance(operation, keras.layers.BatchNormalization):
            return True
        if isinstance(operation, keras.layers.Layer) and operation.weights:
            return isinstance(operation, keras.layers.Normalization)
        if not isinstance(operation, NEUTRAL):
            return True
    return True


def flattened(model: keras.Model, *, input_range: tuple[float, float] | None = None) -> keras.Model:
    """The same network with nested models replaced by their layers, and with new weights.

    If two layers would then have the same name, nested models are kept.
    """
    inputs = keras.Input(model.inputs[0].shape[1:], dtype=model.inputs[0].dtype, name="pixels")
    x = inputs
    if input_range is not None:
        low, high = input_range
        x = keras.layers.Rescaling((high - low) / 255, offset=low, dtype="float32", name="input_range")(inputs)
    try:
        flat = keras.Model(inputs, _outputs(model, x))
    except ValueError:
        flat = keras.Model(inputs, _outputs(model, x, opened=lambda layer: layer))
    return keras.models.clone_model(flat)  # each layer is then called once, so that its input and output are defined


def _outputs(model: keras.Model, inputs: Any, opened: Callable[[Any], Callable[..., Any]] | None = None) -> Any:
    opened = opened or _opened
    if isinstance(model, keras.Sequential):
        (outputs,) = keras.tree.flatten(inputs)
        for layer in model.layers:
            outputs = opened(layer)(outputs)
        return outputs
    # Keras's own way of running a model's graph on other tensors
    return model._run_through_graph(inputs, operation_fn=opened)


def _opened(layer: Any) -> Callable[..., Any]:
    if not isinstance(layer, (keras.Function, keras.Sequential)):
        return layer  # type: ignore[no-any-return]
    return lambda tensors, *_, **__: _outputs(layer, tensors)
