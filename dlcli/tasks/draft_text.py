"""Shared by the drafts of all tasks: columns recognized by their names, counts in words, and commented YAML lines."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.splits import SPLIT_NAMES, split_named
from dlcli.errors import InputError
from dlcli.recipe.language.errors import shortened
from dlcli.recipe.yaml_writer import to_yaml

Line = tuple[str, Any, str]
"""A key, its value and the comment after it."""

HEADING = "# Drafted by dlcli recipe init. All keys and their defaults: dlcli recipe show FILE"
LABEL = ("label", "class", "category", "sentiment", "target", "y")
SPLIT = ("split", "set", "subset", "partition")
GROUP = ("group", "patient", "patient_id", "subject", "speaker", "author", "scene")


@dataclass(frozen=True)
class Draft:
    """A recipe and what it was drafted from."""

    seen: tuple[str, ...]
    """A summary of the data, one line per item."""
    text: str
    """The recipe, with a comment after each key."""


def relative_path(path: Path, folder: Path) -> str:
    """The path of data as it stands in a recipe in ``folder``."""
    return os.path.relpath(os.path.realpath(path), os.path.realpath(folder))


def named(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """The column with the first of the names that occurs, in any case; None if none occurs."""
    by_name = {column.strip().lower(): column for column in columns}
    return next((by_name[name] for name in names if name in by_name), None)


def in_classes(counts: Counter[Any], noun: str) -> str:
    """``244 images in 2 classes: ants (123), bees (121)``, listing the first ten classes by name."""
    names = sorted(counts, key=str)
    listed = ", ".join(f"{shortened(str(name))} ({counts[name]:,})" for name in names[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    classes = "1 class" if len(names) == 1 else f"{len(names)} classes"
    return f"{counts.total():,} {noun} in {classes}: {listed}{more}"


def columns_of_splits(columns: Iterable[str]) -> list[Line]:
    """The recipe lines for the columns that name a row's split and its group, as far as the table has them."""
    columns = list(columns)
    split, group = named(columns, SPLIT), named(columns, GROUP)
    lines: list[Line] = []
    if split is not None:
        lines.append(("split", split, "the column that names the split: train, validation or test"))
    if group is not None:
        lines.append(("group", group, "rows with the same value stay in the same split"))
    return lines


def own_splits(table: Path, rows: Sequence[Mapping[str, str]]) -> set[str]:
    """The splits besides training that a table's split column names; none without such a column.

    Raises:
        InputError: the column holds other values.
    """
    column = named(rows[0], SPLIT) if rows else None
    if column is None:
        return set()
    values = {row[column] for row in rows}
    if unknown := [value for value in values if split_named(value) is None]:
        raise InputError(f"{table}: the column {column} must hold {SPLIT_NAMES}. Received '{shortened(min(unknown))}'.")
    return {split for value in values if (split := split_named(value)) is not None} - {"train"}


def shares(given: Collection[str]) -> list[Line]:
    """The recipe lines for the proportions to hold out of the training split.

    Args:
        given: the splits that the data have besides training.
    """
    lines: list[Line] = []
    if "validation" not in given:
        lines.append(("validation", 0.1, "proportion held out to monitor training"))
    if not given:
        lines.append(("test", 0.2, "proportion held out for the final evaluation"))
    return lines


def section(name: str, lines: Iterable[Line]) -> list[str]:
    """A section of a recipe, one key per line."""
    return [f"{name}:", *(f"  {line(*one)}" for one in lines)]


def line(key: str, value: Any, comment: str) -> str:
    """A key, its value and a comment, as a line of YAML."""
    if isinstance(value, dict):
        return f"{key}: {to_yaml(value, on_one_line=True).rstrip()}  # {comment}"
    return f"{to_yaml({key: value}).rstrip()}  # {comment}"
