"""Networks of a user's own builder of Keras layers, ``model.kind: python``."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from dlcli.errors import InputError
from dlcli.models.heads import vector as heads
from dlcli.recipe.sections.image_model import PythonNetwork
from dlcli.runtime.user_code import call_builder

LAMBDA = 3  # parts of a lambda that Keras writes
OURS = ("keras", "dlcli")  # packages whose layers a saved model may have


def features(section: PythonNetwork, x: Any) -> tuple[Any, Any]:
    """The features that the builder makes of the scaled input, and the vector that the head takes.

    Raises:
        InputError: code is not allowed, it fails, or what it returns cannot be used.
    """
    file, place = Path(section.file), f"{section.file}: {section.function}"
    maps = call_builder(file, section.function, x, section.options)
    if not isinstance(maps, keras.KerasTensor):
        raise InputError(f"{place}: must return the output of a Keras layer. Received {type(maps).__name__}.")
    if len(maps.shape) not in (2, 4) or maps.shape[-1] is None:
        expected = "a vector [batch, units] or feature maps [batch, height, width, channels]"
        raise InputError(f"{place}: must return {expected}. Received shape {tuple(maps.shape)}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about Python functions, which are refused below
            config = keras.saving.serialize_keras_object(keras.Model(x, maps))
        json.dumps(config)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise InputError(f"{place}: its output cannot be saved ({str(error).splitlines()[0][:200]}).") from None
    if foreign := next(_foreign(config), None):
        raise InputError(
            f"{place}: must use layers and functions of Keras alone, so that the saved model loads without this file. "
            f"Received {foreign}."
        )
    if len(maps.shape) == 2:
        return maps, heads.dense_layers(maps, dense=section.dense, dropout=section.dropout, name="head")
    return maps, heads.vector(maps, pooling=section.head, dense=section.dense, dropout=section.dropout)


def _foreign(config: Any) -> Iterator[str]:
    """The classes and functions in a configuration that are not part of Keras or dlcli, or are Python functions."""
    if isinstance(config, dict):
        name, module = config.get("class_name"), str(config.get("module"))
        code = config.get("value")  # of a lambda as an argument: its bytecode, defaults and closure
        if name in ("function", "__lambda__") or (isinstance(code, list | tuple) and len(code) == LAMBDA):
            yield "a Python function"
        elif name == "Lambda":
            yield "a Lambda layer"
        elif isinstance(name, str) and "module" in config and module.split(".")[0] not in (*OURS, "builtins"):
            yield str(config.get("registered_name") or name)
        for value in config.values():
            yield from _foreign(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _foreign(value)
