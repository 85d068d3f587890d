"""Drafts a recipe for images with masks. Needs no TensorFlow."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dlcli.data.masks.pairs import Pair, Paired, find_pairs, read_pairs
from dlcli.data.masks.polygon_files import list_json
from dlcli.data.paths import is_outside, path_named
from dlcli.data.splits import SPLITS
from dlcli.errors import InputError
from dlcli.files import suffix_of
from dlcli.tasks.draft_table import read_table
from dlcli.tasks.draft_text import (
    HEADING,
    Draft,
    Line,
    columns_of_splits,
    line,
    named,
    own_splits,
    relative_path,
    section,
    shares,
)
from dlcli.tasks.images.drafting import IMAGE, OUTSIDE, image_sizes, size_range
from dlcli.tasks.segmentation.mask_values import values_of

LONGER_SIDE = 320  # of images in a drafted recipe
PATH = "relative to this file"
KINDS = {
    "masks": "images beside masks that are images themselves",
    "polygons": "a JSON file of polygons for each image; the classes are their labels",
}
BACKGROUND: Line = ("background", "background", "the class of pixels in no polygon")
TABLES = (".csv", ".tsv")  # with columns of paths
MASK = ("mask", "mask_path", "mask_file", "annotation", "segmentation")  # names of columns
MULTIPLE = 32  # of their sides, which a network halves five times
LARGE = 1000  # pixels of the shorter side, from which on images are cut into tiles
TILES = {"size": 256, "overlap": 64, "per_image": 4}


def draft_masks(root: Path, folder: Path, *, of_ids: bool) -> Draft | None:
    """Draft a recipe for a folder of images with masks.

    The names of classes are made up: ``class_0`` and so on, to be replaced.

    Args:
        root: the folder with both.
        folder: of the recipe, to which its paths are relative.
        of_ids: whether to draft one for masks whose values are probably ids of objects; all of them are one class.

    Returns:
        None for masks of ids, if none is to be drafted.

    Raises:
        InputError: images and masks do not fit together, or no mask can be read.
    """
    pairs = find_pairs(root, on_missing="skip")
    values = values_of(root, _of_train(pairs))
    if values.are_ids and not of_ids:
        return None
    return _write(root, pairs, "masks", [("path", relative_path(root, folder), PATH), *values.keys], values.seen)


def draft_mask_table(file: Path, folder: Path) -> Draft | None:
    """Draft a recipe for a table with the paths of an image and its mask in each row, as :func:`draft_masks`.

    Returns:
        None for a table of something else, by the names of its columns.

    Raises:
        InputError: files do not exist, the column of splits holds other values, or no mask can be read.
    """
    if suffix_of(file) not in TABLES:
        return None
    table = read_table(file)
    image, mask = named(table.columns, IMAGE), named(table.columns, MASK)
    if image is None or mask is None or not table.rows:
        return None
    rows = [path for row in table.rows for path in (row[image], row[mask])]
    is_below = not any(is_outside(file.parent, path_named(file.parent, path)) for path in rows)
    splits = columns_of_splits(table.columns)
    own_splits(file, table.rows)
    columns = {key: str(column) for key, column, _ in splits}
    pairs = read_pairs(
        file,
        image=image,
        mask=mask,
        split=columns.get("split"),
        group=columns.get("group"),
        allow_outside=not is_below,
    )
    source: list[Line] = [
        ("path", relative_path(file, folder), PATH),
        ("image", image, "the column with the path of the image"),
        ("mask", mask, "the column with the path of its mask"),
        *splits,
        *([] if is_below else [OUTSIDE]),
    ]
    values = values_of(file, _of_train(pairs))
    return _write(file, pairs, "masks", [*source, *values.keys], values.seen)


def draft_polygons(root: Path, folder: Path) -> Draft:
    """Draft a recipe for a folder of images with a JSON file of polygons each, as :func:`draft_masks`.

    Raises:
        InputError: images and files do not fit together, or no image can be read.
    """
    pairs = find_pairs(root, on_missing="skip", list_masks=list_json)
    return _write(root, pairs, "polygons", [("path", relative_path(root, folder), PATH), BACKGROUND], "")


def _of_train(pairs: Paired) -> list[Pair]:
    return [pair for pair in pairs.pairs if pair.split in ("", "train")] or list(pairs.pairs)


def _write(root: Path, pairs: Paired, kind: str, source: Sequence[Line], found: str) -> Draft:
    """The recipe of pairs.

    Args:
        source: the keys of ``data`` that come first.
        found: what is seen of the masks; empty for nothing.
    """
    counts = Counter(pair.split for pair in pairs.pairs)
    given = {split for split in counts if split and split != "train"}
    sizes = image_sizes([pair.file for pair in _of_train(pairs)])
    if not sizes:
        raise InputError(f"{root}: none of the images can be read.")
    numbers = [f"{split or 'train'} {counts[split]:,}" for split in ("", *SPLITS) if counts[split]]
    is_unpaired = any(item.kind == "unpaired" for item in pairs.left_out)
    left_out = [f"images without {kind}, or {kind} without image, are left out"] if is_unpaired else []
    seen = [
        f"images with {kind}: {', '.join(numbers)}",
        f"sizes: {size_range(sizes)}",
        *([found] if found else []),
        *left_out,
        *map(str, pairs.warnings),
    ]
    data: list[Line] = [
        ("kind", kind, KINDS[kind]),
        *source,
        _size_line(sizes),
        *([("on_missing", "skip", f"leaves out images without {kind}")] if is_unpaired else []),
        *shares(given),
    ]
    return Draft(tuple(seen), _text(data))


def _size_line(sizes: Counter[tuple[int, int]]) -> Line:
    """Tiles for images that lose much when they are resized, else the size to which they are resized."""
    height, width = _size(sizes)
    if min(sizes.most_common(1)[0][0]) < LARGE:
        return "image_size", (height, width), "height and width to which images and masks are resized"
    remark = f"cut from the images at their own size; or resize whole images: image_size: [{height}, {width}]"
    return "tiles", TILES, remark


def _size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The size that most images have, reduced to LONGER_SIDE, with sides that are multiples of MULTIPLE."""
    height, width = sizes.most_common(1)[0][0]
    if len(sizes) == 1 and max(height, width) <= LONGER_SIDE:
        return height, width
    factor = min(1.0, LONGER_SIDE / max(height, width))
    rounded = [max(MULTIPLE, round(side * factor / MULTIPLE) * MULTIPLE) for side in (height, width)]
    return rounded[0], rounded[1]


def _text(data: Sequence[Line]) -> str:
    lines = [
        HEADING,
        "",
        line("task", "segmentation", "predicts a class for each pixel"),
        *section("data", data),
        "augment:",
        "  horizontal_flip: true  # mirrors half of the images, and their masks",
        "model:",
        "  kind: unet  # from scratch; with few images add backbone: a network with weights",
        "  filters: 16  # at the size of the image, doubled at each of depth levels",
        "  depth: 4",
        "train:",
        "  epochs: 30  # passes over the training images",
        "  batch_size: 8  # images per update of the weights",
        "  optimizer: {kind: adam, learning_rate: 0.001}  # how the weights are updated",
        "  schedule: {kind: cosine}  # lowers the learning rate to 0",
        "  loss:",
        "    - {kind: cross_entropy}  # of each pixel",
        "    - {kind: dice}  # of regions, in which rare classes count as much as frequent ones",
        "  best_metric: val_mean_iou  # by which the best model is chosen",
    ]
    return "\n".join(lines) + "\n"
