"""Recognizes a table of images with numbers to predict, and drafts the ``data`` section for it."""

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
from dlcli.recipe.language.errors import shortened
from dlcli.tasks.draft_text import GROUP, LABEL, SPLIT, Line, columns_of_splits, named, relative_path

IMAGE = ("path", "file", "filename", "file_name", "image", "image_path", "image_name", "image_id", "img", "id")
NUM_TRIED = 5  # paths by which the folder and the suffix of the images are found
MAX_FOLDERS = 50  # beside the table in which they are looked for

Rows = Sequence[Mapping[str, str | None]]


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
    """Draft the ``data`` section for a table of images with columns of numbers.

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
    targets = _numbers(columns, rows, image)
    place = _place_of(table, [row[image] or "" for row in rows[:NUM_TRIED]]) if targets else None
    if place is None:
        return None
    root, suffix = place
    train = [
        row for row in rows if (split := named(columns, SPLIT)) is None or split_named(row[split] or "") == "train"
    ]
    source: list[Line] = [
        ("kind", "csv", "a row for each image"),
        ("path", path, "relative to this file"),
        ("image", image, "the column with the path of the image"),
    ]
    if root != table.parent:
        source.append(("images", relative_path(root, folder), "the folder that the paths are relative to"))
    if suffix:
        source.append(("suffix", suffix, "appended to each path"))
    source.append(("targets", targets, "the columns with the numbers to predict"))
    if any((row[name] or "").strip() in MISSING for row in train for name in targets):
        source.append(("on_missing", "skip", "what to do about rows without a number: leave them out, or error"))
    return TargetDraft(
        task=("task", "image_regression", "predicts a number or several for each image"),
        seen=f"train: {len(train):,} images; numbers: {', '.join(map(shortened, targets))}",
        source=(*source, *columns_of_splits(columns)),
        files=[path_named(root, (row[image] or "") + suffix) for row in train],
    )


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
