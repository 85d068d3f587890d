"""Comparison of tables and metrics of a result with those of its reproduction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.recipe.language.errors import shortened
from dlcli.recipe.language.wording import listed

TIMES = ("seconds",)
"""Columns that differ from run to run."""
NOISY = ("gradient_norm", "weights")
"""Columns that rounding changes most, and digests: they must be equal bit for bit or may differ."""
SCALE = 0.01  # differences of smaller numbers are relative to this


@dataclass(frozen=True)
class Place:
    """A cell that differs.

    Attributes:
        row: what identifies its row, such as ``epoch 3``; empty for a list of named values.
        column: its name; empty if the whole row is new or missing.
        old, new: its content; None where a table ends before.
    """

    row: str
    column: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.column == "":
            return f"{self.row} is {'missing from' if self.new is None else 'only in'} the reproduction"
        place = f"{self.row}, column {self.column}" if self.row else self.column
        old, new = ("missing" if text is None else text for text in (self.old, self.new))
        return f"{place}: was {old} and is {new}"


@dataclass(frozen=True)
class Compared:
    """How two tables compare.

    Attributes:
        first: the first cell that differs; None if all are equal.
        beyond: the first cell that differs by more than the tolerance, or is not a number.
        largest: the largest relative difference of two numbers.
        num_rows: rows that were compared.
    """

    first: Place | None
    beyond: Place | None
    largest: float
    num_rows: int

    @property
    def is_equal(self) -> bool:
        return self.first is None

    @property
    def is_close(self) -> bool:
        return self.beyond is None


def compare_tables(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], *, key: str, tolerance: float
) -> Compared:
    """Compare the rows of two tables, in their order.

    Args:
        key: the column that names a row in messages; empty if each table is one row of named values.
        tolerance: the largest relative difference of two numbers that is close.
    """
    first = beyond = None
    largest = 0.0
    for number, (before, after) in enumerate(zip(old, new, strict=False)):
        name = f"{key} {_text(before.get(key, number + 1))}" if key else ""
        for column in [*before, *(column for column in after if column not in before)]:
            was, becomes = before.get(column), after.get(column)
            if column in TIMES or was == becomes:
                continue
            place = Place(name, column, _text(was), _text(becomes))
            first = first or place
            if column in NOISY:
                continue
            difference = relative_difference(was, becomes)
            largest = max(largest, difference)
            if difference > tolerance:
                beyond = beyond or place
    if len(old) != len(new):
        longer, common = max(old, new, key=len), min(len(old), len(new))
        name = f"{key} {_text(longer[common].get(key, common + 1))}"
        place = Place(name, "", *(("", None) if len(old) > len(new) else (None, "")))
        first, beyond = first or place, beyond or place
    return Compared(first, beyond, largest, min(len(old), len(new)))


def verdict_of(parts: Sequence[tuple[str, Compared]]) -> dict[str, Any]:
    """What the comparisons of several files say together.

    Args:
        parts: the name of each file, and how it compares.

    Returns:
        ``verdict`` (exact, close, different), ``reproduced``, ``compared`` (in words), ``first`` and ``beyond`` (the
        first difference, and the first beyond the tolerance) and ``largest``.
    """

    def first(places: list[tuple[str, Place | None]]) -> str | None:
        return next((f"{name}, {place}" for name, place in places if place is not None), None)

    is_exact, is_close = all(part.is_equal for _, part in parts), all(part.is_close for _, part in parts)
    return {
        "reproduced": is_close,
        "verdict": "exact" if is_exact else "close" if is_close else "different",
        "compared": listed([f"{name}{_counted(name, part.num_rows)}" for name, part in parts], "and"),
        "first": first([(name, part.first) for name, part in parts]),
        "beyond": first([(name, part.beyond) for name, part in parts]),
        "largest": max(part.largest for _, part in parts),
    }


def _counted(name: str, number: int) -> str:
    row = next((row for ending, row in ((".csv", "row"), (".jsonl", "trial")) if name.endswith(ending)), None)
    return "" if row is None else f" ({number:,} {row}{'' if number == 1 else 's'})"


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values by dotted keys, such as ``chosen.search.values.0``."""
    cells: dict[str, Any] = {}

    def add(key: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                add(f"{key}.{name}" if key else name, inner)
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                add(f"{key}.{number}", inner)
        else:
            cells[key] = value

    add("", values)
    return cells


def relative_difference(old: Any, new: Any) -> float:
    """The difference of two numbers, or of the numbers that two texts are, relative to the larger one.

    Infinity if one is not a number. Differences of numbers below 0.01 are relative to 0.01.
    """
    if old == new:
        return 0.0
    try:
        one, other = float(old), float(new)
    except (TypeError, ValueError):
        return math.inf
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.inf
    return abs(one - other) / max(abs(one), abs(other), SCALE)


def _text(value: Any) -> str | None:
    return None if value is None else shortened(str(value))
