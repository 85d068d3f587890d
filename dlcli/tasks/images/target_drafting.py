"""Recognizes a table of images with numbers or labels to predict, and drafts the ``data`` section for it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.boxes.boxes import BOX_COLUMNS
from dlcli.data.files import list_folder
from dlcli.data.images.formats import IMAGE_SUFFIXES
from dlcli.data.junk import is_junk
from dlcli.data.paths import path_named
from dlcli.data.splits import split_named
from dlcli.data.table import MISSING, flag_error, parse_number
from dlcli.errors import InputError
from dlcli.recipe.language.errors import shortened
from dlcli.tasks.draft_columns import flag_columns, have_decimals, labels_of_train, list_column
from dlcli.tasks.draft_table import DraftTable
from dlcli.tasks.draft_text import GROUP, LABEL, SPLIT, Line, columns_of_splits, named, relative_path

IMAGE = ("path", "file", "filename", "file_name", "image", "image_path", "image_name", "image_id", "img", "id")
NUM_TRIED = 5  # paths by which the folder and the suffix of the images are found
MAX_FOLDERS = 50  # beside the table in which they are looked for


@dataclass(frozen=True)
class TargetDraft:
    """What a table of images with targets suggests.

    Attributes:
        task: the ``task`` key with its comment.
        seen: lines that tell the user about the targets, and about columns that nearly were some.
        source: the keys of the ``data`` section.
        files: the images of the training rows.
    """

    task: Line
    seen: tuple[str, ...]
    source: tuple[Line, ...]
    files: list[Path]


def draft_targets(table: DraftTable, path: str, folder: Path) -> TargetDraft | None:
    """Draft the ``data`` section for a table of images with columns of numbers, of flags, or with lists of labels.

    Args:
        path: of the table, relative to ``folder``, that of the recipe.

    Returns:
        None for a table of something else, such as of classes or boxes.

    Raises:
        InputError: a few mistakes are all that keeps the columns from being targets.
    """
    image = named(table.columns, IMAGE)
    if image is None or not table.rows or all(named(table.columns, (name,)) is not None for name in BOX_COLUMNS):
        return None
    place = _place_of(table.path, [row[image] for row in table.rows[:NUM_TRIED]])
    if place is None:
        return None
    goal = _goal(table, image)
    if goal is None:
        if named(table.columns, LABEL) is None:
            _refuse(_mistakes(table, image))
        return None
    split = named(table.columns, SPLIT)
    train = [row for row in table.rows if split is None or split_named(row[split]) == "train"]
    root, suffix = place
    source: list[Line] = [
        ("kind", "csv", "a row for each image"),
        ("path", path, "relative to this file"),
        ("image", image, "the column with the path of the image"),
    ]
    if root != table.path.parent:
        source.append(("images", relative_path(root, folder), "the folder that the paths are relative to"))
    if suffix:
        source.append(("suffix", suffix, "appended to each path"))
    return TargetDraft(
        task=goal.task,
        seen=(f"train: {len(train):,} images; {goal.seen}", *goal.left_out),
        source=(*source, *goal.source, *columns_of_splits(table.columns)),
        files=[path_named(root, row[image] + suffix) for row in train],
    )


@dataclass(frozen=True)
class _Goal:
    """What is to be predicted: the ``task`` key, a few words on it, its keys of the ``data`` section, and lines on the
    columns that mistakes leave out."""

    task: Line
    seen: str
    source: tuple[Line, ...]
    left_out: tuple[str, ...] = ()


def _goal(table: DraftTable, image: str) -> _Goal | None:
    """Numbers or labels, as the columns suggest; None for neither."""
    separated = list_column(table)
    if separated is not None:
        return _of_lists(table, *separated)
    numbers, flags = _numbers(table, image), flag_columns(table, image)
    is_missing = any(row[name] in MISSING for row in table.rows for name in numbers or flags)
    if numbers:
        source: list[Line] = [("targets", numbers, "the columns with the numbers to predict")]
        if is_missing:
            source.append(("on_missing", "skip", "what to do about rows without a number: leave them out, or error"))
        task = ("task", "image_regression", "predicts a number or several for each image")
        left_out = () if named(table.columns, LABEL) in numbers else _describe_left_out(_mistakes(table, image))
        if flags:
            left_out = (*left_out, f"left out: the columns of 0 and 1, {_some(flags)}: task multilabel predicts those")
        return _Goal(task, f"numbers: {_some(numbers)}", tuple(source), left_out)
    if flags:
        source = [("labels", flags, "the columns that hold 1 where a label applies, and 0 where it does not")]
        if is_missing:
            source.append(("on_missing", "unknown", "what an empty cell means: unknown, or skip the row, or error"))
        task = ("task", "multilabel", "predicts which of several labels apply to each image")
        left_out = _describe_left_out(_mistakes(table, image))
        return _Goal(task, f"{len(flags)} labels: {_some(flags)}", tuple(source), left_out)
    return None


def _of_lists(table: DraftTable, column: str, separator: str) -> _Goal:
    names = labels_of_train(table, column, separator)
    lines: tuple[Line, ...] = (
        ("label", column, "the column that lists the labels of the image"),
        ("separator", separator, "what separates them"),
    )
    task = ("task", "multilabel", "predicts which of several labels apply to each image")
    return _Goal(task, f"{len(names)} labels: {_some(names)}", lines)


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(shortened, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _numbers(table: DraftTable, image: str) -> tuple[str, ...]:
    """The columns to predict: the label, if it is a number with decimals; without a label, all columns of numbers that
    are neither flags nor identifiers.

    Raises:
        InputError: a few cells of the label are not numbers.
    """
    label = named(table.columns, LABEL)
    if label is not None:
        numbers = table.numbers(label)
        if numbers is None:
            found = [parse_number(row[label]) for row in table.rows]
            if have_decimals([number for number in found if number is not None and number == number]):
                _refuse([mistake for mistake in [table.mistake(label)] if mistake is not None])
            return ()
        return (label,) if have_decimals(numbers) else ()
    return tuple(
        column
        for column in _candidates(table, image)
        if (numbers := table.numbers(column)) is not None and len(set(numbers)) > 2
    )


def _candidates(table: DraftTable, image: str) -> list[str]:
    """The columns that may be targets by their names."""
    others = {image, named(table.columns, SPLIT), named(table.columns, GROUP)}
    return [name for name in table.columns if name not in others and not _is_identifier(name)]


def _is_identifier(name: str) -> bool:
    return name.lower().endswith("id") or name.lower() == "index"


def _mistakes(table: DraftTable, image: str) -> list[str]:
    """The first mistake in each column whose cells are numbers, or 0 and 1, but for a few."""
    found = []
    for column in _candidates(table, image):
        mistake = table.mistake(column, flag_error) or table.mistake(column)
        if mistake is not None and table.numbers(column) is None:
            found.append(mistake)
    return found


def _describe_left_out(mistakes: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"left out: {mistake}" for mistake in mistakes)


def _refuse(mistakes: Sequence[str]) -> None:
    if mistakes:
        raise InputError("\n".join([*mistakes, "Correct the cells, or write the recipe by hand."]))


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
