"""Safe loading of model files: no code from the file, and no more memory than its size justifies."""

import copy
import hashlib
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.errors import InputError
from dlcli.files import BadFile, NoFile, half_of_memory, open_file
from dlcli.rundir.reading import read_json
from dlcli.runtime.startup import without_weights

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
MAX_CONFIG_BYTES = 64 * 2**20  # of config.json and metadata.json, unpacked

FOREIGN_CLASS = re.compile(r"Could not locate (?:class|function|object) '([^']+)'")
"""The message of Keras for a layer that is not its own."""


class _Refused(Exception):
    """The reason for not loading a file, worded to follow "FILE: "."""


def read_config(path: Path) -> dict[str, Any]:
    """Read the configuration of the network in a .keras file.

    Raises:
        InputError: see :func:`load_keras_file`.
    """
    config: dict[str, Any] = _checked(path, lambda config: config)
    return config


def load_keras_file(path: Path) -> keras.Model:
    """Load a .keras file without running any code from it.

    Raises:
        InputError: it is corrupt, contains code, needs layers that are not part of Keras, or would take more memory
            than its size justifies.
    """
    return _checked(path, lambda config: keras.saving.load_model(path, compile=False, safe_mode=True))


def weights_digest(model: keras.Model) -> str:
    """The SHA-256 of the values of a model's weights, in hexadecimal: equal models have equal ones, unlike their files,
    which hold the time."""
    digest = hashlib.sha256()
    for value in model.get_weights():
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def load_architecture(path: Path) -> keras.Model:
    """Load the network in a .keras file, or in a run's architecture.json, with randomly initialized weights.

    Raises:
        InputError: see :func:`load_keras_file`.
    """
    if path.suffix == ".json":
        try:
            return keras.saving.deserialize_keras_object(read_json(path), safe_mode=True)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: is corrupt ({str(error).splitlines()[0][:200]}). Restore it.") from None
    return _checked(path, lambda config: keras.saving.deserialize_keras_object(config, safe_mode=True))


def describe_network(model: keras.Model, keys: Mapping[int, str]) -> dict[str, Any]:
    """The content of a run's network.json: the configuration of a model in float32, and the keys of its weights.

    Args:
        keys: the name of each variable in checkpoints, by its id; those of the model are among them.
    """
    config = _in_float32(keras.saving.serialize_keras_object(model))
    return {"network": config, "weights": [keys[id(weight)] for weight in model.weights]}


def load_described(path: Path, arrays: Mapping[str, NDArray[Any]]) -> keras.Model:
    """Build the network of a run's network.json with the weights of a checkpoint, computing in float32.

    Args:
        arrays: the checkpoint's arrays by their keys.

    Raises:
        InputError: the file is corrupt, contains code, or describes another network than the checkpoint's.
    """
    description = _read_description(path)
    try:
        config, keys = description["network"], description["weights"]
        if _num_bytes(config) > sum(array.nbytes for array in arrays.values()):
            raise ValueError("its layers would take more memory than the checkpoint holds")
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        for weight, key in zip(model.weights, keys, strict=True):
            weight.assign(arrays[key])
    except Exception as error:  # Keras raises many kinds of errors for a bad file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"{path}: is corrupt ({reason}). Restore it from a copy.") from None
    return model


def load_described_network(path: Path) -> keras.Model:
    """Build the network of a run's network.json with randomly initialized weights.

    Raises:
        InputError: the file is corrupt or contains code.
    """
    try:
        return keras.saving.deserialize_keras_object(_read_description(path)["network"], safe_mode=True)
    except Exception as error:  # Keras raises many kinds of errors for a bad file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"{path}: is corrupt ({reason}). Restore it from a copy.") from None


def _read_description(path: Path) -> dict[str, Any]:
    return read_json(path, MAX_CONFIG_BYTES)


def load_float32(path: Path) -> keras.Model:
    """Load as :func:`load_keras_file` does, with layers that compute in float32 whatever the saved precision."""

    def load(config: dict[str, Any]) -> keras.Model:
        model = keras.saving.deserialize_keras_object(_in_float32(config), safe_mode=True)
        model.load_weights(path)
        return model

    return _checked(path, load)


def _in_float32(part: Any) -> Any:
    """Replace every dtype policy in a configuration by float32."""
    if isinstance(part, list):
        return [_in_float32(item) for item in part]
    if not isinstance(part, dict):
        return part
    if part.get("class_name") in ("DTypePolicy", "FloatDTypePolicy"):
        return {**part, "config": {"name": "float32"}}
    return {
        key: "float32" if key == "dtype" and _is_policy(value) else _in_float32(value) for key, value in part.items()
    }


def _is_policy(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("mixed_", "float16", "bfloat16"))


def _checked(path: Path, load: Callable[[dict[str, Any]], Any]) -> Any:
    """Check a file, then return what ``load`` makes of its configuration."""
    try:
        return load(_check_archive(path))
    except _Refused as refusal:
        raise InputError(f"{path}: {refusal}") from None
    except NoFile:
        raise InputError(f"{path}: no such model file (.keras).") from None
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. Give a model file (.keras).") from None
    except (OSError, zipfile.BadZipFile, RecursionError) as error:
        raise InputError(f"{path}: is not a Keras model file, or is corrupt ({error}).") from None
    except Exception as error:  # Keras raises many kinds of errors for a bad file
        text = str(error).strip() or type(error).__name__
        if foreign := FOREIGN_CLASS.search(text):
            raise InputError(
                f"{path}: needs '{foreign[1]}', which is not part of Keras. Custom code is never loaded. "
                "Build the network from Keras's own layers and save it again."
            ) from None
        first = text.splitlines()[0].split(". ")[0]
        raise InputError(f"{path}: cannot be loaded as a Keras model ({first[:300]}).") from None


def check_weights_file(path: Path) -> None:
    """Check a weights file, ``.weights.h5`` or ``.h5``, before Keras reads it.

    Raises:
        InputError: it does not exist, it is corrupt, or its weights are stored outside it.
    """
    try:
        with open_file(path) as opened, h5py.File(opened, "r") as file:
            _check_weights(file, _size_of(opened))
    except NoFile:
        raise InputError(f"{path}: no such weights file (.weights.h5 or .h5).") from None
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. Give a weights file (.weights.h5 or .h5).") from None
    except _Refused as refusal:
        raise InputError(f"{path}: {refusal}") from None
    except (OSError, RuntimeError, KeyError, RecursionError):
        raise InputError(f"{path}: is not a weights file (.weights.h5 or .h5), or is corrupt.") from None


def _size_of(file: BufferedReader) -> int:
    """The size of a file in bytes.

    Raises:
        _Refused: it is more than half of the memory.
    """
    size = os.fstat(file.fileno()).st_size
    if size > half_of_memory():
        raise _Refused(f"must fit into half of this machine's memory ({half_of_memory():,} bytes). Received {size:,}.")
    return size


def _check_archive(path: Path) -> dict[str, Any]:
    """Check the unpacked sizes of a file before allocating memory for them; return its configuration."""
    with open_file(path) as opened, zipfile.ZipFile(opened) as archive:
        size = _size_of(opened)
        members = {member.filename: member for member in archive.infolist()}
        if sorted(members) != sorted(MEMBERS):
            raise _Refused(
                f"is not a Keras model file: it must contain {', '.join(MEMBERS)}. Received {', '.join(members)}."
            )
        sizes = {name: member.file_size for name, member in members.items()}
        if sizes["config.json"] + sizes["metadata.json"] > MAX_CONFIG_BYTES:
            raise _Refused(f"its configuration would unpack to more than {MAX_CONFIG_BYTES >> 20} MiB: refused.")
        if sizes["model.weights.h5"] > size:
            raise _Refused(f"its weights would unpack to {sizes['model.weights.h5']:,} bytes: refused.")
        corrupt = archive.testzip()
        if corrupt is not None:
            raise _Refused(f"is corrupt: {corrupt} does not match its checksum. Restore it from a copy.")
        config: dict[str, Any] = json.loads(archive.read("config.json"), object_hook=_without_compiling)
        weights = archive.read("model.weights.h5")
    with h5py.File(io.BytesIO(weights), "r") as file:
        _check_weights(file, len(weights))
    num_bytes = _num_bytes(config)
    if num_bytes > len(weights):
        raise _Refused(f"its layers would take {num_bytes:,} bytes, but its weights have {len(weights):,}: refused.")
    return config


def _without_compiling(part: dict[str, Any]) -> dict[str, Any]:
    """Drop losses and optimizers, whose variables would be created at once, from a configuration."""
    return {key: value for key, value in part.items() if key != "compile_config"}


def _check_weights(file: h5py.File, size: int) -> None:
    """Check that every array is stored in the file itself, at its full size."""

    def check(group: h5py.Group) -> int:
        num_bytes = 0
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _Refused(f"its weights contain a link at {group.name}/{name}: refused.")
            item = group[name]
            if isinstance(item, h5py.Group):
                num_bytes += check(item)
            elif item.external or item.is_virtual:
                raise _Refused(f"its weights are stored in another file at {item.name}: refused.")
            else:
                num_bytes += item.nbytes
        return num_bytes

    num_bytes = check(file)
    if num_bytes > size:
        raise _Refused(f"its weights would take {num_bytes:,} bytes, more than the file holds: refused.")


def _num_bytes(config: dict[str, Any]) -> int:
    """The size of the weights of a configuration in bytes, computed without creating them."""
    with without_weights():
        model = keras.saving.deserialize_keras_object(copy.deepcopy(config), safe_mode=True)  # Keras changes it
        return sum(4 * math.prod(variable.shape) for variable in model.weights)
