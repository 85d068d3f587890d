"""What is predicted of the texts in a table or in JSON lines, by its columns: a class, labels or a number."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.table import MISSING
from dlcli.recipe.language.errors import shortened
from dlcli.tasks.draft_columns import LISTS, flag_columns, have_decimals, labels_of_train, list_column
from dlcli.tasks.draft_table import DraftTable
from dlcli.tasks.draft_text import GROUP, LABEL, SPLIT, Line, named

TEXT = ("text", "review", "sentence", "comment", "message", "content", "body", "tweet", "title")
OF_LABELS = "any number of labels for each text"
MANY_VALUES = 20  # numbers above which a column of whole numbers is not one of classes
NUM_READ = 10_000  # lines of JSON by which the keys are recognized


@dataclass(frozen=True)
class TextTargets:
    """What is predicted of texts: the task, its goal in words, the keys of ``data``, and a line on what was seen."""

    task: str
    goal: str
    source: tuple[Line, ...]
    seen: str


def text_targets(table: DraftTable, words: str, lists: Sequence[str] = ()) -> TextTargets | None:
    """Labels or a number for each text, as the columns suggest; None for neither.

    Args:
        words: the column of the texts.
        lists: columns that hold lists, in JSON.

    Raises:
        InputError: another split has labels that train lacks.
    """
    label = named(table.columns, LABEL)
    own = named(lists, (*LISTS, *LABEL)) or (lists[0] if lists else None)
    if own is not None:
        return TextTargets(
            "text_multilabel",
            "any number of labels for each text",
            (("label", own, "the key of the list of labels"),),
            "",
        )
    separated = list_column(table)
    if separated is not None and separated[0] != words and label in (None, separated[0]):
        column, separator = separated
        names = labels_of_train(table, column, separator)
        source: tuple[Line, ...] = (
            ("label", column, "the column that lists the labels of the text"),
            ("separator", separator, "what separates them"),
        )
        return _labels(names, source)
    flags = flag_columns(table, words)
    if flags:
        source = (("labels", flags, "the columns that hold 1 where a label applies, and 0 where it does not"),)
        if any(row[name] in MISSING for row in table.rows for name in flags):
            source += (("on_missing", "unknown", "what an empty cell means: unknown, or skip the row, or error"),)
        return _labels(flags, source)
    others = {words, named(table.columns, SPLIT), named(table.columns, GROUP)}
    candidates = [name for name in table.columns if name not in others and not name.lower().endswith("id")]
    numeric = [label] if label is not None else [name for name in candidates if table.numbers(name) is not None]
    return _number(table, numeric[0]) if len(numeric) == 1 else None


def _labels(names: Sequence[str], source: tuple[Line, ...]) -> TextTargets:
    shown = ", ".join(map(shortened, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return TextTargets("text_multilabel", OF_LABELS, source, f"{len(names)} labels: {shown}")


def _number(table: DraftTable, column: str) -> TextTargets | None:
    """A column of many numbers; None for one of classes."""
    numbers = table.numbers(column)
    if numbers is None or not (have_decimals(numbers) or len(set(numbers)) > MANY_VALUES):
        return None
    source: tuple[Line, ...] = (("target", column, "the column with the number to predict"),)
    if any(row[column] in MISSING for row in table.rows):
        source += (("on_missing", "skip", "what to do about texts without a number: leave them out, or error"),)
    seen = f"{len(numbers):,} numbers from {min(numbers):g} to {max(numbers):g}: {shortened(column)}"
    return TextTargets("text_regression", "a number for each text", source, seen)


def json_table(path: Path, text: str) -> tuple[DraftTable, list[str]]:
    """JSON lines as a table, and the keys that hold lists; lines that are not objects are left out.

    Args:
        text: the content of the file.
    """
    objects: list[tuple[int, dict[str, Any]]] = []
    for line, content in enumerate(text.split("\n")[:NUM_READ], start=1):
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            objects.append((line, found))
    columns = tuple(objects[0][1]) if objects else ()
    rows = tuple({name: _cell(found.get(name)) for name in columns} for _, found in objects)
    lists = [name for name in columns if all(isinstance(found.get(name), list) for _, found in objects)]
    return DraftTable(path, columns, rows, tuple(line for line, _ in objects)), lists


def _cell(value: Any) -> str:
    """A JSON value as a cell of a table."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
