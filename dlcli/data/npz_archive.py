"""Arrays in .npz files: headers, bounds, splits and labels."""

import math
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dlcli.data.listing import name_some, sort_names
from dlcli.data.splits import LeftOut, split_named
from dlcli.errors import InputError
from dlcli.files import half_of_memory, open_input

Arrays = dict[str, NDArray[Any]]

SUFFIXES = {"train": "train", "validation": "val", "test": "test"}  # x_train, x_val, x_test
CORRUPT = (OSError, ValueError, EOFError, KeyError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What reading a corrupt archive raises."""
MAX_HEADER_BYTES = 10_012  # of an array: NumPy reads at most 10,000 and its own first 12
MAX_LENGTH = 2**63 - 1  # of an axis


@dataclass(frozen=True)
class Header:
    """The header of an array, read before any data is loaded."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(archive: zipfile.ZipFile, name: str) -> Header:
    """The header of the array in a member of an archive. Reads a bounded number of bytes.

    Raises:
        ValueError, or another of CORRUPT: it is not the header of an array, or the member is smaller than it declares.
    """
    with archive.open(name) as member:
        start = BytesIO(member.read(MAX_HEADER_BYTES))
    try:
        version = np.lib.format.read_magic(start)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(start)
    except Exception:  # NumPy evaluates the header as a Python literal, which on hostile text raises nearly anything
        raise ValueError(f"{name} does not begin with the header of an array") from None
    if not all(type(length) is int and 0 <= length <= MAX_LENGTH for length in shape):
        raise ValueError(f"{name} has an axis whose length is not a whole number")
    if dtype.itemsize == 0 and not dtype.hasobject:
        raise ValueError(f"{name} has values of no size")  # of which a header may declare any number
    header = Header(shape, dtype)
    if header.num_bytes > archive.getinfo(name).file_size:
        raise ValueError(f"{name} has less data than its header declares")
    return header


def read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """The array in a member of an archive, whose header has been checked. Nothing is unpickled.

    Raises:
        ValueError, or another of CORRUPT: its data are corrupt.
    """
    with archive.open(name) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def corrupt(file: Path) -> InputError:
    """The error for an archive that cannot be read."""
    return InputError(f"{file}: the .npz archive is corrupt or truncated. Write or download it again.")


def read_splits(file: Path, axes: Sequence[str] = ("x", "y")) -> tuple[Arrays, list[LeftOut]]:
    """The arrays of every split, and the other arrays in the file, which are left out.

    Args:
        axes: what the arrays of a split are called before its suffix: x_train, y_train.

    Raises:
        InputError: a split lacks one of its arrays, or they differ in length.
    """
    keys = [f"{axis}_{suffix}" for suffix in SUFFIXES.values() for axis in axes]
    arrays, others = read_arrays(file, keys)
    for suffix in SUFFIXES.values():
        expected = [f"{axis}_{suffix}" for axis in axes]
        present = [key for key in expected if key in arrays]
        if present and present != expected:
            raise missing_arrays(file, expected, [*arrays, *others])
        if len({_length(arrays[key]) for key in present}) > 1:
            shapes = [str(arrays[key].shape) for key in present]
            raise InputError(
                f"{file}: {_join(expected)} must have one entry for each sample. Received shapes {_join(shapes)}."
            )
    return arrays, unused_arrays(keys, others)


def splits_of(
    file: Path, arrays: Arrays, left_out: Sequence[LeftOut], *, axes: Sequence[str], is_trained: bool
) -> dict[str, str]:
    """The suffix of each split that the file has, in order.

    Args:
        is_trained: whether the samples are for a trained model; the file may then have a single split, whichever it is.

    Raises:
        InputError: the file has no training split.
    """
    splits = {split: suffix for split, suffix in SUFFIXES.items() if any(f"{axis}_{suffix}" in arrays for axis in axes)}
    if "train" not in splits and not (is_trained and len(splits) == 1):
        names = [*arrays, *(item.name for item in left_out)]
        raise missing_arrays(file, [f"{axis}_train" for axis in axes], names)
    return splits


def missing_arrays(file: Path, expected: Sequence[str], present: Sequence[str]) -> InputError:
    """The error for a file that lacks arrays."""
    return InputError(f"{file}: there must be arrays {_join(expected)}. Received {name_some(present) or 'none'}.")


def unused_arrays(keys: Sequence[str], others: Sequence[str]) -> list[LeftOut]:
    """The arrays that are left out because they are not among ``keys``."""
    return [LeftOut(name, f"not one of {', '.join(keys)}") for name in others]


def _join(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _length(array: NDArray[Any]) -> int:
    return array.shape[0] if array.ndim else -1


def read_arrays(file: Path, keys: Sequence[str]) -> tuple[Arrays, list[str]]:
    """Those of the arrays ``keys`` that an .npz file has, and the names of its other arrays.

    Headers are read first: no array is loaded unless all of them fit into half of the machine's memory.

    Raises:
        InputError: it is not an .npz file, is corrupt or too large, or one of these arrays holds pickled objects.
    """
    with open_input(file, "Give an .npz file with arrays x_train and y_train.") as opened:
        start = opened.read(8)
        if not start.startswith(b"PK"):
            what = "a single array (.npy)" if start.startswith(b"\x93NUMPY") else "another kind of file"
            raise InputError(f"{file}: must be an .npz archive, as written by numpy.savez. Received {what}.")
        opened.seek(0)
        try:
            return _read_archive(file, opened, keys)
        except CORRUPT:
            raise corrupt(file) from None


def _read_archive(file: Path, opened: BinaryIO, keys: Sequence[str]) -> tuple[Arrays, list[str]]:
    with zipfile.ZipFile(opened) as archive:
        members = _members(file, archive, keys)
        present = [key for key in keys if key in members]
        total = 0
        for key in present:
            header = read_header(archive, members[key])
            if header.dtype.hasobject:
                raise InputError(f"{file}: {key} must hold plain numbers or text. Received pickled Python objects.")
            total += header.num_bytes
        if total > half_of_memory():
            raise InputError(
                f"{file}: the arrays must fit into half of this machine's memory ({half_of_memory():,} bytes). "
                f"Received {total:,} bytes: give fewer samples, or image files."
            )
        arrays = {key: read_array(archive, members[key]) for key in present}
        return arrays, sorted(members.keys() - set(present))


def usual_name(name: str) -> str:
    """An array's name with the usual end for its split, and the part before in lowercase: ``x_val`` for ``X_valid``.

    Other names are returned as they are.
    """
    axis, _, end = name.partition("_")
    split = split_named(end)
    return name if split is None else f"{axis.lower()}_{SUFFIXES[split]}"


def _members(file: Path, archive: zipfile.ZipFile, keys: Sequence[str]) -> dict[str, str]:
    """The member of each array by the array's name; those of ``keys`` by that key.

    Raises:
        InputError: two arrays are the same key.
    """
    members: dict[str, str] = {}
    for member in archive.namelist():
        name = member.removesuffix(".npy")
        key = usual_name(name) if usual_name(name) in keys else name
        if key in keys and key in members:
            raise InputError(
                f"{file}: each split must be given once. Received {members[key].removesuffix('.npy')} and {name}."
            )
        members[key] = member
    return members


def label_names(y: NDArray[Any], source: str) -> list[str]:
    """The class name of each sample, from integers, strings or one-hot rows.

    Raises:
        InputError: the labels are none of these.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    elif y.ndim == 2 and y.dtype.kind in "biuf" and ((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all():
        y = y.argmax(axis=1)
    if y.ndim != 1:
        raise InputError(
            f"{source} must be labels [n], [n, 1], or one-hot rows [n, classes]. Received shape {y.shape}."
        )
    if y.dtype.kind == "f":
        if not (np.isfinite(y) & (y == np.rint(y))).all():
            wrong = y[~(np.isfinite(y) & (y == np.rint(y)))][0]
            raise InputError(f"{source} must be whole numbers or strings. Received {wrong:g}.")
        y = y.astype(np.int64)
    if y.dtype.kind == "b":
        y = y.astype(np.int64)
    if y.dtype.kind == "S":
        try:
            y = np.char.decode(y, "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{source} must be whole numbers or UTF-8 strings. Received other bytes.") from None
    if y.dtype.kind not in "iuU":
        raise InputError(f"{source} must be whole numbers or strings. Received {y.dtype}.")
    names = [str(value) for value in y.tolist()]
    if "" in names:
        raise InputError(f"{source} must not contain empty strings. Received one at position {names.index('')}.")
    return names


def sort_labels(names: Sequence[str]) -> tuple[str, ...]:
    """The distinct labels: sorted as numbers if all are whole numbers, else as strings."""
    try:
        return tuple(sorted(set(names), key=lambda name: (int(name), name)))
    except ValueError:
        return sort_names(names)
