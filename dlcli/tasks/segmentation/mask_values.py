"""What the values or colors of masks probably mean, for a drafted recipe. Needs no TensorFlow."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlcli.data.files import workers
from dlcli.data.images.decoding import BadImage, read_file
from dlcli.data.masks.coding import MIDDLE, WHITE
from dlcli.data.masks.pairs import Pair
from dlcli.data.masks.stored import SAVE_AS, read_stored
from dlcli.errors import InputError
from dlcli.tasks.draft_text import Line

NUM_MASKS = 1000  # masks that are read for their values; all of them if these show a single class
MOST_COLORS = 64  # more are no palette of classes
MOST_VALUES = 64  # more are no classes either, but ids of objects
FAR = 64  # from MIDDLE: values that compression leaves near black or white
MANY_GRAY = 0.05  # of the pixels of a mask, more than edges have


@dataclass(frozen=True)
class Values:
    """What the masks hold.

    Attributes:
        keys: the keys of the ``data`` section that say what it means.
        seen: the same in words.
        are_ids: whether the values are probably ids of objects, not classes.
    """

    keys: tuple[Line, ...]
    seen: str
    are_ids: bool = False


def values_of(root: Path, pairs: Sequence[Pair]) -> Values:
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
    if lossy and (gray := [mask.path for mask in read if mask.is_lossy and mask.is_gray]):
        raise InputError(
            f"{gray[0]}: masks with lossy compression (JPEG and the like) must be black and white. Received one with "
            f"other shades: {SAVE_AS}."
        )
    if len(numbers) == 1 and numbers[0] in (0, WHITE):
        raise _nothing_to_learn(root, f"the value {numbers[0]}")
    highest = max((value for value in numbers if value != WHITE), default=0)
    if numbers == [0, WHITE]:
        both = ("background", "foreground")
        return Values((("classes", both, "of the values 0 and 255; rename them"),), "masks: black and white")
    are_instances = are_ids and highest > 1 and len({values[value] for value in numbers if 0 < value < WHITE}) > 1
    if highest > MOST_VALUES or are_instances:
        key = ("foreground", "object", "every value but 0, as these seem to be ids of objects; else use classes")
        return Values((key,), f"masks: values 0 to {highest}, probably an id for each object", are_ids=True)
    names = tuple(f"class_{value}" for value in range(highest + 1))
    keys: list[Line] = [("classes", names, "of the values 0, 1, … in the masks; rename them")]
    if WHITE in numbers:
        keys.append(("ignore", WHITE, "the value of pixels that do not count"))
    return Values(tuple(keys), f"masks: values {', '.join(map(str, numbers))}")


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
        is_gray: whether many values of one with lossy compression are far from black and white.
    """

    path: Path
    values: tuple[int, ...] = ()
    colors: tuple[tuple[int, ...], ...] = ()
    is_lossy: bool = False
    is_gray: bool = False
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
        is_between = np.abs(stored.values.astype(np.int64) - MIDDLE) < FAR
        is_gray = stored.is_lossy and bool(is_between.mean() > MANY_GRAY)
        return _Mask(pair.mask, tuple(np.unique(values).tolist()), is_lossy=stored.is_lossy, is_gray=is_gray)

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


def _of_colors(root: Path, colors: Counter[tuple[int, ...]]) -> Values:
    if len(colors) > MOST_COLORS:
        raise InputError(
            f"{root}: the masks have more than {MOST_COLORS} colors, which are no classes. Save masks whose colors or "
            "values are classes, without lossy compression or smooth edges."
        )
    if len(colors) == 1:
        raise _nothing_to_learn(root, f"the color {list(next(iter(colors)))}")
    palette = {f"class_{number}": list(color) for number, color in enumerate(sorted(colors))}
    key = ("palette", palette, "the color of each class; rename them, and move those to ignore to data.ignore")
    return Values((key,), f"masks: {len(colors)} colors")
