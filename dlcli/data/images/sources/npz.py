"""Labeled images, signals or volumes in NumPy .npz files. Nothing in a file is ever unpickled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.dataset import CommonKeys, assemble_images, assemble_values
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import Listing, index_labels
from dlcli.data.npz_archive import Arrays, label_names, read_splits, sort_labels, splits_of
from dlcli.data.splits import Labels, LeftOut
from dlcli.errors import InputError

Layout = Literal["image", "signal", "volume"]
NUM_AXES = {"image": (3, 4), "signal": (3,), "volume": (5,)}  # of x
SHAPES = {
    "image": "[n, height, width] or [n, height, width, channels] with 1 or 3 channels",
    "signal": "[n, time, channels]",
    "volume": "[n, depth, height, width, channels]",
}
SET_RANGE = "set data.value_range to the range of the pixels"  # the remedy for values out of range in a recipe
BRING_TO_RANGE = "rescale the array to that range"  # the remedy if the range is fixed
BLOCK = 1024  # samples scaled at a time


@dataclass(frozen=True)
class LabeledArrays:
    """The arrays of an .npz file with the labels of their samples.

    Attributes:
        arrays: by name, such as x_train.
        suffixes: of the names, by split.
        names: class names of the samples, by split.
        classes: in the order of the outputs.
        labels: indices of the classes, by split.
        left_out: the other arrays of the file.
    """

    arrays: Arrays
    suffixes: dict[str, str]
    names: dict[str, list[str]]
    classes: tuple[str, ...]
    labels: dict[str, Labels]
    left_out: list[LeftOut]

    def listed_as(self, split: str) -> str:
        """The split that an array's samples belong to: a single split is listed as train, to be divided."""
        return "train" if len(self.suffixes) == 1 else split


def read_npz(
    *,
    path: str | Path,
    value_range: tuple[float, float],
    layout: Layout,
    classes: tuple[str, ...] | None = None,
    exclude: Sequence[str] = (),
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The arrays x_train and y_train, and if present x_val, y_val, x_test and y_test, of an .npz file.

    Labels are whole numbers, strings, or one-hot rows; shape [n] or [n, 1]. Classes are sorted, numbers as numbers.
    Images are scaled so that ``value_range`` becomes [0, 255], and rounded to 8 bits. Signals and volumes are converted
    to float32 and not scaled.

    Args:
        classes: those of a trained model, to use its labels; a file with a single split, whichever it is, is then
            treated as undivided.

    Raises:
        InputError: the file, its arrays, shapes or values are not as described.
    """
    file = Path(path)
    found = read_labeled_arrays(file, ("x", "y"), classes=classes)
    remedy = SET_RANGE if classes is None else BRING_TO_RANGE
    listings = {}
    for split, suffix in found.suffixes.items():
        where = f"{file}: x_{suffix}"
        x = to_samples(found.arrays.pop(f"x_{suffix}"), where, layout=layout, value_range=value_range, remedy=remedy)
        listings[found.listed_as(split)] = list_arrays(split, x, found.labels[split], where)
    if layout == "image":
        return assemble_images(
            listings, found.classes, source=str(file), exclude=exclude, left_out=found.left_out, common=common
        )
    if common["image_size"] is not None or common["color_mode"] is not None:
        raise InputError(
            f"{file}: data.image_size and data.color_mode are for layout: image. Received layout: {layout}."
        )
    return assemble_values(
        listings, found.classes, source=str(file), exclude=exclude, left_out=found.left_out, common=common
    )


def read_labeled_arrays(
    file: Path, axes: Sequence[str], *, classes: tuple[str, ...] | None, least: int = 2
) -> LabeledArrays:
    """The arrays ``axes`` of every split, "y" among them, whose labels become classes.

    Args:
        classes: those of a trained model, to use its labels.
        least: the smallest number of classes allowed.

    Raises:
        InputError: train is missing, a split lacks an array, or the labels are not as described.
    """
    arrays, left_out = read_splits(file, axes)
    suffixes = splits_of(file, arrays, left_out, axes=axes, is_trained=classes is not None)
    names = {split: label_names(arrays[f"y_{suffix}"], f"{file}: y_{suffix}") for split, suffix in suffixes.items()}
    own = sort_labels(names["train"]) if classes is None else classes
    known, labels = index_labels(names, own, source=str(file), trained=classes, least=least)
    return LabeledArrays(arrays, suffixes, names, known, labels, left_out)


def list_arrays(split: str, x: NDArray[Any], labels: NDArray[np.int32], source: str) -> Listing:
    """The samples of one split, named by their position: "train/17".

    Raises:
        InputError: there is no sample.
    """
    if len(x) == 0:
        raise InputError(f"{source} must contain at least one sample. Received none: remove it or add samples.")
    return Listing(names=tuple(f"{split}/{i}" for i in range(len(x))), labels=labels, arrays=x)


# Samples ------------------------------------------------------------------------------------------------------------


def to_samples(
    x: NDArray[Any], source: str, *, layout: Layout, value_range: tuple[float, float], remedy: str
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Checks an array's shape and values, and converts it: images to uint8, signals and volumes to float32.

    Args:
        remedy: for pixels outside of ``value_range``: SET_RANGE or BRING_TO_RANGE.

    Raises:
        InputError: shape, type or values do not fit the layout.
    """
    if x.ndim not in NUM_AXES[layout] or 0 in x.shape[1:]:
        raise InputError(f"{source} must be {SHAPES[layout]} for layout: {layout}. Received shape {x.shape}.")
    if x.dtype.kind not in "biuf":
        raise InputError(f"{source} must contain numbers. Received {x.dtype}.")
    if layout != "image":
        return _to_float32(x, source)
    if x.ndim == 3:
        x = x[..., None]
    if x.shape[3] not in (1, 3):
        hint = " Channels must come last." if x.shape[1] in (1, 3) else ""
        raise InputError(f"{source} must be {SHAPES[layout]}. Received shape {x.shape}.{hint}")
    return _to_pixels(x, source, value_range, remedy)


def _to_float32(x: NDArray[Any], source: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # values too large for float32 are reported below
        values = x.astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{source} must be finite as float32. Received NaN or infinite values.")
    return values


def _to_pixels(x: NDArray[Any], source: str, value_range: tuple[float, float], remedy: str) -> NDArray[np.uint8]:
    lowest, highest = value_range
    if not lowest < highest:
        raise InputError(f"data.value_range must be increasing. Received [{lowest:g}, {highest:g}].")
    if x.size == 0:
        return np.empty(x.shape, np.uint8)
    smallest, largest = float(x.min()), float(x.max())  # NaN if any value is NaN
    if not (math.isfinite(smallest) and math.isfinite(largest)):
        raise InputError(f"{source} must be finite. Received NaN or infinite values.")
    if smallest < lowest or largest > highest:
        raise InputError(
            f"{source} must lie within [{lowest:g}, {highest:g}]. "
            f"Received values from {smallest:g} to {largest:g}: {remedy}."
        )
    if x.dtype.kind in "bf" and (lowest, highest) == (0, 255) and largest <= 1:
        raise InputError(f"{source}: all values lie in [0, 1], which is black if pixels are in [0, 255]: {remedy}.")
    if x.dtype == np.uint8 and (lowest, highest) == (0, 255):
        return np.asarray(x)
    pixels = np.empty(x.shape, np.uint8)
    for start in range(0, len(x), BLOCK):
        values = x[start : start + BLOCK].astype(np.float64)
        pixels[start : start + BLOCK] = np.rint((values - lowest) * 255 / (highest - lowest))
    return pixels
