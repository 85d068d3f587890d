"""Checkpoints: complete states of a training run, each in a folder of its own that is never rewritten.

    checkpoints/<epochs done>-<step>/variables.npz   every variable: model, optimizer, averages, seed generators, sums
                                     state.json      where training stands: stage, epoch, step, best score, patience
                                     manifest.json   sizes and SHA-256 of the two, and the name of the next:
    checkpoints/frozen-<stage>/      variables.npz   variables that no step of a stage changes, written once
    checkpoints.json                                 names the last one and the best one

A folder is written under another name and renamed when it is complete; then ``checkpoints.json`` is replaced; then
folders that it no longer names are removed. A kill between any two of these leaves a complete checkpoint that is named.
"""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.errors import InputError
from dlcli.rundir import TEMPORARY, RunDir, read_json, replace_json, sync_folder, write_file

FILES = ("variables.npz", "state.json")

Variables = Mapping[str, Sequence[Any]]  # by group ("model", "optimizer", …): tf or Keras variables in a fixed order


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was read and verified: arrays by ``<group>/<position>``, and the state of the run."""

    name: str
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]


class Corrupt(Exception):
    """A checkpoint is incomplete or its bytes are not those that were written; the text says which file and how."""


def save(
    run: RunDir,
    name: str,
    variables: Variables,
    state: Mapping[str, Any],
    *,
    best: bool,
    frozen: Sequence[Any] = (),
    frozen_name: str = "",
) -> None:
    """Saves a checkpoint and makes it the last one, and the best one if it is.

    Args:
        frozen: those of the variables that do not change; they are saved once under ``frozen_name``.

    Raises:
        OSError: it could not be written; the earlier ones stand.
        FloatingPointError: a variable is not finite; nothing was written.
    """
    still = {id(variable) for variable in frozen}
    by_key = _by_key(variables)
    arrays = {}
    for key, variable in by_key.items():
        if id(variable) in still:
            continue
        array = np.asarray(variable)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise FloatingPointError(f"{key.split('/')[0]} variable '{getattr(variable, 'path', variable.name)}'")
        arrays[key] = array
    if still and not (run.checkpoints / frozen_name).exists():
        kept = {key: np.asarray(variable) for key, variable in by_key.items() if id(variable) in still}
        _write(run.checkpoints / frozen_name, kept, {})
    folder = run.checkpoints / name
    if not folder.exists():  # the same point may be reached again after a resume; the content is then the same
        _write(folder, arrays, state, frozen_name=frozen_name if still else None)
    names = {**_names(run), "last": name}
    if best:
        names["best"] = name
    replace_json(run.path / "checkpoints.json", names)
    remove_unnamed(run)


def _by_key(variables: Variables) -> dict[str, Any]:
    return {f"{group}/{i:04d}": member for group, members in variables.items() for i, member in enumerate(members)}


def _write(
    folder: Path, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any], *, frozen_name: str | None = None
) -> None:
    temporary = folder.with_name(f"{TEMPORARY}{os.getpid()}-{folder.name}")
    temporary.mkdir(parents=True)
    try:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        contents = {
            "variables.npz": buffer.getvalue(),
            "state.json": json.dumps(state, allow_nan=False, indent=1).encode(),
        }
        manifest: dict[str, Any] = {
            n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in contents.items()
        }
        if frozen_name is not None:
            manifest["frozen"] = frozen_name
        for file_name, content in {
            **contents,
            "manifest.json": json.dumps(manifest, indent=1).encode(),
        }.items():
            write_file(temporary / file_name, content)
        sync_folder(temporary)
        os.rename(temporary, folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _names(run: RunDir) -> dict[str, str]:
    path = run.path / "checkpoints.json"
    return {key: str(value) for key, value in read_json(path).items()} if path.exists() else {}


def remove_unnamed(run: RunDir) -> None:
    """Removes checkpoints that checkpoints.json no longer names: older ones, and what a kill left of that."""
    named = set(_names(run).values())
    named |= {frozen for frozen in (_frozen_of(run.checkpoints / name) for name in named) if frozen}
    for folder in run.checkpoints.iterdir():
        if folder.name not in named:
            shutil.rmtree(folder)


def _frozen_of(folder: Path) -> str | None:
    """The name of the folder with a checkpoint's frozen variables; None where it has none, or cannot be read."""
    try:
        return str(json.loads((folder / "manifest.json").read_bytes())["frozen"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load(run: RunDir, which: str) -> Saved:
    """Reads and verifies the checkpoint that is named ``last`` or ``best``.

    Raises:
        Corrupt: it is not as it was written.
        InputError: the run has no such checkpoint.
    """
    names = _names(run)
    if which not in names:
        raise InputError(f"{run.path}: holds no checkpoint yet. Train it anew: dlcli train {run.config}")
    folder = run.checkpoints / names[which]
    try:
        arrays, state = _read(run, folder)
        frozen = _frozen_of(folder)
        if frozen is not None:
            arrays |= _read(run, run.checkpoints / frozen)[0]
        return Saved(folder.name, arrays, state)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise Corrupt(f"{folder}: {error}") from None


def _read(run: RunDir, folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    if folder.parent != run.checkpoints:
        raise Corrupt(f"{run.path}/checkpoints.json: '{folder.name}' is no checkpoint's name")
    contents = {}
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for file_name in FILES:
        content = (folder / file_name).read_bytes()
        if hashlib.sha256(content).hexdigest() != manifest[file_name]["sha256"]:
            raise Corrupt(f"{folder / file_name}: its SHA-256 is not the one in manifest.json")
        contents[file_name] = content
    return _read_arrays(contents["variables.npz"]), json.loads(contents["state.json"])


def _read_arrays(content: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("variables.npz must not be compressed")  # so its size bounds what it unpacks to
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def load_last(run: RunDir) -> tuple[Saved, str | None]:
    """The last checkpoint; if it is corrupt, the best one, and what to say about it.

    Resuming from an earlier checkpoint costs time and changes nothing else: training from it is exact.

    Raises:
        InputError: there is no intact one.
    """
    try:
        return load(run, "last"), None
    except Corrupt as corruption:
        try:
            saved = load(run, "best")
        except (Corrupt, InputError):
            raise InputError(
                f"{corruption}. No intact checkpoint is left: train anew with: dlcli train {run.config}"
            ) from None
        _set_aside(run, saved.name)
        return (
            saved,
            f"{corruption}. Going on from {saved.name} instead, the best so far; the result is the same.",
        )


def _set_aside(run: RunDir, intact: str) -> None:
    """Takes the corrupt last checkpoint out of the way of the one that will be written in its place."""
    names = _names(run)
    corrupt = run.checkpoints / names["last"]
    if corrupt.exists():
        os.rename(corrupt, corrupt.with_name(f"{TEMPORARY}corrupt-{corrupt.name}"))
    replace_json(run.path / "checkpoints.json", {**names, "last": intact})


def restore(saved: Saved, variables: Variables) -> None:
    """Gives variables the values of a checkpoint.

    Raises:
        InputError: it does not hold what these variables need, all of it and no more.
    """
    _assign(saved, saved.arrays, _by_key(variables))


def restore_group(saved: Saved, group: str, variables: Sequence[Any]) -> None:
    """Gives the variables of one group the values of a checkpoint.

    Raises:
        InputError: it does not hold what they need, all of it and no more.
    """
    of_group = {key: array for key, array in saved.arrays.items() if key.startswith(f"{group}/")}
    _assign(saved, of_group, _by_key({group: variables}))


def _assign(saved: Saved, arrays: Mapping[str, np.ndarray], variables: Mapping[str, Any]) -> None:
    if variables.keys() != arrays.keys():
        raise InputError(
            f"checkpoint {saved.name}: holds {len(arrays)} variables where the run's recipe "
            f"has {len(variables)}. It was made by another version of dlcli or Keras: see run.json for which."
        )
    for key, variable in variables.items():
        if arrays[key].shape != tuple(variable.shape):
            needed = tuple(variable.shape)
            raise InputError(f"checkpoint {saved.name}: {key} has shape {arrays[key].shape}; the model needs {needed}.")
    for key, variable in variables.items():
        variable.assign(arrays[key])
