"""A classifier that was saved, without its last layer: what it has learned, as the features of another."""

from typing import Any

import keras

from dlcli.errors import InputError

Tensor = Any  # a symbolic keras.KerasTensor


def features(model: keras.Model) -> tuple[Tensor, Tensor]:
    """The inputs of a classifier, and the vector ``[batch, units]`` that its last Dense layer takes.

    Raises:
        InputError: it is no classifier of pictures that ends in a Dense layer.
    """
    if not isinstance(model, keras.Function) or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError("is no functional or sequential model with one input and one output.")
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise InputError(f"takes no pictures [batch, height, width, channels]: its input has the shape {list(shape)}.")
    with_weights = [layer for layer in model.layers if layer.weights]
    last = with_weights[-1] if with_weights else None
    if not isinstance(last, keras.layers.Dense) or len(last.output.shape) != 2:
        found = "no layer with weights" if last is None else f"a {type(last).__name__} '{last.name}'"
        raise InputError(f"is no classifier: its last layer with weights must be a Dense layer. Found {found}.")
    return model.inputs[0], last.input
