"""Drafts a recipe for images: for a folder of class folders, an .npz or a .csv."""

import csv
import io
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dlcli.data.folders import walk
from dlcli.data.npz_archive import CORRUPT, Header, corrupt, read_array, read_header
from dlcli.data.splits import SPLIT_OF, SPLITS
from dlcli.errors import InputError
from dlcli.files import BadFile, open_file, open_input
from dlcli.recipe.language.errors import shortened
from dlcli.tasks.draft_text import (
    HEADING,
    LABEL,
    SPLIT,
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

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
NUM_HEADERS = 60  # images whose headers are read for their size
MAX_CSV_BYTES = 2**26
MAX_ARRAY_BYTES = 2**31
MAX_SIDE = 224  # of the images in a drafted recipe
IMAGE = ("path", "file", "filename", "file_name", "image", "image_path")
LAYOUTS = {"image": "images", "signal": "signals", "volume": "volumes"}


@dataclass(frozen=True)
class _Summary:
    """What a draft needs to know about the data."""

    seen: tuple[str, ...]
    """Lines that tell the user about the data."""
    source: tuple[Line, ...]
    """The keys of the ``data`` section that name and describe the source."""
    size: tuple[int, int] | None
    """Height and width of the images; None for signals and volumes."""
    num_samples: int
    """Number of samples in the training split."""
    splits: frozenset[str]
    """The splits besides training that the source has."""
    rank: int = 2
    """Number of dimensions of a sample, without channels."""


def draft_images(data: Path, path: str) -> Draft:
    """Draft a recipe for a folder of class folders, an .npz or a .csv of images.

    Args:
        data: a folder or a file.
        path: its path as it will stand in the recipe.

    Raises:
        OSError: the data cannot be read.
        InputError: no recipe can be drafted for these data, or a folder cannot be listed.
    """
    if data.is_dir():
        summary = _summarize_folder(data, path)
    elif data.suffix.lower() == ".npz":
        summary = _summarize_npz(data, path)
    elif data.suffix.lower() == ".csv":
        summary = _summarize_csv(data, path)
    else:
        raise InputError(
            f"{data}: expected a folder, a table (.csv, .tsv, .jsonl), an .npz, a text (.txt), a .conllu or a .ts"
        )
    return Draft(summary.seen, _write(summary))


# Reading the data -----------------------------------------------------------------------------------------------------


def _summarize_folder(root: Path, path: str) -> _Summary:
    """Summarize a folder that has a folder for each class, directly or within a folder for each split."""
    folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    splits = {SPLIT_OF[entry.name.lower()]: entry for entry in folders if entry.name.lower() in SPLIT_OF}
    if "train" not in splits or (len(splits) == 1 and len(folders) > 1):
        splits = {"train": root}  # the folders are classes, one of which may be named train
    images = {split: _images_by_class(splits[split]) for split in SPLITS if split in splits}
    classes = images["train"]
    if not classes:
        raise InputError(
            f"{root}: expected images in folders named after their classes, such as {root / 'cats' / '1.jpg'} "
            f"(suffixes: {', '.join(SUFFIXES)}), or texts in files or folders named after their classes, such as "
            f"{root / 'praise.txt'} or {root / 'praise' / '1.txt'}"
        )
    if len(classes) < 2:
        only = shortened(next(iter(classes)))
        annotated = any((root / name).is_dir() for name in ("Annotations", "annotations"))
        boxes = ". For images with annotated boxes, write task: localization and data.kind: voc"
        raise InputError(
            f"{root}: the only folder with images is {only}; a classifier needs at least two class folders"
            f"{boxes if annotated else ''}"
        )
    seen = [
        f"{split}: {in_classes(Counter({name: len(files) for name, files in by_class.items()}), 'images')}"
        for split, by_class in images.items()
    ]
    files = [file for in_class in classes.values() for file in in_class]
    sizes = _sizes(files)
    if not sizes:
        raise InputError(f"{root}: none of the images can be read. The first is {files[0]}")
    seen.append(f"sizes: {_size_range(sizes)}")
    source = (
        ("kind", "folder", "a folder for each class" + (", in a folder for each split" if len(splits) > 1 else "")),
        ("path", path, "relative to this file"),
    )
    return _Summary(tuple(seen), source, _common_size(sizes), len(files), frozenset(splits) - {"train"})


def _images_by_class(folder: Path) -> dict[str, list[Path]]:
    """The image files of each class, those in subfolders of its folder included."""
    by_class: dict[str, list[Path]] = {}
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            files = [
                file
                for walked in walk(entry, root=folder)
                for file in walked.files
                if file.name.lower().endswith(SUFFIXES) and not file.name.startswith(".")
            ]
            if files:
                by_class[entry.name] = files
    return by_class


def _sizes(files: list[Path]) -> Counter[tuple[int, int]]:
    """Heights and widths in the headers of evenly spaced files; files that are not images are skipped."""
    from PIL import Image

    sizes: Counter[tuple[int, int]] = Counter()
    step = max(1, len(files) // NUM_HEADERS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for file in files[::step]:
            try:
                with open_file(file) as opened, Image.open(opened) as image:
                    sizes[image.height, image.width] += 1
            except (
                BadFile,
                OSError,
                ValueError,
                SyntaxError,
                Image.DecompressionBombError,
                Image.DecompressionBombWarning,
            ):
                continue
    return sizes


def _summarize_npz(file: Path, path: str) -> _Summary:
    """Summarize an .npz file with the arrays x_train and y_train."""
    try:
        with open_input(file, "Give an .npz file.") as opened, zipfile.ZipFile(opened) as archive:
            names = {name.removesuffix(".npy"): name for name in archive.namelist()}
            if not {"x_train", "y_train"} <= names.keys():
                received = ", ".join(map(shortened, sorted(names))) or "none"
                raise InputError(f"{file}: expected arrays x_train and y_train. Received {received}.")
            header = _header(file, archive, names["x_train"])
            shape, dtype = header.shape, header.dtype
            layout, size = _layout(file, shape)
            is_range_known = layout != "image" or dtype == "uint8"
            low, high = (0, 255) if is_range_known else _value_range(_array(file, archive, names["x_train"]))
            y = _array(file, archive, names["y_train"])
            if y.shape[:1] != shape[:1]:
                raise InputError(
                    f"{file}: x_train and y_train must have one entry for each sample. "
                    f"Received shapes {list(shape)} and {list(y.shape)}."
                )
    except CORRUPT:
        raise corrupt(file) from None
    is_one_hot = y.ndim == 2 and y.shape[1] > 1
    counts = Counter((y.argmax(axis=1) if is_one_hot else y.ravel()).tolist())
    if len(counts) < 2:
        raise InputError(f"{file}: y_train has only one class; a classifier needs at least two")
    splits = {split for split, key in (("validation", "x_val"), ("test", "x_test")) if key in names}
    seen = (
        f"train: {in_classes(counts, LAYOUTS[layout])}",
        f"x_train: shape {list(shape)}, {dtype}",
        f"splits: {', '.join(split for split in SPLITS if split in {'train', *splits})}",
    )
    source: list[Line] = [("kind", "npz", "arrays in a NumPy file"), ("path", path, "relative to this file")]
    if layout != "image":
        source.append(("layout", layout, "what a sample is: image, signal or volume"))
    elif (low, high) != (0, 255):
        source.append(("value_range", (low, high), "smallest and largest possible value of a pixel"))
    rank = {"signal": 1, "image": 2, "volume": 3}[layout]
    return _Summary(seen, tuple(source), size, shape[0], frozenset(splits), rank)


def _header(file: Path, archive: zipfile.ZipFile, name: str) -> Header:
    """The header of an array that has samples.

    Raises:
        InputError: the array is empty.
    """
    header = read_header(archive, name)
    if 0 in header.shape:
        raise InputError(f"{file}: {name.removesuffix('.npy')} is empty: its shape is {list(header.shape)}")
    return header


def _array(file: Path, archive: zipfile.ZipFile, name: str) -> Any:
    """An array, unless it is too large to be read.

    Raises:
        InputError: it is empty or too large, or holds pickled objects.
    """
    header = _header(file, archive, name)
    if header.num_bytes > MAX_ARRAY_BYTES:
        raise InputError(f"{file}: {name.removesuffix('.npy')} is larger than 2 GiB; write the recipe by hand")
    if header.dtype.hasobject:
        raise InputError(
            f"{file}: {name.removesuffix('.npy')} must hold plain numbers or text. Received pickled Python objects."
        )
    return read_array(archive, name)


def _layout(file: Path, shape: tuple[int, ...]) -> tuple[str, tuple[int, int] | None]:
    """The layout of the samples, and the size of images, as the shape of the array suggests."""
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
    """The smallest of the usual ranges that holds all values; if none does, the smallest and the largest value."""
    low, high = float(x.min()), float(x.max())
    for usual in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if usual[0] <= low and high <= usual[1]:
            return usual
    return low, high


def _summarize_csv(file: Path, path: str) -> _Summary:
    """Summarize a table with a row for each image, whose columns are recognized by their names."""
    with open_input(file, "Give a table of images.") as opened:
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
            f"{file}: expected columns whose names tell the task: path and label for images, text and label for texts, "
            "source and target for pairs of texts, sequence and label for sequences, date and numbers for a series. "
            f"Received {', '.join(map(shortened, columns)) or 'no rows'}. Rename the columns, or write the recipe by "
            "hand."
        )
    split = named(columns, SPLIT)
    splits = own_splits(file, rows)
    train = [row for row in rows if split is None or SPLIT_OF.get((row[split] or "").strip().lower()) == "train"]
    counts = Counter(row[label] or "" for row in train)
    if len(counts) < 2:
        where = "" if split is None else f" in the rows with {split} train"
        raise InputError(f"{file}: the column {label} has only one class{where}; a classifier needs at least two")
    sizes = _sizes([file.parent / (row[image] or "") for row in train])
    if not sizes:
        raise InputError(
            f"{file}: none of the images in the column {image} can be read. The first is {train[0][image]}"
        )
    source = (
        ("kind", "csv", "a row for each image"),
        ("path", path, "relative to this file"),
        ("image", image, "the column with the path of the image"),
        ("label", label, "the column with its class"),
        *columns_of_splits(columns),
    )
    seen = (
        f"train: {in_classes(counts, 'images')}",
        f"sizes: {_size_range(sizes)}",
    )
    return _Summary(seen, source, _common_size(sizes), len(train), frozenset(splits))


# Writing the recipe ---------------------------------------------------------------------------------------------------


def _write(summary: _Summary) -> str:
    """The recipe's text, with a comment after each key."""
    data = list(summary.source)
    if summary.size is not None:
        data.append(("image_size", summary.size, "height and width to which images are resized"))
    data += shares(summary.splits)
    num_blocks = 3 if summary.size is None else _num_blocks(summary.size)
    lines = [
        HEADING,
        "",
        line("task", "classification", "predicts one of several classes for each sample"),
        *section("data", data),
        "model:",
        *(f"  {line(*each)}" for each in _model(summary)),
        "  blocks:  # each: convolution, batch normalization, activation, pooling by 2",
        *(f"    - {{filters: {min(32 * 2**i, 256)}, batch_norm: true}}" for i in range(num_blocks)),
        "  pooling: flatten  # keeps positions; average and max pool each feature map to one value",
        "  dense: [128]  # units of the layers between the features and the classes",
        "  dropout: 0.3  # proportion of units dropped in training",
        *section(
            "train",
            [
                ("epochs", 20, "passes over the training samples"),
                ("batch_size", 32 if summary.num_samples < 20_000 else 128, "samples per update of the weights"),
            ],
        ),
        "  optimizer: {kind: adam, learning_rate: 0.001}  # how the weights are updated",
        "  schedule: {kind: cosine}  # lowers the learning rate to 0",
    ]
    return "\n".join(lines) + "\n"


def _model(summary: _Summary) -> Iterator[Line]:
    yield "kind", "convnet", "convolutional stages, then dense layers"
    if summary.rank != 2:
        yield "rank", summary.rank, "dimensions of the convolutions"


def _num_blocks(size: tuple[int, int]) -> int:
    """The number of blocks, 1 to 5: how often the shorter side can be halved before it has fewer than 8 pixels."""
    return min(5, max(1, min(size).bit_length() - 3))


def _common_size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The size of all the images if it is the same and small; else a square near the median of their shorter sides."""
    if len(sizes) == 1:
        (size,) = sizes
        if max(size) <= MAX_SIDE:
            return size
    side = int(median(min(size) for size in sizes.elements()))
    side = min(MAX_SIDE, max(32, side // 32 * 32))
    return side, side


def _size_range(sizes: Counter[tuple[int, int]]) -> str:
    """The range of sizes, as height x width."""
    if len(sizes) == 1:
        (size,) = sizes
        return f"{size[0]}x{size[1]}"
    smallest, largest = (extreme(sizes, key=lambda size: size[0] * size[1]) for extreme in (min, max))
    return f"{smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]} (height x width)"
