"""What drafts of all tasks share: columns known by their names, counts in words, and lines with a comment each."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.language.errors import shortened
from dlcli.recipe.yaml_writer import to_yaml

Line = tuple[str, Any, str]
"""A key, its value and the comment after it."""

HEADING = "# Drafted by dlcli recipe init. All keys and their defaults: dlcli recipe show FILE"
LABEL = ("label", "class", "category", "sentiment", "target", "y")
SPLIT = ("split", "set", "subset", "partition")
GROUP = ("group", "patient", "patient_id", "subject", "speaker", "author", "scene")
SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Draft:
    """A recipe and what it was drafted from."""

    seen: tuple[str, ...]
    """What is in the data, a line each."""
    text: str
    """The recipe, with a comment on each line."""


def named(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """The column that has the first of the names that there is, whatever its case."""
    by_name = {column.strip().lower(): column for column in columns}
    return next((by_name[name] for name in names if name in by_name), None)


def in_classes(counts: Counter[Any], noun: str) -> str:
    """``244 images in 2 classes: ants (123), bees (121)``, the first ten by name."""
    names = sorted(counts, key=str)
    listed = ", ".join(f"{shortened(str(name))} ({counts[name]:,})" for name in names[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    classes = "1 class" if len(names) == 1 else f"{len(names)} classes"
    return f"{counts.total():,} {noun} in {classes}: {listed}{more}"


def columns_of_splits(columns: Iterable[str]) -> list[Line]:
    """The keys of a table that say which split a row is in, and which rows stay together, where it has such columns."""
    columns = list(columns)
    split, group = named(columns, SPLIT), named(columns, GROUP)
    lines: list[Line] = []
    if split is not None:
        lines.append(("split", split, "the column that says train, validation or test"))
    if group is not None:
        lines.append(("group", group, "rows with the same value stay in one split"))
    return lines


def own_splits(table: Path, rows: Sequence[Mapping[str, str | None]]) -> set[str]:
    """The splits beside training that a column of a table names.

    Raises:
        InputError: the column says something else.
    """
    column = named(filter(None, rows[0]), SPLIT) if rows else None  # cells beyond the header have no name
    if column is None:
        return set()
    said = {row[column] or "" for row in rows}
    if strange := [value for value in said if value.strip().lower() not in SPLITS]:
        raise InputError(
            f"{table}: the column {column} must say train, validation (or val) or test. Received "
            f"'{shortened(min(strange))}'."
        )
    return {SPLITS[value.strip().lower()] for value in said} - {"train"}


def shares(own: Collection[str]) -> list[Line]:
    """What is to be held out of the training split, where the data have the splits ``own`` beside it."""
    lines: list[Line] = []
    if "validation" not in own:
        lines.append(("validation", 0.1, "proportion held out to follow training"))
    if not own:
        lines.append(("test", 0.2, "proportion held out for the final evaluation"))
    return lines


def section(name: str, lines: Iterable[Line]) -> list[str]:
    """A section of a recipe, a key a line."""
    return [f"{name}:", *(f"  {line(*one)}" for one in lines)]


def line(key: str, value: Any, comment: str) -> str:
    """A key, its value and a comment."""
    if isinstance(value, dict):
        inside = ", ".join(to_yaml({name: item}).strip() for name, item in value.items())
        return f"{key}: {{{inside}}}  # {comment}"
    return f"{to_yaml({key: value}).rstrip()}  # {comment}"
