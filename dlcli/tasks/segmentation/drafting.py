"""Drafts a recipe for images with masks. Needs no TensorFlow."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlcli.data.files import workers
from dlcli.data.images.decoding import BadImage, read_file
from dlcli.data.masks.coding import MIDDLE, WHITE
from dlcli.data.masks.pairs import Pair, find_pairs
from dlcli.data.masks.stored import SAVE_AS, read_stored
from dlcli.data.splits import SPLITS
from dlcli.errors import InputError
from dlcli.tasks.draft_text import HEADING, Draft, Line, line, relative_path, section, shares
from dlcli.tasks.images.drafting import image_sizes, size_range

NUM_MASKS = 1000  # masks that are read for their values; all of them if these show a single class
MOST_COLORS = 64  # more are no palette of classes
MOST_VALUES = 64  # more are no classes either, but ids of objects
LONGER_SIDE = 320  # of images in a drafted recipe
MULTIPLE = 32  # of their sides, which a network halves five times
LARGE = 1000  # pixels of the shorter side, from which on images are cut into tiles
TILES = {"size": 256, "overlap": 64, "per_image": 4}


@dataclass(frozen=True)
class _Values:
    """What the masks hold.

    Attributes:
        keys: the keys of the ``data`` section that say what it means.
        seen: the same in words.
    """

    keys: tuple[Line, ...]
    seen: str


def draft_masks(root: Path, folder: Path) -> Draft:
    """Draft a recipe for a folder of images with masks.

    The names of classes are made up: ``class_0`` and so on, to be replaced.

    Args:
        root: the folder with both.
        folder: of the recipe, to which its paths are relative.

    Raises:
        InputError: images and masks do not fit together, or no mask can be read.
    """
    pairs = find_pairs(root, on_missing="skip")
    counts = Counter(pair.split for pair in pairs.pairs)
    given = {split for split in counts if split and split != "train"}
    train = [pair for pair in pairs.pairs if pair.split in ("", "train")] or list(pairs.pairs)
    sizes = image_sizes([pair.file for pair in train])
    if not sizes:
        raise InputError(f"{root}: none of the images can be read.")
    values = _values_of(root, train)
    numbers = [f"{split or 'train'} {counts[split]:,}" for split in ("", *SPLITS) if counts[split]]
    seen = [
        f"images with masks: {', '.join(numbers)}",
        f"sizes: {size_range(sizes)}",
        values.seen,
        *(["images without mask, or masks without image, are left out"] if pairs.left_out else []),
        *map(str, pairs.warnings),
    ]
    data: list[Line] = [
        ("kind", "masks", "images beside masks that are images themselves"),
        ("path", relative_path(root, folder), "relative to this file"),
        *values.keys,
        _size_line(sizes),
        *([("on_missing", "skip", "leaves out images without mask")] if pairs.left_out else []),
        *shares(given),
    ]
    return Draft(tuple(seen), _write(data))


def _values_of(root: Path, pairs: Sequence[Pair]) -> _Values:
    """What the values or colors of evenly spaced masks mean, as far as they show it."""
    read = _read(pairs[:: max(1, len(pairs) // NUM_MASKS)])
    if _have_one_class(read):
        read = _read(pairs)
    values = Counter(value for mask in read for value in mask.values)
    colors = Counter(color for mask in read for color in mask.colors)
    reasons = [f"{mask.path}: {mask.reason}." for mask in read if mask.reason]
    lossy = [mask.path for mask in read if mask.is_lossy]
    are_ids = all(mask.are_ids for mask in read if mask.values)
    if not values and not colors:
        raise InputError("\n".join([*reasons[:3], f"{root}: none of the masks can be read."]))
    if colors:
        return _of_colors(root, colors)
    numbers = sorted(values)
    if lossy and numbers == [0]:
        raise InputError(
            f"{lossy[0]}: masks with lossy compression (JPEG and the like) must be black and white. Received none "
            f"with a value from {MIDDLE} on: {SAVE_AS}."
        )
    if len(numbers) == 1 and numbers[0] in (0, WHITE):
        raise _nothing_to_learn(root, f"the value {numbers[0]}")
    highest = max((value for value in numbers if value != WHITE), default=0)
    if numbers == [0, WHITE]:
        both = ("background", "foreground")
        return _Values((("classes", both, "of the values 0 and 255; rename them"),), "masks: black and white")
    are_instances = are_ids and highest > 1 and len({values[value] for value in numbers if 0 < value < WHITE}) > 1
    if highest > MOST_VALUES or are_instances:
        key = ("foreground", "object", "every value but 0, as these seem to be ids of objects; else use classes")
        advice = "--task instance_segmentation finds each"
        return _Values((key,), f"masks: values 0 to {highest}, probably an id for each object: {advice}")
    names = tuple(f"class_{value}" for value in range(highest + 1))
    keys: list[Line] = [("classes", names, "of the values 0, 1, … in the masks; rename them")]
    if WHITE in numbers:
        keys.append(("ignore", WHITE, "the value of pixels that do not count"))
    return _Values(tuple(keys), f"masks: values {', '.join(map(str, numbers))}")


def _nothing_to_learn(root: Path, what: str) -> InputError:
    return InputError(
        f"{root}: the masks must have pixels of two classes or more. Received masks of {what} alone, from which "
        "nothing can be learned."
    )


@dataclass(frozen=True)
class _Mask:
    """What a mask holds: values or colors, or the reason why it cannot be read.

    Attributes:
        values: ascending; of one with lossy compression black and white.
    """

    path: Path
    values: tuple[int, ...] = ()
    colors: tuple[tuple[int, ...], ...] = ()
    is_lossy: bool = False
    reason: str = ""

    @property
    def are_ids(self) -> bool:
        """Whether the values are 0 and 1, 2, … without a gap, as ids of objects are."""
        inner = [value for value in self.values if value not in (0, WHITE)]
        return 0 in self.values and inner == list(range(1, len(inner) + 1))


def _read(pairs: Sequence[Pair]) -> list[_Mask]:
    """What masks hold, read in several threads."""

    def read(pair: Pair) -> _Mask:
        try:
            stored = read_stored(read_file(pair.mask), is_colored=False)
        except BadImage as reason:
            colors = tuple(_colors_of(pair))
            return _Mask(pair.mask, colors=colors, reason="" if colors else str(reason))
        values = np.where(stored.values >= MIDDLE, WHITE, 0) if stored.is_lossy else stored.values
        return _Mask(pair.mask, tuple(np.unique(values).tolist()), is_lossy=stored.is_lossy)

    return list(workers().map(read, pairs))


def _have_one_class(masks: Sequence[_Mask]) -> bool:
    values = {value for mask in masks for value in mask.values}
    colors = {color for mask in masks for color in mask.colors}
    return len(values) + len(colors) == 1


def _colors_of(pair: Pair) -> list[tuple[int, ...]]:
    """The colors of a mask; none if it has none, or so many that they are no classes."""
    try:
        stored = read_stored(read_file(pair.mask), is_colored=True)
    except BadImage:
        return []
    found = np.unique(stored.values.reshape(-1, 3), axis=0)
    return [] if stored.is_lossy else [tuple(color) for color in found[: MOST_COLORS + 1].tolist()]


def _of_colors(root: Path, colors: Counter[tuple[int, ...]]) -> _Values:
    if len(colors) > MOST_COLORS:
        raise InputError(
            f"{root}: the masks have more than {MOST_COLORS} colors, which are no classes. Save masks whose colors or "
            "values are classes, without lossy compression or smooth edges."
        )
    if len(colors) == 1:
        raise _nothing_to_learn(root, f"the color {list(next(iter(colors)))}")
    palette = {f"class_{number}": list(color) for number, color in enumerate(sorted(colors))}
    key = ("palette", palette, "the color of each class; rename them, and move those to ignore to data.ignore")
    return _Values((key,), f"masks: {len(colors)} colors")


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


def _write(data: Sequence[Line]) -> str:
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
