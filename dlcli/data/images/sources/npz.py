"""Arrays from NumPy .npz files: images, signals or volumes with a label each. Nothing in a file is ever unpickled."""

import math
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.dataset import CommonKeys, assemble_images, assemble_values
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import Listing, index_labels, name_some
from dlcli.data.npz_archive import BLOCK, NUM_AXES, SUFFIXES, label_names, read_splits, sort_labels
from dlcli.errors import InputError

Layout = Literal["image", "signal", "volume"]
SHAPES = {
    "image": "[n, height, width] or [n, height, width, channels] with 1 or 3 channels",
    "signal": "[n, time, channels]",
    "volume": "[n, depth, height, width, channels]",
}
SET_RANGE = "set data.value_range to what a pixel can be"  # what to do about values outside of it, in a recipe
BRING_TO_RANGE = "bring the array to that range"  # and where the range is not for the user to choose


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
    Images are scaled so that ``value_range`` becomes [0, 255], and rounded to 8 bits. Signals and volumes are taken
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
        return assemble_images(listings, known, source=str(file), left_out=left_out, common=common)
    if common["image_size"] is not None or common["color_mode"] is not None:
        raise InputError(
            f"{file}: data.image_size and data.color_mode are for layout: image. Received layout: {layout}."
        )
    return assemble_values(listings, known, source=str(file), left_out=left_out, common=common)


def list_arrays(split: str, x: NDArray[Any], labels: NDArray[np.int32], source: str) -> Listing:
    """The samples of one split, called by their position: "train/17"."""
    if len(x) == 0:
        raise InputError(f"{source} must hold at least one sample. Received none: remove it or fill it.")
    return Listing(names=tuple(f"{split}/{i}" for i in range(len(x))), labels=labels, arrays=x)


# Samples ------------------------------------------------------------------------------------------------------------


def to_samples(
    x: NDArray[Any], source: str, *, layout: Layout, value_range: tuple[float, float], remedy: str
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Checks an array's shape and values, and converts it: images to uint8, signals and volumes to float32.

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
