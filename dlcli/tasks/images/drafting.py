"""Drafts a recipe for images without boxes: for a folder of class folders, an .npz or a .csv."""

import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dlcli.data.files import AnyPath, paths_below, prefix_below, printable
from dlcli.data.images.formats import FORMAT_NAMES
from dlcli.data.images.sources.class_folders import class_names, list_classes
from dlcli.data.images.sources.shards import list_shards
from dlcli.data.listing import index_labels, name_some, sort_names
from dlcli.data.npz_archive import CORRUPT, Header, corrupt, read_array, read_header, usual_name
from dlcli.data.paths import is_outside, path_named
from dlcli.data.split_folders import find_splits
from dlcli.data.splits import SPLITS, split_named
from dlcli.errors import InputError
from dlcli.files import open_input, suffix_of
from dlcli.recipe.language.errors import shortened
from dlcli.tasks.draft_table import read_table
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
    relative_path,
    section,
    shares,
)
from dlcli.tasks.images.target_drafting import draft_targets
from dlcli.tasks.layout import Layout

NUM_HEADERS = 60  # images whose headers are read for their size
MAX_ARRAY_BYTES = 2**31
MAX_SIDE = 224  # of the images in a drafted recipe
IMAGE = ("path", "file", "filename", "file_name", "image", "image_path")
OUTSIDE: Line = ("allow_outside", True, "reads images outside of the table's folder too")
LAYOUTS = {"image": "images", "signal": "signals", "volume": "volumes"}


@dataclass(frozen=True)
class Summary:
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
    task: Line = ("task", "classification", "predicts one of several classes for each sample")
    """The ``task`` key with its comment."""


def draft_images(layout: Layout, folder: Path) -> Draft:
    """Draft a recipe for a folder of class folders, an .npz or a .csv of images, without boxes.

    Args:
        layout: the folder or file, and what it is.
        folder: of the recipe, to which its paths are relative.

    Raises:
        OSError: the data cannot be read.
        InputError: no recipe can be drafted for these data, or a folder cannot be listed.
    """
    data = layout.path
    path = relative_path(data, folder)
    if layout.kind == "images":
        summary = _summarize_folder(data, path)
    elif layout.kind == "shards":
        summary = _summarize_shards(data, path)
    elif data.suffix.lower() == ".npz":
        summary = _summarize_npz(data, path)
    elif suffix_of(data) == ".csv":
        summary = _summarize_csv(data, path, folder)
    else:
        raise InputError(
            f"{data}: expected a folder, a table (.csv, .tsv, .jsonl), an .npz, a text (.txt), .conllu, .ts or .tsf"
        )
    return Draft(summary.seen, write(summary))


# Reading the data -----------------------------------------------------------------------------------------------------


def _summarize_folder(root: Path, path: str) -> Summary:
    """Summarize a folder that has a folder for each class, directly or within a folder for each split.

    Raises:
        InputError: as for training.
    """
    folders, _, warnings = find_splits(root)
    files = {split: list_classes(folder, root, needs_all=split == "train")[0] for split, folder in folders.items()}
    _check_regular(root, [prefix_below(root, folders[split]) + name for split in files for name in files[split]])
    labels = {split: class_names(folders[split], found) for split, found in files.items()}
    index_labels(labels, sort_names(labels["train"]), source=str(root), trained=None)
    seen = [f"{split}: {in_classes(Counter(names), 'images')}" for split, names in labels.items()]
    sizes = image_sizes(paths_below(folders["train"], files["train"]))
    if not sizes:
        raise InputError(f"{root}: none of the images can be read. Give {FORMAT_NAMES} files.")
    seen += [f"sizes: {size_range(sizes)}", *map(str, warnings)]
    source = (
        ("kind", "folder", "a folder for each class" + (", in a folder for each split" if len(folders) > 1 else "")),
        ("path", path, "relative to this file"),
    )
    return Summary(tuple(seen), source, common_size(sizes), len(files["train"]), frozenset(folders) - {"train"})


def _summarize_shards(root: Path, path: str) -> Summary:
    """Summarize a folder of shards."""
    rows = list_shards(root)
    labels = {split: [row.label for row in rows if row.split == split] for split in SPLITS}
    labels = {split: names for split, names in labels.items() if names}
    if "train" not in labels:
        raise InputError(f"{root}: there must be images to train on. Received none.")
    index_labels(labels, sort_names(labels["train"]), source=str(root), trained=None)
    sizes = Counter((row.file.checked.height, row.file.checked.width) for row in rows if row.split == "train")
    seen = [f"{split}: {in_classes(Counter(names), 'images')}" for split, names in labels.items()]
    source = (("kind", "shards", "images in tar files"), ("path", path, "relative to this file"))
    splits = frozenset(labels) - {"train"}
    return Summary((*seen, f"sizes: {size_range(sizes)}"), source, common_size(sizes), len(labels["train"]), splits)


def _check_regular(root: Path, names: Sequence[str]) -> None:
    """Refuses pipes, devices, and links to nothing among the images, as training does.

    Raises:
        InputError: there are some; at most the first ten are named.
    """
    others = [printable(name) for name in names if not (root / name).is_file()]
    if others:
        raise InputError(
            f"{root}: images must be files. Received pipes, devices or links to nothing: {name_some(others)}. Remove "
            "them."
        )


def path_line(path: str) -> Line:
    """The key of a path, which is relative to the recipe."""
    return ("path", path, "relative to this file")


def image_sizes(files: Sequence[AnyPath]) -> Counter[tuple[int, int]]:
    """Heights and widths in the headers of evenly spaced files; files that are not images are skipped."""
    from dlcli.data.images.decoding import BadImage, read_header

    sizes: Counter[tuple[int, int]] = Counter()
    step = max(1, len(files) // NUM_HEADERS)
    for file in files[::step]:
        try:
            width, height, orientation = read_header(file)
        except BadImage:
            continue
        sizes[(width, height) if orientation >= 5 else (height, width)] += 1
    return sizes


def _summarize_npz(file: Path, path: str) -> Summary:
    """Summarize an .npz file with the arrays x_train and y_train."""
    try:
        with open_input(file, "Give an .npz file.") as opened, zipfile.ZipFile(opened) as archive:
            names = {usual_name(name.removesuffix(".npy")): name for name in archive.namelist()}
            if not {"x_train", "y_train"} <= names.keys():
                received = ", ".join(map(shortened, sorted(names))) or "none"
                raise InputError(
                    f"{file}: expected arrays x_train and y_train; or x_train, boxes_train and box_class_train. "
                    f"Received {received}."
                )
            header = _header(file, archive, names["x_train"])
            shape, dtype = header.shape, header.dtype
            layout, size = _layout(file, shape)
            is_range_known = layout != "image" or dtype == "uint8"
            low, high = (0, 255) if is_range_known else value_range(_array(file, archive, names["x_train"]))
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
    return Summary(seen, tuple(source), size, shape[0], frozenset(splits), rank)


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


def value_range(x: Any) -> tuple[float, float]:
    """The smallest of the usual ranges that holds all values; if none does, the smallest and the largest value."""
    low, high = float(x.min()), float(x.max())
    for usual in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if usual[0] <= low and high <= usual[1]:
            return usual
    return low, high


def _summarize_csv(file: Path, path: str, folder: Path) -> Summary:
    """Summarize a table with a row for each image, whose columns are recognized by their names.

    Args:
        path: of the file, relative to ``folder``, that of the recipe.
    """
    table = read_table(file)
    columns, rows = table.columns, table.rows
    targets = draft_targets(table, path, folder)
    if targets is not None:
        sizes = image_sizes(targets.files)
        if not sizes:
            raise InputError(f"{file}: none of the images can be read. The first is {targets.files[0]}")
        seen_of_targets = (targets.seen[0], f"sizes: {size_range(sizes)}", *targets.seen[1:])
        in_table = frozenset(own_splits(file, rows))
        size, num_images = common_size(sizes), len(targets.files)
        return Summary(seen_of_targets, targets.source, size, num_images, in_table, task=targets.task)
    image, label = named(columns, IMAGE), named(columns, LABEL)
    if image is None or label is None:
        raise InputError(
            f"{file}: expected columns whose names tell the task: path and label, or path and numbers, for images, "
            "image and mask for images with masks, text and label for texts, "
            "source and target for pairs of texts, sequence and label for sequences, date and numbers for a series. "
            f"Received {', '.join(map(shortened, columns)) or 'no rows'}. Rename the columns, or write the recipe by "
            "hand."
        )
    split = named(columns, SPLIT)
    splits = own_splits(file, rows)
    train = [row for row in rows if split is None or split_named(row[split]) == "train"]
    counts = Counter(row[label] for row in train)
    if len(counts) < 2:
        where = "" if split is None else f" in the rows with {split} train"
        raise InputError(f"{file}: the column {label} has only one class{where}; a classifier needs at least two")
    paths = [path_named(file.parent, row[image]) for row in train]
    sizes = image_sizes(paths)
    if not sizes:
        raise InputError(
            f"{file}: none of the images in the column {image} can be read. The first is {train[0][image]}"
        )
    source: list[Line] = [
        ("kind", "csv", "a row for each image"),
        path_line(path),
        ("image", image, "the column with the path of the image"),
        ("label", label, "the column with its class"),
        *columns_of_splits(columns),
    ]
    seen = [f"train: {in_classes(counts, 'images')}", f"sizes: {size_range(sizes)}"]
    if num_outside := sum(is_outside(file.parent, listed) for listed in paths):
        source.append(OUTSIDE)
        seen.append(seen_outside(num_outside))
    return Summary(tuple(seen), tuple(source), common_size(sizes), len(train), frozenset(splits))


def seen_outside(number: int) -> str:
    """That images are outside of the folder of their table."""
    return f"outside of the table's folder: {number:,} images (data.allow_outside)"


# Writing the recipe ---------------------------------------------------------------------------------------------------


def write(summary: Summary) -> str:
    """The recipe's text, with a comment after each key."""
    data = list(summary.source)
    if summary.size is not None:
        data.append(("image_size", summary.size, "height and width to which images are resized"))
    data += shares(summary.splits)
    num_blocks = 3 if summary.size is None else _num_blocks(summary.size)
    lines = [
        HEADING,
        "",
        line(*summary.task),
        *section("data", data),
        "model:",
        *(f"  {line(*each)}" for each in _model(summary)),
        "  blocks:  # each: convolution, batch normalization, activation, pooling by 2",
        *(f"    - {{filters: {min(32 * 2**i, 256)}, batch_norm: true}}" for i in range(num_blocks)),
        "  pooling: flatten  # keeps positions; average and max pool each feature map to one value",
        "  dense: [128]  # units of the layers between the features and the outputs",
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


def _model(summary: Summary) -> Iterator[Line]:
    yield "kind", "convnet", "convolutional stages, then dense layers"
    if summary.rank != 2:
        yield "rank", summary.rank, "dimensions of the convolutions"


def _num_blocks(size: tuple[int, int]) -> int:
    """The number of blocks, 1 to 5: how often the shorter side can be halved before it has fewer than 8 pixels."""
    return min(5, max(1, min(size).bit_length() - 3))


def common_size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The size of all the images if it is the same and small; else a square near the median of their shorter sides."""
    if len(sizes) == 1:
        (size,) = sizes
        if max(size) <= MAX_SIDE:
            return size
    side = int(median(min(size) for size in sizes.elements()))
    side = min(MAX_SIDE, max(32, side // 32 * 32))
    return side, side


def size_range(sizes: Counter[tuple[int, int]]) -> str:
    """The range of sizes, as height x width."""
    if len(sizes) == 1:
        (size,) = sizes
        return f"{size[0]}x{size[1]}"
    smallest, largest = (extreme(sizes, key=lambda size: size[0] * size[1]) for extreme in (min, max))
    return f"{smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]} (height x width)"
