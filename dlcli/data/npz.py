"""Arrays from NumPy .npz files: pictures, signals or volumes with a label each. Nothing in a file is ever unpickled."""

import math
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.assemble import assemble_pictures, assemble_values
from dlcli.data.files import open_input
from dlcli.data.listing import CommonKeys, Listing, index_labels, name_some
from dlcli.data.samples import Dataset, LeftOut
from dlcli.errors import InputError

Layout = Literal["image", "signal", "volume"]
Arrays = dict[str, NDArray[Any]]

SUFFIXES = {"train": "train", "validation": "val", "test": "test"}  # x_train, x_val, x_test
SHAPES = {
    "image": "[n, height, width] or [n, height, width, channels] with 1 or 3 channels",
    "signal": "[n, time, channels]",
    "volume": "[n, depth, height, width, channels]",
}
NUM_AXES = {"image": (3, 4), "signal": (3,), "volume": (5,)}  # of x, the samples' own included
BLOCK = 1024  # samples scaled at a time
SET_RANGE = "set data.value_range to what a pixel can be"  # what to do about values outside of it, in a recipe
BRING_TO_RANGE = "bring the array to that range"  # and where the range is not for the user to choose
DAMAGED = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Header:
    """What an array's header says, read before anything is loaded."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_npz(
    *,
    path: str | Path,
    value_range: tuple[float, float],
    layout: Layout,
    classes: tuple[str, ...] | None = None,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """x_train and y_train, and where there are x_val, y_val, x_test and y_test, from an .npz file.

    Labels are whole numbers, strings, or one-hot rows; shape [n] or [n, 1]. Classes are sorted, numbers as numbers.
    Pictures are scaled so that ``value_range`` becomes [0, 255], and rounded to 8 bits. Signals and volumes are taken
    as they are, as float32. ``classes`` are those of a trained model, where its labels are to be used; a file with one
    split alone, whichever it is, then counts as undivided.

    Raises:
        InputError: the file, its arrays, shapes or values are not as described.
    """
    file = Path(path)
    arrays, left_out = read_splits(file)
    splits = [split for split, suffix in SUFFIXES.items() if f"x_{suffix}" in arrays]
    if "train" not in splits and (classes is None or len(splits) != 1):
        present = name_some([*arrays, *(item.name for item in left_out)]) or "none"
        raise InputError(f"{file}: there must be arrays x_train and y_train. Received {present}.")
    labels = {split: label_names(arrays[f"y_{SUFFIXES[split]}"], f"{file}: y_{SUFFIXES[split]}") for split in splits}
    own = sort_labels(labels["train"]) if classes is None else classes
    known, indices = index_labels(labels, own, source=str(file), trained=classes)
    listings = {}
    for split in splits:
        key = f"x_{SUFFIXES[split]}"
        remedy = SET_RANGE if classes is None else BRING_TO_RANGE
        x = to_samples(arrays.pop(key), f"{file}: {key}", layout=layout, value_range=value_range, remedy=remedy)
        listings["train" if len(splits) == 1 else split] = list_arrays(split, x, indices[split], f"{file}: {key}")
    if layout == "image":
        return assemble_pictures(listings, known, source=str(file), left_out=left_out, common=common)
    if common["image_size"] is not None or common["color_mode"] is not None:
        raise InputError(
            f"{file}: data.image_size and data.color_mode are for layout: image. Received layout: {layout}."
        )
    return assemble_values(listings, known, source=str(file), left_out=left_out, common=common)


def read_splits(file: Path, axes: Sequence[str] = ("x", "y")) -> tuple[Arrays, list[LeftOut]]:
    """The arrays x_… and y_…, or those of other ``axes``, of every split, and the names of the file's other arrays.

    Raises:
        InputError: an array lacks its partner, or partners differ in length.
    """
    keys = [f"{axis}_{suffix}" for suffix in SUFFIXES.values() for axis in axes]
    arrays, others = read_arrays(file, keys)
    for suffix in SUFFIXES.values():
        wanted = [f"{axis}_{suffix}" for axis in axes]
        there = [key for key in wanted if key in arrays]
        if there and there != wanted:
            present = name_some([*arrays, *others]) or "none"
            raise InputError(f"{file}: there must be arrays {_join(wanted)}. Received {present}.")
        if len({_length(arrays[key]) for key in there}) > 1:
            shapes = [str(arrays[key].shape) for key in there]
            raise InputError(
                f"{file}: {_join(wanted)} must have one entry for each sample. Received shapes {_join(shapes)}."
            )
    return arrays, [LeftOut(name, f"not one of {', '.join(keys)}") for name in others]


def _join(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _length(array: NDArray[Any]) -> int:
    return array.shape[0] if array.ndim else -1


def list_arrays(split: str, x: NDArray[Any], labels: NDArray[np.int32], source: str) -> Listing:
    """The samples of one split, called by their position: "train/17"."""
    if len(x) == 0:
        raise InputError(f"{source} must hold at least one sample. Received none: remove it or fill it.")
    return Listing(names=tuple(f"{split}/{i}" for i in range(len(x))), labels=labels, arrays=x)


# The file -----------------------------------------------------------------------------------------------------------


def read_arrays(file: Path, keys: Sequence[str]) -> tuple[Arrays, list[str]]:
    """Those of the wanted arrays that an .npz file holds, and the names of the other arrays in it.

    Headers are read first: no array is loaded unless all together fit into half of the machine's memory.

    Raises:
        InputError: it is no .npz file, damaged, too large, or a wanted array holds pickled objects.
    """
    with open_input(file, "Give an .npz file with arrays x_train and y_train.") as opened:
        start = opened.read(8)
        if not start.startswith(b"PK"):
            what = "a single array (.npy)" if start.startswith(b"\x93NUMPY") else "something else"
            raise InputError(f"{file}: the file must be an .npz archive, as numpy.savez writes it. Received {what}.")
        opened.seek(0)
        try:
            return _read_archive(file, opened, keys)
        except DAMAGED:
            raise InputError(
                f"{file}: the .npz archive is damaged or incomplete. Write or download it again."
            ) from None


def _read_archive(file: Path, opened: BinaryIO, keys: Sequence[str]) -> tuple[Arrays, list[str]]:
    with zipfile.ZipFile(opened) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist()}
        wanted = [key for key in keys if key in members]
        total = 0
        for key in wanted:
            header = _read_header(archive, members[key])
            if header.dtype.hasobject:
                raise InputError(f"{file}: {key} must hold plain numbers or text. Received pickled Python objects.")
            if min(header.shape, default=0) < 0 or archive.getinfo(members[key]).file_size < header.num_bytes:
                raise ValueError("less data than the header says")
            total += header.num_bytes
        if total > half_of_memory():
            raise InputError(
                f"{file}: the arrays must fit into half of this machine's memory ({half_of_memory():,} bytes). "
                f"Received {total:,} bytes: give a part of them, or picture files."
            )
        arrays = {}
        for key in wanted:
            with archive.open(members[key]) as member:
                arrays[key] = np.lib.format.read_array(member, allow_pickle=False)
        return arrays, sorted(members.keys() - set(wanted))


def _read_header(archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
    return Header(shape, dtype)


def half_of_memory() -> int:
    """Half of the machine's memory, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


# Labels -------------------------------------------------------------------------------------------------------------


def label_names(y: NDArray[Any], source: str) -> list[str]:
    """The class name of each sample, from whole numbers, strings or one-hot rows.

    Raises:
        InputError: the labels are neither.
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
        raise InputError(f"{source} must not hold empty strings. Received one at position {names.index('')}.")
    return names


def sort_labels(names: Sequence[str]) -> tuple[str, ...]:
    """The different labels: as numbers where all are whole numbers, else as strings."""
    different = set(names)
    try:
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    except ValueError:
        return tuple(sorted(different))


# Samples ------------------------------------------------------------------------------------------------------------


def to_samples(
    x: NDArray[Any], source: str, *, layout: Layout, value_range: tuple[float, float], remedy: str
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Checks an array's shape and values, and converts it: pictures to uint8, signals and volumes to float32.

    ``remedy`` is what to do about pixels outside of ``value_range``: SET_RANGE or BRING_TO_RANGE.

    Raises:
        InputError: shape, type or values do not fit the layout.
    """
    if x.ndim not in NUM_AXES[layout] or 0 in x.shape[1:]:
        raise InputError(f"{source} must be {SHAPES[layout]} for layout: {layout}. Received shape {x.shape}.")
    if x.dtype.kind not in "biuf":
        raise InputError(f"{source} must hold numbers. Received {x.dtype}.")
    if layout != "image":
        return _to_float32(x, source)
    if x.ndim == 3:
        x = x[..., None]
    if x.shape[3] not in (1, 3):
        hint = " Channels must come last." if x.shape[1] in (1, 3) else ""
        raise InputError(f"{source} must be {SHAPES[layout]}. Received shape {x.shape}.{hint}")
    return _to_pixels(x, source, value_range, remedy)


def _to_float32(x: NDArray[Any], source: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # too large for float32: found just below
        values = x.astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{source} must be finite as float32. Received NaN or infinite values.")
    return values


def _to_pixels(x: NDArray[Any], source: str, value_range: tuple[float, float], remedy: str) -> NDArray[np.uint8]:
    lowest, highest = value_range
    if not lowest < highest:
        raise InputError(f"data.value_range must rise. Received [{lowest:g}, {highest:g}].")
    if x.size == 0:
        return np.empty(x.shape, np.uint8)
    smallest, largest = float(x.min()), float(x.max())  # NaN where there is one
    if not (math.isfinite(smallest) and math.isfinite(largest)):
        raise InputError(f"{source} must be finite. Received NaN or infinite values.")
    if smallest < lowest or largest > highest:
        raise InputError(
            f"{source} must lie within [{lowest:g}, {highest:g}]. "
            f"Received values from {smallest:g} to {largest:g}: {remedy}."
        )
    if x.dtype.kind in "bf" and (lowest, highest) == (0, 255) and largest <= 1:
        raise InputError(
            f"{source}: all values lie in [0, 1], which is black where pixels can be in [0, 255]: {remedy}."
        )
    if x.dtype == np.uint8 and (lowest, highest) == (0, 255):
        return np.asarray(x)
    pixels = np.empty(x.shape, np.uint8)
    for start in range(0, len(x), BLOCK):
        values = x[start : start + BLOCK].astype(np.float64)
        pixels[start : start + BLOCK] = np.rint((values - lowest) * 255 / (highest - lowest))
    return pixels
