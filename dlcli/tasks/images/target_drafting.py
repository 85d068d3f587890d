"""Recognizes a table of images with numbers or labels to predict, and drafts the ``data`` section for it."""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.boxes.boxes import BOX_COLUMNS
from dlcli.data.files import list_folder
from dlcli.data.images.formats import IMAGE_SUFFIXES
from dlcli.data.junk import is_junk
from dlcli.data.paths import path_named
from dlcli.data.splits import split_named
from dlcli.data.table import MISSING, is_usable, parse_number
from dlcli.errors import InputError
from dlcli.files import open_input
from dlcli.recipe.language.errors import shortened
from dlcli.tasks.draft_text import GROUP, LABEL, SPLIT, Line, columns_of_splits, named, relative_path

IMAGE = ("path", "file", "filename", "file_name", "image", "image_path", "image_name", "image_id", "img", "id")
NUM_TRIED = 5  # paths by which the folder and the suffix of the images are found
MAX_BYTES = 2**26  # of a table that are read
MAX_FOLDERS = 50  # beside the table in which they are looked for

LISTS = ("labels", "tags", "finding labels", "attributes", "genres", "categories", "keywords")
SEPARATORS = ("|", ";", ",", " ")

Rows = Sequence[Mapping[str, str | None]]


def read_rows(table: Path) -> tuple[list[str], list[dict[str, str | None]]]:
    """The columns of a table that have names, and its rows; of a very large one, the first.

    Raises:
        InputError: it is not a readable table.
    """
    with open_input(table, "Give a table of images.") as opened:
        data = opened.read(MAX_BYTES)
    text = data.decode("utf-8-sig", "replace")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    try:
        rows: list[dict[str, str | None]] = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    except csv.Error:
        raise InputError(f"{table}: this is not valid CSV. Correct its quotes and line endings.") from None
    return [column for column in (rows[0] if rows else {}) if column], rows


@dataclass(frozen=True)
class TargetDraft:
    """What a table of images with targets suggests.

    Attributes:
        task: the ``task`` key with its comment.
        seen: a line that tells the user about the targets.
        source: the keys of the ``data`` section.
        files: the images of the training rows.
    """

    task: Line
    seen: str
    source: tuple[Line, ...]
    files: list[Path]


def draft_targets(table: Path, path: str, folder: Path, columns: Sequence[str], rows: Rows) -> TargetDraft | None:
    """Draft the ``data`` section for a table of images with columns of numbers, of flags, or with lists of labels.

    Args:
        path: of the table, relative to ``folder``, that of the recipe.
        columns: of the table.
        rows: its cells by column.

    Returns:
        None for a table of something else, such as of classes or boxes.
    """
    image = named(columns, IMAGE)
    if image is None or not rows or all(named(columns, (name,)) is not None for name in BOX_COLUMNS):
        return None
    split = named(columns, SPLIT)
    train = [row for row in rows if split is None or split_named(row[split] or "") == "train"]
    goal = _goal(columns, rows, train, image)
    place = None if goal is None else _place_of(table, [row[image] or "" for row in rows[:NUM_TRIED]])
    if goal is None or place is None:
        return None
    root, suffix = place
    source: list[Line] = [
        ("kind", "csv", "a row for each image"),
        ("path", path, "relative to this file"),
        ("image", image, "the column with the path of the image"),
    ]
    if root != table.parent:
        source.append(("images", relative_path(root, folder), "the folder that the paths are relative to"))
    if suffix:
        source.append(("suffix", suffix, "appended to each path"))
    return TargetDraft(
        task=goal.task,
        seen=f"train: {len(train):,} images; {goal.seen}",
        source=(*source, *goal.source, *columns_of_splits(columns)),
        files=[path_named(root, (row[image] or "") + suffix) for row in train],
    )


@dataclass(frozen=True)
class _Goal:
    """What is to be predicted: the ``task`` key, a few words on it, and its keys of the ``data`` section."""

    task: Line
    seen: str
    source: tuple[Line, ...]


def _goal(columns: Sequence[str], rows: Rows, train: Rows, image: str) -> _Goal | None:
    """Numbers or labels, as the columns suggest; None for neither."""
    separated = _list_column(columns, rows)
    numbers = () if separated is not None else _numbers(columns, rows, image)
    flags = () if separated is not None or numbers else _flags(columns, rows, image)
    is_missing = any((row[name] or "").strip() in MISSING for row in train for name in (*numbers, *flags))
    if numbers:
        source: list[Line] = [("targets", numbers, "the columns with the numbers to predict")]
        if is_missing:
            source.append(("on_missing", "skip", "what to do about rows without a number: leave them out, or error"))
        task = ("task", "image_regression", "predicts a number or several for each image")
        return _Goal(task, f"numbers: {_some(numbers)}", tuple(source))
    task = ("task", "multilabel", "predicts which of several labels apply to each image")
    if flags:
        source = [("labels", flags, "the columns that hold 1 where a label applies, and 0 where it does not")]
        if is_missing:
            source.append(("on_missing", "unknown", "what an empty cell means: unknown, or skip the row, or error"))
        return _Goal(task, f"{len(flags)} labels: {_some(flags)}", tuple(source))
    if separated is None:
        return None
    column, separator = separated
    names = sorted({name for row in train for name in _parts(row[column], separator)})
    lines: tuple[Line, ...] = (
        ("label", column, "the column that lists the labels of the image"),
        ("separator", separator, "what separates them"),
    )
    return _Goal(task, f"{len(names)} labels: {_some(names)}", lines)


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(shortened, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _list_column(columns: Sequence[str], rows: Rows) -> tuple[str, str] | None:
    """The column of lists and their separator: one whose name says so, or the label if its cells have ``|``."""
    column = named(columns, LISTS)
    label = named(columns, LABEL)
    for name, separators in ((column, SEPARATORS), (label, SEPARATORS[:1])):
        for separator in separators if name is not None else ():
            assert name is not None
            if sum(len(_parts(row[name], separator)) > 1 for row in rows):
                return name, separator
    return None


def _parts(cell: str | None, separator: str) -> list[str]:
    return [part.strip() for part in (cell or "").split(separator) if part.strip()]


def _flags(columns: Sequence[str], rows: Rows, image: str) -> tuple[str, ...]:
    """The columns that hold 0 and 1 alone, if there are several and no column of classes."""
    if named(columns, LABEL) is not None:
        return ()
    found = []
    for column in columns:
        values = None if column == image else _values(row[column] for row in rows)
        if values is not None and set(values) <= {0.0, 1.0} and len(rows) > 2:
            found.append(column)
    return tuple(found) if len(found) > 1 else ()


def _numbers(columns: Sequence[str], rows: Rows, image: str) -> tuple[str, ...]:
    """The columns to predict: the label, if it is a number with decimals; without a label, all columns of numbers that
    are neither flags nor identifiers."""
    label = named(columns, LABEL)
    if label is not None:
        numbers = _values(row[label] for row in rows)
        has_decimals = numbers is not None and any(number != int(number) for number in numbers)
        return (label,) if has_decimals else ()
    others = {image, named(columns, SPLIT), named(columns, GROUP)}
    found = []
    for column in columns:
        numbers = None if column in others else _values(row[column] for row in rows)
        is_name = column.strip().lower().endswith("id") or column.strip().lower() in ("index", "")
        if numbers is not None and not is_name and len(set(numbers)) > 2:
            found.append(column)
    return tuple(found)


def _values(cells: Iterable[str | None]) -> list[float] | None:
    """The numbers in a column, without missing ones; None if it has none, or holds anything else."""
    numbers = [parse_number(cell) for raw in cells if (cell := (raw or "").strip()) not in MISSING]
    known = [number for number in numbers if number is not None and is_usable(number)]
    return known if known and len(known) == len(numbers) else None


def _place_of(table: Path, names: Sequence[str]) -> tuple[Path, str] | None:
    """The folder and the suffix with which these names are images: the table's folder, or one in it."""
    own = table.parent
    folders = [own, *[path for path in list_folder(own)[0] if not is_junk(path.name)][:MAX_FOLDERS]]
    for folder in folders:
        for suffix in ("", *IMAGE_SUFFIXES):
            files = [path_named(folder, name + suffix) for name in names]
            if all(file.name.lower().endswith(IMAGE_SUFFIXES) and os.path.isfile(file) for file in files):
                return folder, suffix
    return None
