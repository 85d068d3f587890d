"""The space of a sweep: for each key of a recipe a range of numbers, or some values."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

DIGITS = 4  # significant ones of the numbers that are drawn
MAX_FINITE = 100_000  # combinations up to which a space is drawn from without repetition

Scale = Literal["linear", "log", "whole"]
Values = dict[str, Any]
"""A value for each key."""


@dataclass(frozen=True)
class Interval:
    """A range of numbers.

    Attributes:
        low, high: the bounds, both included.
        scale: of which numbers are uniform: ``linear``, ``log``, or ``whole`` numbers.
    """

    low: float
    high: float
    scale: Scale

    def at(self, place: float) -> float:
        """The number at a place in [0, 1], with four significant digits."""
        if self.scale == "whole":
            return min(int(self.low + place * (self.high - self.low + 1)), int(self.high))
        if self.scale == "log":
            number = math.exp(math.log(self.low) + place * (math.log(self.high) - math.log(self.low)))
        else:
            number = self.low + place * (self.high - self.low)
        return self.rounded(number)

    def rounded(self, number: float) -> float:
        """A number of the interval with four significant digits, so that recipes can be read."""
        return min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high)

    def points(self, number: int) -> tuple[float, ...]:
        """``number`` evenly spaced numbers from ``low`` to ``high``, each once."""
        if self.scale == "whole":
            spaced = [round(value) for value in np.linspace(self.low, self.high, number).tolist()]
        else:
            spaced = [self.at(place) for place in np.linspace(0, 1, number).tolist()]
        return tuple(dict.fromkeys(spaced))


@dataclass(frozen=True)
class Options:
    """Values of any kind, of which each is as likely as the others."""

    values: tuple[Any, ...]


Axis = Interval | Options
Space = Mapping[str, Axis]


def combinations(space: Space) -> int | None:
    """The number of different combinations of values; None if it is not bounded."""
    sizes = [len(axis.values) for axis in space.values() if isinstance(axis, Options)]
    return math.prod(sizes) if len(sizes) == len(space) else None


def grid(space: Mapping[str, Options]) -> list[Values]:
    """All combinations of values; the last key varies fastest."""
    products = itertools.product(*(axis.values for axis in space.values()))
    return [dict(zip(space, values, strict=True)) for values in products]


def drawn(space: Space, random: np.random.Generator) -> Values:
    """A value of each key."""
    values: Values = {}
    for key, axis in space.items():
        place = float(random.random())
        values[key] = axis.at(place) if isinstance(axis, Interval) else axis.values[int(place * len(axis.values))]
    return values


class Draws:
    """Random values by their number; a space with few combinations is drawn from without repetition.

    Args:
        space: what to draw from.
        seed: the same seed and number give the same values.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        size = combinations(space)
        self._order: list[int] | None = None
        if size is not None and size <= MAX_FINITE:
            self._order = np.random.default_rng(seed).permutation(size).tolist()

    def draw(self, number: int) -> Values | None:
        """The values of a number from 0; None if there are no further combinations."""
        if self._order is None:
            return drawn(self._space, np.random.default_rng([self._seed, number]))
        if number >= len(self._order):
            return None
        place, values = self._order[number], {}
        for key, axis in reversed(list(self._space.items())):
            assert isinstance(axis, Options)
            place, index = divmod(place, len(axis.values))
            values[key] = axis.values[index]
        return {key: values[key] for key in self._space}
