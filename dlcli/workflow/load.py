"""Loading a model file, safely: no code from the file, and no more memory than its size accounts for."""

import copy
import io
import json
import math
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras

from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, SequenceRecipe
from dlcli.recipe.sections.image_model import Saved
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.rundir import RunDir, file_digest, find_run, read_json
from dlcli.workflow.start import without_weights

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
MAX_CONFIG_BYTES = 64 * 2**20  # of config.json and metadata.json, unpacked


FOREIGN_CLASS = re.compile(r"Could not locate (?:class|function|object) '([^']+)'")
"""What Keras says of a layer that it does not have."""


class _Refused(Exception):
    """Why a file is not loaded, in words that follow "FILE: "."""


def load_model(run: RunDir) -> keras.Model:
    """The best model of a run, float32, raw values in and probabilities out.

    Raises:
        InputError: there is none yet, or it is damaged.
    """
    model = load_keras_file(model_file(run))
    if "logits" not in [layer.name for layer in model.layers]:
        raise InputError(f"{run.model}: is not the model that this run saved: it has no layer 'logits'.")
    expected = (tuple(run.read_info()["data"].get("shape", ())), len(run.read_classes()))
    found = (tuple(model.inputs[0].shape[1:]), model.get_layer("logits").output.shape[-1])
    if found != expected:
        raise InputError(
            f"{run.model}: is not the model that this run saved: it takes samples of {found[0]} to {found[1]} classes, "
            f"the run's have {expected[0]} and {expected[1]}."
        )
    return model


def load_sequence_model(run: RunDir, recipe: SequenceRecipe) -> keras.Model:
    """The best model of a run of sequences, float32: raw text or numbers in, probabilities or numbers out.

    Raises:
        InputError: there is none yet, or it is damaged.
    """
    model = load_keras_file(model_file(run))
    is_text = isinstance(recipe, TextClassification | Tagging)
    is_number = isinstance(recipe, SequenceRegression)
    last = next((layer for layer in model.layers if layer.name == ("value" if is_number else "logits")), None)
    size = [] if is_number else [len(run.read_classes())]
    is_own = last is not None and list(last.output.shape[1:])[-1:] == size
    if not is_own or (model.inputs[0].dtype == "string") != is_text:
        must = f"take {'text' if is_text else 'numbers'} and give {'a number' if is_number else f'{size[0]} classes'}"
        raise InputError(f"{run.model}: is not the model that this run saved: it must {must}.")
    return model


def model_file(run: RunDir) -> Path:
    """The file of a run's best model.

    Raises:
        InputError: there is none yet, or it is not the one that the run saved.
    """
    if not run.model.exists() and run.status() == "failed":
        raise InputError(f"{run.path}: has no model.keras: its training failed ({run.read_info().get('reason')}).")
    if not run.model.exists() and run.is_locked():
        raise InputError(f"{run.path}: has no model.keras yet: another process is training it. Wait for it.")
    if not run.model.exists():
        raise InputError(
            f"{run.path}: has no model.keras yet. Complete its training with: dlcli train --resume {run.path}"
        )
    written = run.read_info().get("model")
    if written is not None and run.status() == "completed" and _digest(run.model) != written:
        raise InputError(
            f"{run.model}: is not the model that this run saved: its SHA-256 is not the one in run.json. Restore it; "
            f"or delete it, and then write it again with: dlcli train --resume {run.path}"
        )
    return run.model


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of the network in a .keras file.

    Raises:
        InputError: as for :func:`load_keras_file`.
    """
    config: dict[str, Any] = _checked(path, lambda config: config)
    return config


def with_architecture(loaded: LoadedRecipe, run: RunDir) -> LoadedRecipe:
    """The recipe of a run that has checkpoints, whose saved network need not be where it was any more."""
    model = loaded.recipe.model
    if not isinstance(model, Saved) or not run.architecture.exists():
        return loaded
    recipe = loaded.recipe.model_copy(update={"model": model.model_copy(update={"file": str(run.architecture)})})
    return replace(loaded, recipe=recipe)


def check_base(run: RunDir) -> None:
    """Refuses to begin a run again with other first weights than those that it began with.

    Raises:
        InputError: their file is not there, or has changed.
    """
    base = run.read_info().get("base") or {}
    if "sha256" not in base:
        return
    path = Path(str(base["weights"]))
    if not path.exists() or _digest(path) != base["sha256"]:
        what = "is not there" if not path.exists() else "has changed since the run began"
        raise InputError(f"{path}: {what}, and {run.path} has no checkpoint yet. Put it back, or train a new run.")


def with_run_files(loaded: LoadedRecipe, runs: Path) -> LoadedRecipe:
    """The recipe with the files of those runs in place of run:NAME.

    Raises:
        InputError: there is no such run, or it has no model.
    """
    model = loaded.recipe.model
    for key in ("weights", "file"):
        source = str(getattr(model, key, ""))
        if source.startswith("run:"):
            try:
                path = model_file(find_run(runs, source.removeprefix("run:"))).absolute()
            except InputError as error:
                raise loaded.fault(f"model.{key}", str(error)) from None
            recipe = loaded.recipe.model_copy(update={"model": model.model_copy(update={key: str(path)})})
            return replace(loaded, recipe=recipe)
    return loaded


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Mend it, or restore it from a copy.") from None


def load_keras_file(path: Path) -> keras.Model:
    """Loads a .keras file without running anything that it brings.

    Raises:
        InputError: it is damaged, holds code, needs layers that Keras does not have, or would take more memory than
            its size accounts for.
    """
    return _checked(path, lambda config: keras.saving.load_model(path, compile=False, safe_mode=True))


def load_architecture(path: Path) -> keras.Model:
    """The network in a .keras file, or in a run's architecture.json, with new weights, drawn at random.

    Raises:
        InputError: as for :func:`load_keras_file`.
    """
    if path.suffix == ".json":
        try:
            return keras.saving.deserialize_keras_object(read_json(path), safe_mode=True)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: is damaged ({str(error).splitlines()[0][:200]}). Restore it.") from None
    return _checked(path, lambda config: keras.saving.deserialize_keras_object(config, safe_mode=True))


def load_float32(path: Path) -> keras.Model:
    """As :func:`load_keras_file`, with layers that compute in float32 whatever they were saved with."""

    def load(config: dict[str, Any]) -> keras.Model:
        model = keras.saving.deserialize_keras_object(_in_float32(config), safe_mode=True)
        model.load_weights(path)
        return model

    return _checked(path, load)


def _in_float32(part: Any) -> Any:
    """A configuration with float32 in place of every dtype policy."""
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
    """What is made of a file's configuration, once the file has been checked."""
    try:
        return load(_check_archive(path))
    except _Refused as refusal:
        raise InputError(f"{path}: {refusal}") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such model file (.keras).") from None
    except (PermissionError, IsADirectoryError) as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Mend it, or restore it from a copy.") from None
    except (OSError, zipfile.BadZipFile, RecursionError) as error:
        raise InputError(f"{path}: is no Keras model file, or is damaged ({error}).") from None
    except Exception as error:  # Keras raises many kinds for what may be wrong in a file
        text = str(error).strip() or type(error).__name__
        if foreign := FOREIGN_CLASS.search(text):
            raise InputError(
                f"{path}: needs '{foreign[1]}', which is none of Keras's: code is never loaded from a file or with it. "
                "Build the network of Keras's own layers and save it again."
            ) from None
        reason = text.splitlines()[0].split(". ")[0]
        raise InputError(f"{path}: cannot be loaded as a Keras model ({reason[:300]}).") from None


def check_weights_file(path: Path) -> None:
    """Checks a file of weights, ``.weights.h5`` or ``.h5``, before Keras reads it.

    Raises:
        InputError: there is none, it is damaged, or its weights lie elsewhere than in it.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file of weights (.weights.h5 or .h5).")
    try:
        with h5py.File(path, "r") as file:
            _check_weights(file, path.stat().st_size)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file of weights (.weights.h5 or .h5).") from None
    except _Refused as refusal:
        raise InputError(f"{path}: {refusal}") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to read it.") from None
    except (OSError, RuntimeError, KeyError, RecursionError):
        raise InputError(f"{path}: is no file of weights (.weights.h5 or .h5), or is damaged.") from None


def _check_archive(path: Path) -> dict[str, Any]:
    """Checks what the file would unpack to before anything of that size is made; gives its configuration."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if sorted(members) != sorted(MEMBERS):
            raise _Refused(f"is no Keras model file: it must hold {', '.join(MEMBERS)}. Received {', '.join(members)}.")
        sizes = {name: member.file_size for name, member in members.items()}
        if sizes["config.json"] + sizes["metadata.json"] > MAX_CONFIG_BYTES:
            raise _Refused(f"its configuration would unpack to more than {MAX_CONFIG_BYTES >> 20} MiB: refused.")
        if sizes["model.weights.h5"] > path.stat().st_size:
            raise _Refused(f"its weights would unpack to {sizes['model.weights.h5']:,} bytes: refused.")
        damaged = archive.testzip()
        if damaged is not None:
            raise _Refused(f"is damaged: {damaged} does not have the checksum that it was written with.")
        config: dict[str, Any] = json.loads(archive.read("config.json"), object_hook=_without_compiling)
        weights = archive.read("model.weights.h5")
    with h5py.File(io.BytesIO(weights), "r") as file:
        _check_weights(file, len(weights))
    num_bytes = _num_bytes(config)
    if num_bytes > len(weights):
        raise _Refused(f"its layers would take {num_bytes:,} bytes where its weights have {len(weights):,}: refused.")
    return config


def _without_compiling(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a configuration without losses and optimizers, whose variables would be made at once."""
    return {key: value for key, value in part.items() if key != "compile_config"}


def _check_weights(file: h5py.File, size: int) -> None:
    """Every array lies in the file itself, as large as it says."""

    def check(group: h5py.Group) -> int:
        num_bytes = 0
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _Refused(f"its weights have a link at {group.name}/{name}: refused.")
            item = group[name]
            if isinstance(item, h5py.Group):
                num_bytes += check(item)
            elif item.external or item.is_virtual:
                raise _Refused(f"its weights lie in another file at {item.name}: refused.")
            else:
                num_bytes += item.nbytes
        return num_bytes

    num_bytes = check(file)
    if num_bytes > size:
        raise _Refused(f"its weights would take {num_bytes:,} bytes, more than it holds: refused.")


def _num_bytes(config: dict[str, Any]) -> int:
    """Bytes of the weights that a model of this configuration has, found without making them."""
    with without_weights():
        model = keras.saving.deserialize_keras_object(copy.deepcopy(config), safe_mode=True)  # Keras changes it
        return sum(4 * math.prod(variable.shape) for variable in model.weights)
