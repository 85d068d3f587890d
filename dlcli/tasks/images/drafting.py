"""Drafts a recipe for data that it looks at: a folder of images, an .npz file or a .csv file, texts and series."""

import csv
import io
import math
import os
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.language.errors import shortened
from dlcli.tasks.drafting import (
    HEADING,
    LABEL,
    SPLIT,
    SPLITS,
    Draft,
    Line,
    columns_of_splits,
    in_classes,
    line,
    named,
    own_splits,
    section,
    shares,
)

ORDER = ("train", "validation", "test")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
NUM_HEADERS = 60  # images whose size is read
MAX_CSV_BYTES = 2**26
MAX_ARRAY_BYTES = 2**31
MAX_SIDE = 224  # of the images that a drafted network takes
IMAGE = ("path", "file", "filename", "file_name", "image", "image_path")
LAYOUTS = {"image": "images", "signal": "signals", "volume": "volumes"}


@dataclass(frozen=True)
class _Look:
    """What a source of data showed."""

    seen: tuple[str, ...]
    source: tuple[Line, ...]
    """The keys of the ``data`` section that name and describe the source."""
    size: tuple[int, int] | None
    """Height and width of the images; None for other samples."""
    num_samples: int
    """In the training split."""
    splits: frozenset[str]
    """The splits that the source has of its own."""
    rank: int = 2
    """Dimensions of a sample without its channels."""


def draft_images(data: Path, path: str) -> Draft:
    """A recipe for a folder of class folders, an .npz or a .csv of images.

    Args:
        path: of the data, as the recipe is to name it.

    Raises:
        OSError: the data cannot be read.
        InputError: there are no images that a recipe could be drafted for.
    """
    if data.is_dir():
        look = _look_at_folder(data, path)
    elif data.suffix.lower() == ".npz":
        look = _look_at_npz(data, path)
    elif data.suffix.lower() == ".csv":
        look = _look_at_csv(data, path)
    else:
        raise InputError(
            f"{data}: expected a folder, a table (.csv, .tsv, .jsonl), an .npz, a text (.txt), or .conllu or .ts"
        )
    return Draft(look.seen, _write(look))


# Looking ------------------------------------------------------------------------------------------------------------


def _look_at_folder(root: Path, path: str) -> _Look:
    """A folder for each class, in the root or in a folder for each split."""
    folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    splits = {SPLITS[entry.name.lower()]: entry for entry in folders if entry.name.lower() in SPLITS}
    if "train" not in splits or (len(splits) == 1 and len(folders) > 1):
        splits = {"train": root}  # the folders are classes, one of which may be called train
    images = {split: _images_by_class(splits[split]) for split in ORDER if split in splits}
    classes = images["train"]
    if not classes:
        raise InputError(
            f"{root}: no images in folders named after their classes, such as {root / 'cats' / '1.jpg'} (the "
            f"suffixes are {', '.join(SUFFIXES)}), nor texts in files or folders named after theirs, such as "
            f"{root / 'praise.txt'} or {root / 'praise' / '1.txt'}"
        )
    if len(classes) < 2:
        only = shortened(next(iter(classes)))
        annotated = any((root / name).is_dir() for name in ("Annotations", "annotations"))
        boxes = "; where annotations of boxes lie beside it, write task: localization and data.kind: voc"
        raise InputError(
            f"{root}: the only folder with images is {only}; a classifier needs one for each of two classes"
            f"{boxes if annotated else ''}"
        )
    seen = [
        f"{split}: {in_classes(Counter({name: len(files) for name, files in found.items()}), 'images')}"
        for split, found in images.items()
    ]
    files = [file for found in classes.values() for file in found]
    sizes = _sizes(files)
    if not sizes:
        raise InputError(f"{root}: none of the images can be read, {files[0]} among them")
    seen.append(f"sizes: {_size_range(sizes)}")
    source = (
        ("kind", "folder", "a folder for each class" + (", in a folder for each split" if len(splits) > 1 else "")),
        ("path", path, "relative to this file"),
    )
    return _Look(tuple(seen), source, _common_size(sizes), len(files), frozenset(splits) - {"train"})


def _images_by_class(folder: Path) -> dict[str, list[Path]]:
    """The image files of each class, whose folder may have folders of its own."""
    found: dict[str, list[Path]] = {}
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            files = [
                Path(parent, name)
                for parent, _, names in os.walk(entry)
                for name in sorted(names)
                if name.lower().endswith(SUFFIXES) and not name.startswith(".")
            ]
            if files:
                found[entry.name] = files
    return found


def _sizes(files: list[Path]) -> Counter[tuple[int, int]]:
    """Height and width by the headers of some files, taken evenly; files that are no images are passed over."""
    from PIL import Image

    sizes: Counter[tuple[int, int]] = Counter()
    step = max(1, len(files) // NUM_HEADERS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for file in files[::step]:
            if not file.is_file():  # a pipe would keep us waiting
                continue
            try:
                with Image.open(file) as image:
                    sizes[image.height, image.width] += 1
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
                continue
    return sizes


def _look_at_npz(file: Path, path: str) -> _Look:
    """Arrays x_train and y_train in an .npz file."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            if not {"x_train", "y_train"} <= names:
                received = ", ".join(map(shortened, sorted(names))) or "none"
                raise InputError(f"{file}: expected arrays x_train and y_train. Received {received}.")
            shape, dtype = _header(archive, "x_train")
            layout, size = _layout(file, shape)
            is_range_known = layout != "image" or dtype == "uint8"
            low, high = (0, 255) if is_range_known else _value_range(_array(file, archive, "x_train"))
            y = _array(file, archive, "y_train")
            if y.shape[:1] != shape[:1]:
                raise InputError(
                    f"{file}: x_train and y_train must have one entry for each sample. "
                    f"Received shapes {list(shape)} and {list(y.shape)}."
                )
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{file}: not a readable .npz file: {shortened(str(error))}") from None
    is_one_hot = y.ndim == 2 and y.shape[1] > 1
    counts = Counter((y.argmax(axis=1) if is_one_hot else y.ravel()).tolist())
    if len(counts) < 2:
        raise InputError(f"{file}: y_train holds one class only; a classifier needs two")
    splits = {split for split, key in (("validation", "x_val"), ("test", "x_test")) if key in names}
    seen = (
        f"train: {in_classes(counts, LAYOUTS[layout])}",
        f"x_train: shape {list(shape)}, {dtype}",
        f"own splits: {', '.join(split for split in ORDER if split in {'train', *splits})}",
    )
    source: list[Line] = [("kind", "npz", "arrays in a NumPy file"), ("path", path, "relative to this file")]
    if layout != "image":
        source.append(("layout", layout, "what a sample is"))
    elif (low, high) != (0, 255):
        source.append(("value_range", (low, high), "smallest and largest value that a pixel can have"))
    rank = {"signal": 1, "image": 2, "volume": 3}[layout]
    return _Look(seen, tuple(source), size, shape[0], frozenset(splits), rank)


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], Any]:
    """Shape and type of an array in an .npz file.

    Raises:
        ValueError: the header promises what the file cannot hold.
    """
    import numpy as np

    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > archive.getinfo(f"{name}.npy").file_size:
        raise ValueError(f"{name} has less data than its header says")
    if 0 in shape:
        raise ValueError(f"{name} is empty: its shape is {list(shape)}")
    return shape, dtype


def _array(file: Path, archive: zipfile.ZipFile, name: str) -> Any:
    """An array of an .npz file, if it is of a size that can be looked at. Nothing is unpickled."""
    import numpy as np

    shape, dtype = _header(archive, name)
    if math.prod(shape) * dtype.itemsize > MAX_ARRAY_BYTES:
        raise InputError(f"{file}: {name} has more than 2 GiB; write the recipe by hand")
    with archive.open(f"{name}.npy") as opened:
        return np.lib.format.read_array(opened, allow_pickle=False)


def _layout(file: Path, shape: tuple[int, ...]) -> tuple[str, tuple[int, int] | None]:
    """What the samples are, and the size of images, by the shape of all of them together."""
    match shape:
        case (_, height, width) if min(height, width) >= 8:
            return "image", (height, width)
        case (_, _, _):
            return "signal", None
        case (_, height, width, 1 | 3):
            return "image", (height, width)
        case (_, _, _, _, _):
            return "volume", None
    raise InputError(
        f"{file}: expected x_train with the shape [n, height, width], [n, height, width, channels], "
        f"[n, time, channels] or [n, depth, height, width, channels]. Received {list(shape)}."
    )


def _value_range(x: Any) -> tuple[float, float]:
    """The usual range that holds all the values, else the smallest and the largest."""
    low, high = float(x.min()), float(x.max())
    for usual in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if usual[0] <= low and high <= usual[1]:
            return usual
    return low, high


def _look_at_csv(file: Path, path: str) -> _Look:
    """A table with a row for each image; its columns are known by their names."""
    with file.open("rb") as opened:
        data = opened.read(MAX_CSV_BYTES)
    text = data.decode("utf-8-sig", "replace")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"{file}: not a readable CSV file: {error}") from None
    columns = [column for column in (rows[0] if rows else {}) if column]
    image, label = named(columns, IMAGE), named(columns, LABEL)
    if image is None or label is None:
        raise InputError(
            f"{file}: expected columns by whose names it can be told what is to be learned: of images path and "
            "label, of texts text and label, of pairs source and target, of sequences sequence and label, of a series "
            f"date and numbers. Received {', '.join(map(shortened, columns)) or 'no rows'}. Name them so, or write "
            "the recipe by hand."
        )
    split = named(columns, SPLIT)
    own = own_splits(file, rows)
    train = [row for row in rows if split is None or SPLITS.get((row[split] or "").strip().lower()) == "train"]
    counts = Counter(row[label] or "" for row in train)
    if len(counts) < 2:
        rows_of = "" if split is None else f" in the rows of {split} train"
        raise InputError(f"{file}: the column {label} holds one class only{rows_of}; a classifier needs two")
    sizes = _sizes([file.parent / (row[image] or "") for row in train])
    if not sizes:
        raise InputError(f"{file}: none of the images in the column {image} can be read, {train[0][image]} among them")
    source = (
        ("kind", "csv", "a row for each image"),
        ("path", path, "relative to this file"),
        ("image", image, "the column with each image's path"),
        ("label", label, "the column with its class"),
        *columns_of_splits(columns),
    )
    seen = (
        f"train: {in_classes(counts, 'images')}",
        f"sizes: {_size_range(sizes)}",
    )
    return _Look(seen, source, _common_size(sizes), len(train), frozenset(own))


# Writing ------------------------------------------------------------------------------------------------------------


def _write(look: _Look) -> str:
    """The recipe's text; a comment follows each key."""
    data = list(look.source)
    if look.size is not None:
        data.append(("image_size", look.size, "height and width that every image is brought to"))
    data += shares(look.splits)
    num_blocks = 3 if look.size is None else _num_blocks(look.size)
    lines = [
        HEADING,
        "",
        line("task", "classification", "one of several classes for each sample"),
        *section("data", data),
        "model:",
        *(f"  {line(*each)}" for each in _model(look)),
        "  blocks:  # each: convolution, normalization, activation, pooling by 2",
        *(f"    - {{filters: {min(32 * 2**i, 256)}, batch_norm: true}}" for i in range(num_blocks)),
        "  pooling: flatten  # keeps where things are; average or max of each feature map do not",
        "  dense: [128]  # units between the features and the classes",
        "  dropout: 0.3  # proportion of units left out in training",
        *section(
            "train",
            [
                ("epochs", 20, "passes over the training samples"),
                ("batch_size", 32 if look.num_samples < 20_000 else 128, "samples for each update"),
            ],
        ),
        "  optimizer: {kind: adam, learning_rate: 0.001}  # how the weights are updated",
        "  schedule: {kind: cosine}  # of the learning rate, down to 0",
    ]
    return "\n".join(lines) + "\n"


def _model(look: _Look) -> Iterator[Line]:
    yield "kind", "convnet", "convolutional stages, then dense layers"
    if look.rank != 2:
        yield "rank", look.rank, "dimensions of the convolution"


def _num_blocks(size: tuple[int, int]) -> int:
    """How often the shorter side can be halved until fewer than 8 pixels are left, 1 to 5 times."""
    return min(5, max(1, min(size).bit_length() - 3))


def _common_size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The size that all the images have, if it is small; else a square near the middle of their shorter sides."""
    if len(sizes) == 1:
        (size,) = sizes
        if max(size) <= MAX_SIDE:
            return size
    side = int(median(min(size) for size in sizes.elements()))
    side = min(MAX_SIDE, max(32, side // 32 * 32))
    return side, side


def _size_range(sizes: Counter[tuple[int, int]]) -> str:
    """The sizes in words, as height x width."""
    if len(sizes) == 1:
        (size,) = sizes
        return f"{size[0]}x{size[1]}"
    smallest, largest = (extreme(sizes, key=lambda size: size[0] * size[1]) for extreme in (min, max))
    return f"{smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]} (height x width)"
