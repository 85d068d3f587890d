"""What the values or colors in a mask file mean: the class of each pixel, or that it is ignored.

A mask is uint8 ``[height, width]``: the index of each pixel's class, or IGNORED, which counts neither in the loss nor
in measures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

IGNORED = 255
WHITE = 255
MIDDLE = 128  # from which value on a mask with lossy compression is white
MAX_CLASSES = 255  # indices 0 to 254
HIGHEST = 65535  # the largest value in a mask file, of 16 bits
NUM_LISTED = 8  # undeclared values named for each file
BACKGROUND = "background"

Mask = NDArray[np.uint8]  # [height, width]
Color = tuple[int, int, int]


@dataclass(frozen=True)
class Encoded:
    """A mask, and what is wrong with the values that it was made of.

    Attributes:
        mask: uint8 ``[height, width]``; undeclared values are IGNORED in it.
        undeclared: the first NUM_LISTED values or colors that have no meaning, as a recipe spells them.
        num_undeclared: the number of pixels with such values.
    """

    mask: Mask
    undeclared: tuple[str, ...] = ()
    num_undeclared: int = 0


class Coding(Protocol):
    """The meaning of the values in mask files."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, by their index."""
        ...

    @property
    def is_colored(self) -> bool:
        """Whether it is the color of a pixel that has a meaning, not its value."""
        ...

    @property
    def threshold(self) -> int | None:
        """From which value on a pixel of a file with lossy compression has the highest value; None: it has no meaning.

        Lossy compression changes values, which only two values far from each other survive.
        """
        ...

    def encode(self, stored: NDArray[Any]) -> Encoded:
        """The mask of stored values ``[height, width]``, or colors ``[height, width, 3]`` if it is colored."""
        ...


@dataclass(frozen=True)
class ValueCoding:
    """Each value in a file is a class: its index, or another number that is declared for it.

    Attributes:
        classes: names by index.
        values: the stored value of each class.
        ignore: values of pixels to ignore.
        rest: the class of all other values; None if they have no meaning.
    """

    classes: tuple[str, ...]
    values: tuple[int, ...]
    ignore: frozenset[int] = frozenset()
    rest: int | None = None

    is_colored = False

    def __post_init__(self) -> None:
        check_number(self.classes)
        if len(self.values) != len(self.classes):
            raise ValueError("each class must have one value.")
        for value in (*self.values, *self.ignore):
            if not 0 <= value <= HIGHEST:
                raise ValueError(f"values must be from 0 to {HIGHEST}. Received {value}.")

    @property
    def threshold(self) -> int | None:
        """The middle of the two values of a mask of two classes, one of which is 255 or all that is not 0."""
        return MIDDLE if self.rest is not None or self.values == (0, WHITE) else None

    def encode(self, stored: NDArray[Any]) -> Encoded:
        """See :meth:`Coding.encode`; ``stored`` holds whole numbers from 0 to HIGHEST."""
        table, is_declared = self._tables
        present = np.flatnonzero(np.bincount(stored.ravel()))
        undeclared = present[~is_declared[present]]
        listed = tuple(str(value) for value in undeclared[:NUM_LISTED])
        number = int(np.isin(stored, undeclared).sum()) if len(undeclared) else 0
        return Encoded(table[stored], listed, number)

    @cached_property
    def _tables(self) -> tuple[Mask, NDArray[np.bool_]]:
        """What each value becomes, and whether it has a meaning: ``[HIGHEST + 1]``."""
        table = np.full(HIGHEST + 1, IGNORED if self.rest is None else self.rest, np.uint8)
        is_declared = np.full(HIGHEST + 1, self.rest is not None)
        for index, value in enumerate(self.values):
            table[value], is_declared[value] = index, True
        for value in self.ignore:
            table[value], is_declared[value] = IGNORED, True
        return table, is_declared


@dataclass(frozen=True)
class ColorCoding:
    """Each color in a file is a class.

    Attributes:
        classes: names by index.
        palette: the color of each class, red, green and blue from 0 to 255.
        ignore: colors of pixels to ignore.
    """

    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    ignore: frozenset[Color] = frozenset()

    is_colored = True
    threshold = None

    def __post_init__(self) -> None:
        check_number(self.classes)
        if len(self.palette) != len(self.classes):
            raise ValueError("each class must have one color.")

    def encode(self, stored: NDArray[Any]) -> Encoded:
        """See :meth:`Coding.encode`."""
        meanings = [(_code(color), index) for index, color in enumerate(self.palette)]
        meanings += [(_code(color), IGNORED) for color in self.ignore]
        known = np.array(sorted(meanings), np.int64)
        codes = stored.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])  # [height, width]
        place = np.searchsorted(known[:, 0], codes).clip(0, len(known) - 1)
        is_known = known[place, 0] == codes
        mask = np.where(is_known, known[place, 1], IGNORED).astype(np.uint8)
        others = np.unique(codes[~is_known])[:NUM_LISTED]
        listed = tuple(f"[{code >> 16}, {code >> 8 & 255}, {code & 255}]" for code in others.tolist())
        return Encoded(mask, listed, int(np.count_nonzero(~is_known)))


def _code(color: Color) -> int:
    red, green, blue = color
    return red << 16 | green << 8 | blue


def check_number(classes: Sequence[str]) -> None:
    """Refuses more classes than a mask can hold.

    Raises:
        ValueError: there are too many, or one is repeated.
    """
    if not 1 <= len(classes) <= MAX_CLASSES:
        raise ValueError(f"there must be from 1 to {MAX_CLASSES} classes. Received {len(classes)}.")
    if len(set(classes)) < len(classes):
        raise ValueError("the names of classes must be different.")


# Making them ----------------------------------------------------------------------------------------------------------


def by_index(classes: Sequence[str], *, ignore: Sequence[int] = ()) -> ValueCoding:
    """The value of a pixel is the index of its class."""
    return ValueCoding(tuple(classes), tuple(range(len(classes))), frozenset(ignore))


def by_value(classes: Mapping[str, int], *, ignore: Sequence[int] = ()) -> ValueCoding:
    """Each class has a value of its own."""
    return ValueCoding(tuple(classes), tuple(classes.values()), frozenset(ignore))


def black_and_white(classes: Sequence[str], *, ignore: Sequence[int] = ()) -> ValueCoding:
    """The value is 0 for the first of two classes and 255 for the second."""
    return ValueCoding(tuple(classes), (0, WHITE), frozenset(ignore))


def foreground(name: str, *, ignore: Sequence[int] = ()) -> ValueCoding:
    """0 is the background, and any other value the foreground: an id for each instance, or 255."""
    return ValueCoding((BACKGROUND, name), (0, 1), frozenset(ignore), rest=1)


def by_color(palette: Mapping[str, Color], *, ignore: Sequence[Color] = ()) -> ColorCoding:
    """Each class has a color."""
    return ColorCoding(tuple(palette), tuple(palette.values()), frozenset(ignore))
