"""Checkpoints: complete states of a training run, each in its own folder, which is never rewritten.

    checkpoints/<epochs done>-<step>/variables.npz   every variable: model, optimizer, averages, seed generators, sums
                                     state.json      progress of training: stage, epoch, step, best score, patience
                                     manifest.json   sizes and SHA-256 of these two files, and the name of the folder
    checkpoints/frozen-<stage>/      variables.npz   with the variables that the stage does not change, written once
    checkpoints.json                                 names the last checkpoint and the best one

A folder is written under a temporary name and renamed when it is complete; then ``checkpoints.json`` is replaced; then
folders that it no longer names are removed. A kill between any two of these steps leaves a complete checkpoint that
``checkpoints.json`` names.
"""

import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from dlcli.errors import InputError
from dlcli.files import BadFile, half_of_memory, read_file
from dlcli.printing import describe_bad_json
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import MAX_JSON_BYTES, read_json
from dlcli.rundir.writing import replace_folder, replace_json
from dlcli.temporary import TEMPORARY

FILES = ("variables.npz", "state.json")
NAME = re.compile(r"\d{4,}-\d{8,}")
FROZEN_NAME = re.compile(r"frozen-\d{2,}")
OWN_NAME = re.compile(rf"{NAME.pattern}|{FROZEN_NAME.pattern}|{re.escape(TEMPORARY)}.*")
"""The names that dlcli gives to folders in checkpoints/: nothing else is ever deleted there."""

Variables = Mapping[str, Sequence[Any]]  # group ("model", "optimizer", …) -> tf or Keras variables in a fixed order


@dataclass(frozen=True)
class Saved:
    """A checkpoint that has been read and verified: arrays by ``<group>/<position>``, and the state of the run.

    Attributes:
        averages: the key of the moving average of each trained weight by the weight's key; empty if none are kept.
        digest: the SHA-256 of the file with the arrays.
    """

    name: str
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]
    averages: dict[str, str]
    digest: str

    def averaged(self) -> dict[str, np.ndarray]:
        """The arrays as validation sees them: with the moving averages of the weights, if they are kept."""
        return {key: self.arrays[self.averages.get(key, key)] for key in self.arrays}


class Corrupt(Exception):
    """A checkpoint is incomplete or its content has changed; the message names the file and the reason."""


def save(
    run: RunDir,
    name: str,
    variables: Variables,
    state: Mapping[str, Any],
    *,
    best: bool,
    frozen: Sequence[Any] = (),
    frozen_name: str = "",
    averages: Sequence[tuple[Any, Any]] = (),
) -> None:
    """Saves a checkpoint and names it as the last one and, with ``best``, as the best one.

    Args:
        frozen: those of the variables that do not change, which are saved once, under ``frozen_name``.
        averages: pairs of a trained weight and its moving average, both of the variables.

    Raises:
        OSError: it could not be written; earlier checkpoints are kept.
        FloatingPointError: a variable is not finite; nothing was written.
    """
    frozen_ids = {id(variable) for variable in frozen}
    by_key = _by_key(variables)
    arrays = {}
    for key, variable in by_key.items():
        if id(variable) in frozen_ids:
            continue
        array = variable.numpy()
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise FloatingPointError(f"{key.split('/')[0]} variable '{getattr(variable, 'path', variable.name)}'")
        arrays[key] = array
    if frozen_ids and not (run.checkpoints / frozen_name).exists():
        frozen_arrays = {key: variable.numpy() for key, variable in by_key.items() if id(variable) in frozen_ids}
        _write(run.checkpoints / frozen_name, frozen_arrays, {})
    folder = run.checkpoints / name
    if not folder.exists():  # a resumed run may reach the same point again, with the same content
        keys = {id(variable): key for key, variable in by_key.items()}
        more: dict[str, Any] = {"frozen": frozen_name} if frozen_ids else {}
        if averages:
            more["averages"] = {keys[id(weight)]: keys[id(average)] for weight, average in averages}
        _write(folder, arrays, state, more)
    names = {**_names(run), "last": name}
    if best:
        names["best"] = name
    replace_json(run.checkpoint_names, names)
    remove_unnamed(run)


def keys_of(group: str, variables: Sequence[Any]) -> dict[int, str]:
    """The keys of a group's variables in checkpoints, by the id of each."""
    return {id(variable): key for key, variable in _by_key({group: variables}).items()}


def _by_key(variables: Variables) -> dict[str, Any]:
    return {f"{group}/{i:04d}": member for group, members in variables.items() for i, member in enumerate(members)}


def _write(
    folder: Path,
    arrays: Mapping[str, np.ndarray],
    state: Mapping[str, Any],
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write a checkpoint; ``more`` is added to its manifest."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    contents = {
        "variables.npz": buffer.getvalue(),
        "state.json": json.dumps(state, allow_nan=False, indent=1).encode(),
    }
    manifest: dict[str, Any] = {
        n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in contents.items()
    }
    replace_folder(folder, {**contents, "manifest.json": json.dumps({**manifest, **more}, indent=1)})


def _names(run: RunDir) -> dict[str, str]:
    path = run.checkpoint_names
    names = {key: str(value) for key, value in read_json(path).items()} if path.exists() else {}
    for name in names.values():
        if not NAME.fullmatch(name):
            raise InputError(f"{path}: is corrupt: '{name}' is not the name of a checkpoint. Restore it from a copy.")
    return names


def remove_unnamed(run: RunDir) -> None:
    """Remove checkpoints that checkpoints.json does not name: older ones, and what a killed process left.

    Folders with names that are not a checkpoint's are the user's, and stay.
    """
    named = set(_names(run).values())
    named |= {frozen for frozen in (_frozen_of(run.checkpoints / name) for name in named) if frozen}
    for folder in run.checkpoints.iterdir():
        if folder.name not in named and OWN_NAME.fullmatch(folder.name) and not folder.is_symlink():
            shutil.rmtree(folder)


def _frozen_of(folder: Path) -> str | None:
    """The name of the folder with a checkpoint's frozen variables; None if it has none or cannot be read."""
    try:
        return str(json.loads(read_file(folder / "manifest.json", MAX_JSON_BYTES))["frozen"])
    except (BadFile, ValueError, KeyError, TypeError):
        return None


def load(run: RunDir, which: str) -> Saved:
    """Reads and verifies the ``last`` or the ``best`` checkpoint.

    Raises:
        Corrupt: it is incomplete or has changed.
        InputError: the run has no such checkpoint.
    """
    names = _names(run)
    if which not in names:
        raise InputError(f"{run.path}: has no checkpoint yet. Train it from the start: dlcli train {run.config}")
    return _load(run, names[which])


def load_best_in_use(run: RunDir) -> Saved | None:
    """Reads the best checkpoint of a run that another process may be training; None if no epoch is completed.

    The folder may be deleted while it is read, but only after a better one has been named: that one is then read.

    Raises:
        Corrupt: it is incomplete or has changed.
        InputError: checkpoints.json is corrupt.
    """
    name = _names(run).get("best")
    while name is not None:
        try:
            return _load(run, name)
        except Corrupt:
            current = _names(run).get("best")
            if current == name:
                raise
            name = current
    return None


def _load(run: RunDir, name: str) -> Saved:
    folder = run.checkpoint(name)
    try:
        arrays, state, manifest = _read(run, folder)
        frozen = manifest.get("frozen")
        if frozen is not None:
            if not FROZEN_NAME.fullmatch(frozen):
                raise ValueError(f"its manifest names '{frozen}', which is not a folder of frozen variables")
            arrays |= _read(run, run.checkpoint(frozen))[0]
        averages = dict(manifest.get("averages", {}))
        if not (averages.keys() | set(averages.values())) <= arrays.keys():
            raise ValueError("its manifest names moving averages that it does not have")
        return Saved(name, arrays, state, averages, manifest["variables.npz"]["sha256"])
    except json.JSONDecodeError as error:
        raise Corrupt(f"{folder}: its manifest or state is corrupt: {describe_bad_json(error)}") from None
    except (KeyError, TypeError):
        raise Corrupt(f"{folder}: its manifest or state lacks a value") from None
    except (BadFile, OSError, ValueError, zipfile.BadZipFile) as error:
        raise Corrupt(f"{folder}: {error}") from None


def _read(run: RunDir, folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, Any]]:
    """The arrays, the state and the manifest of a checkpoint."""
    if folder.parent != run.checkpoints:
        raise Corrupt(f"{run.path}/checkpoints.json: '{folder.name}' is not the name of a checkpoint")
    contents = {}
    manifest = json.loads(read_file(folder / "manifest.json", MAX_JSON_BYTES))
    for file_name in FILES:
        content = read_file(folder / file_name, half_of_memory())
        if hashlib.sha256(content).hexdigest() != manifest[file_name]["sha256"]:
            raise Corrupt(f"{folder / file_name}: its SHA-256 is not the one in manifest.json")
        contents[file_name] = content
    return _read_arrays(contents["variables.npz"]), json.loads(contents["state.json"]), manifest


def _read_arrays(content: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("variables.npz must not be compressed")  # so that its size bounds the memory it needs
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def load_last(run: RunDir) -> tuple[Saved, str | None]:
    """The last checkpoint; or, if it is corrupt, the best one and a warning.

    Resuming from an earlier checkpoint takes longer and gives the same result, since training from it is exact.

    Raises:
        InputError: there is no intact checkpoint.
    """
    try:
        return load(run, "last"), None
    except Corrupt as corruption:
        try:
            saved = load(run, "best")
        except (Corrupt, InputError):
            raise InputError(
                f"{corruption}. No intact checkpoint is left: train from the start with: dlcli train {run.config}"
            ) from None
        _set_aside(run, saved.name)
        return (
            saved,
            f"{corruption}. Resuming from {saved.name} instead, the best so far; the result will be the same.",
        )


def _set_aside(run: RunDir, intact: str) -> None:
    """Renames the corrupt last checkpoint, because a new one will be written under its name."""
    names = _names(run)
    corrupt = run.checkpoints / names["last"]
    if corrupt.exists():
        os.rename(corrupt, corrupt.with_name(f"{TEMPORARY}corrupt-{corrupt.name}"))
    replace_json(run.checkpoint_names, {**names, "last": intact})


def restore(saved: Saved, variables: Variables) -> None:
    """Assigns the values of a checkpoint to variables.

    Raises:
        InputError: its arrays are not those of these variables, in number and shape.
    """
    _assign(saved, saved.arrays, _by_key(variables))


def restore_group(saved: Saved, group: str, variables: Sequence[Any]) -> None:
    """Assigns the values of a checkpoint to the variables of one group.

    Raises:
        InputError: its arrays are not those of these variables, in number and shape.
    """
    of_group = {key: array for key, array in saved.arrays.items() if key.startswith(f"{group}/")}
    _assign(saved, of_group, _by_key({group: variables}))


def _assign(saved: Saved, arrays: Mapping[str, np.ndarray], variables: Mapping[str, Any]) -> None:
    if variables.keys() != arrays.keys():
        raise InputError(
            f"checkpoint {saved.name}: holds {len(arrays)} variables where the run's recipe "
            f"has {len(variables)}. It was made by another version of dlcli or Keras: see the versions in run.json."
        )
    for key, variable in variables.items():
        if arrays[key].shape != tuple(variable.shape):
            needed = tuple(variable.shape)
            raise InputError(f"checkpoint {saved.name}: {key} has shape {arrays[key].shape}; the model needs {needed}.")
    for key, variable in variables.items():
        variable.assign(arrays[key])
