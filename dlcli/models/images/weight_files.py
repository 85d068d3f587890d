"""Loading weights from files: by layer name where the file has names, and never silently leaving a weight out."""

import re
import warnings
from typing import Any

import h5py
import keras
import numpy as np

UNREAD = 3e38  # value of every weight until it is read from a file


MISFIT = re.compile(
    r"object <\w+ name=(?P<layer>[^,>]+).*?variable\.shape=(?P<here>\([^)]*\)), Received: "
    r"value\.shape=(?P<there>\([^)]*\))"
)
"""Keras's message about a weight of another shape."""
UNLOADED = re.compile(r"objects could not be loaded\. Example error message for object <\w+ name=(?P<layer>[^,>]+)")
"""Keras's message about a layer for which the file has no weights."""


class DoNotFit(Exception):
    """The weights are not those of the network; the message says why, with layer and shapes."""


def read_weights(model: keras.Model, file: str) -> None:
    """Reads all weights of a model from a file: ``.weights.h5``, or a legacy ``.h5`` of weights or of a whole model.

    Raises:
        DoNotFit: a weight is missing from the file, has another shape, or is not finite.
    """
    floats = [weight for weight in model.weights if weight.dtype == "float32"]
    for weight in floats:
        weight.assign(np.full(weight.shape, UNREAD, np.float32))
    named = _by_name(file)
    if named is not None and all(layer.name in named for layer in _with_weights(model)):
        _refuse_others_between(model, list(named))
        for layer in _with_weights(model):
            _assign(layer, named[layer.name])
    else:
        _let_keras_read(model, file)
    for weight in floats:
        values = weight.numpy()
        if (values == np.float32(UNREAD)).all():
            raise DoNotFit(f"the file has no {weight.path}")
        if not np.isfinite(values).all():
            raise DoNotFit(f"{weight.path} holds values that are not finite")


def copy_weights(target: keras.Model, source: keras.Model) -> None:
    """Copies weights from one network to another by layer name, also from layers of models nested in the source.

    Raises:
        DoNotFit: the source lacks a layer, or its weights have other shapes or values that are not finite.
    """
    theirs = {layer.name: layer for layer in _all_layers(source)}
    for layer in _with_weights(target):
        if layer.name not in theirs:
            raise DoNotFit(f"it has no layer '{layer.name}'")
    _refuse_others_between(target, [name for name, layer in theirs.items() if layer.weights])
    for layer in _with_weights(target):
        arrays = [weight.numpy() for weight in theirs[layer.name].weights]
        if not all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f"):
            raise DoNotFit(f"layer '{layer.name}' holds values that are not finite")
        _assign(layer, arrays)


def _refuse_others_between(model: keras.Model, names: list[str]) -> None:
    """Refuses the weights of a network with additional layers, unless these come after the model's last layer.

    Raises:
        DoNotFit: there is such a layer, which it names.
    """
    own = {layer.name for layer in _with_weights(model)}
    last = max(position for position, name in enumerate(names) if name in own)
    for name in names[:last]:
        if name not in own:
            raise DoNotFit(f"they are of a network with a layer '{name}', which this one does not have")


def _with_weights(model: keras.Model) -> list[Any]:
    return [layer for layer in model.layers if layer.weights]


def _all_layers(model: keras.Model) -> list[Any]:
    """The layers of a model, with nested models replaced by their layers."""
    return [
        inner for layer in model.layers for inner in (_all_layers(layer) if isinstance(layer, keras.Model) else [layer])
    ]


def _assign(layer: Any, arrays: list[np.ndarray]) -> None:
    expected, received = [list(weight.shape) for weight in layer.weights], [list(array.shape) for array in arrays]
    if expected != received:
        raise DoNotFit(
            f"layer '{layer.name}' has weights of shape {_shapes(expected)} here and of {_shapes(received)} there"
        )
    for weight, array in zip(layer.weights, arrays, strict=True):
        weight.assign(array)


def _shapes(shapes: list[list[int]]) -> str:
    return ", ".join("x".join(map(str, shape)) or "1" for shape in shapes) or "no shape"


def _by_name(file: str) -> dict[str, list[np.ndarray]] | None:
    """The arrays of each layer in a legacy .h5, where their names end in ``layer/weight:0``; None for other files.

    Layers of nested models are included. Arrays are in the order in which Keras saved them.
    """
    with h5py.File(file, "r") as opened:
        root = opened.get("model_weights", opened)
        if "layer_names" not in root.attrs:
            return None
        found: dict[str, list[np.ndarray]] = {}
        for layer in root.attrs["layer_names"]:
            group = root[layer]
            for name in group.attrs.get("weight_names", ()):
                name = name.decode() if isinstance(name, bytes) else str(name)
                found.setdefault(name.split("/")[-2] if "/" in name else name, []).append(np.asarray(group[name]))
        return found


def _let_keras_read(model: keras.Model, file: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.load_weights(file)
    except (ValueError, KeyError, OSError, TypeError) as error:
        text = " ".join(str(error).split())
        if match := MISFIT.search(text):
            here, there = (re.sub(r", *", "x", match[shape].strip("(),")) for shape in ("here", "there"))
            text = f"layer '{match['layer']}' has weights of shape {here} here and of {there} there"
        elif match := UNLOADED.search(text):
            text = f"the file has no weights for layer '{match['layer']}' in the expected place"
        raise DoNotFit(text[:400]) from None
