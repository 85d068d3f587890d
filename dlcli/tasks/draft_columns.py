"""Columns of a table that may be labels or numbers to predict, as drafts of images and of texts recognize them."""

from collections.abc import Sequence

from dlcli.data.label_lists import listed
from dlcli.data.listing import name_some
from dlcli.data.splits import split_named
from dlcli.data.table import FLAGS, MISSING
from dlcli.errors import InputError
from dlcli.tasks.draft_table import DraftTable
from dlcli.tasks.draft_text import LABEL, SPLIT, named

LISTS = ("labels", "tags", "finding labels", "attributes", "genres", "categories", "topics", "keywords")
SEPARATORS = ("|", ";", ",", " ")


def list_column(table: DraftTable) -> tuple[str, str] | None:
    """The column of lists and their separator: one whose name says so, or the label if its cells have ``|``."""
    for name, separators in (
        (named(table.columns, LISTS), SEPARATORS),
        (named(table.columns, LABEL), SEPARATORS[:1]),
    ):
        for separator in separators if name is not None else ():
            assert name is not None
            if any(len(listed(row[name], separator)) > 1 for row in table.rows):
                return name, separator
    return None


def labels_of_train(table: DraftTable, column: str, separator: str) -> list[str]:
    """The labels of the rows of train, sorted.

    Raises:
        InputError: another split has others.
    """
    split = named(table.columns, SPLIT)
    by_split: dict[bool, set[str]] = {True: set(), False: set()}
    for row in table.rows:
        parts = listed(row[column], separator)
        by_split[split is None or split_named(row[split]) == "train"].update(parts)
    own = by_split[True]
    for line, row in zip(table.lines, table.rows, strict=True):
        unknown = [name for name in listed(row[column], separator) if name not in own]
        if unknown:
            raise InputError(
                f"{table.path}:{line}: a label must be in train too. Received {name_some(unknown)}: correct it, or "
                f"remove it. Labels: {name_some(sorted(own))}."
            )
    return sorted(own)


def flag_columns(table: DraftTable, sample: str) -> tuple[str, ...]:
    """The columns that hold 0 and 1 alone, or true and false, if there are several and no column of classes."""
    if named(table.columns, LABEL) is not None or len(table.rows) < 3:
        return ()
    found = []
    for column in table.columns:
        values = {row[column] for row in table.rows}.difference(MISSING)
        if column != sample and values and all(value.lower() in FLAGS for value in values):
            found.append(column)
    return tuple(found) if len(found) > 1 else ()


def have_decimals(numbers: Sequence[float]) -> bool:
    """Whether a number is not whole."""
    return any(number != int(number) for number in numbers)
