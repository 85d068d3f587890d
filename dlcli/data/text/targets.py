"""Texts with any number of labels each, or with a number each: the rows of a table, or the lines of a JSON file."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dlcli.data.annotations import Array, Items
from dlcli.data.decimals import Mark, cell_error, number_in
from dlcli.data.files import printable
from dlcli.data.label_lists import applied, labels_in, listed, refuse_between
from dlcli.data.listing import Listing, SplitKeys, list_rows, name_some, warn_of_unmatched, without_excluded
from dlcli.data.sequences.dataset import SequenceDataset, assemble_sequences
from dlcli.data.split_folders import files_by_split, rows_by_split
from dlcli.data.splits import LeftOut
from dlcli.data.table import (
    FLAGS,
    MISSING,
    SUFFIXES,
    flag_error,
    missing_error,
    read_cells,
    refuse_errors,
    role_columns,
)
from dlcli.data.text.files import plain_spaces, read_content
from dlcli.data.text.json_lines import JSON_LINES, BadLine, read_json_lines, split_of, value_of
from dlcli.errors import InputError

OnMissing = Literal["error", "skip", "unknown"]
EXAMPLE = '{"text": …, "labels": […]}'
NUM_NAMED = 10  # errors that are reported; the rest are counted

Read = Callable[[str, Any], Any]
"""Makes the value of a cell or of a JSON key, given with its name: None if it is missing; raises BadLine."""


@dataclass(frozen=True)
class TargetFiles:
    """Tables or JSON lines of texts: their files, and their columns, which are keys of JSON objects.

    Attributes:
        path: the file, or a folder with one for each split.
        is_json: whether they have a JSON object on each line.
        text, split, group: names of columns.
        columns: the names of all columns of tables without a header.
        validation_path, test_path: further files.
        exclude: patterns of the names of rows to leave out.
    """

    path: Path
    is_json: bool
    text: str
    split: str | None
    group: str | None
    encoding: str
    columns: Sequence[str] | None
    validation_path: str | None
    test_path: str | None
    exclude: Sequence[str]


@dataclass(frozen=True)
class TargetRow:
    """A text with the values of its further columns; ``place`` is its file and line, for messages."""

    line: int
    name: str
    place: str
    text: str
    split: str
    group: str
    values: tuple[Any, ...]
    label: str = ""


def read_text_labels(
    files: TargetFiles,
    *,
    labels: tuple[str, ...] | None,
    label: str | None,
    separator: str | None,
    on_missing: OnMissing,
    classes: tuple[str, ...] | None = None,
    common: SplitKeys,
) -> SequenceDataset:
    """Texts with the labels that apply to each.

    Args:
        labels: names of the columns of the labels, in the order of the outputs; None for lists in one column.
        label, separator: the name of that column, and what separates the labels in a cell; in JSON it is a list.
        on_missing: what to do about texts that lack one of the values in columns of labels.
        classes: the labels of a trained model.

    Raises:
        InputError: the data are not as described, a label is in no row of train, or a cell is neither 0 nor 1.
    """
    source = str(files.path)
    if labels is not None:
        rows, left_out = _texts(files, labels, _flag, on_missing)
        if classes is not None and set(labels) != set(classes):
            raise InputError(
                f"{source}: the columns of labels must be those of the trained model, {name_some(classes)}. Received "
                f"{name_some(labels)}."
            )
        order = [labels.index(name) for name in classes or labels]
        values = {row.name: [row.values[i] for i in order] for row in rows}
        names = classes or labels
    else:
        assert label is not None
        rows, left_out = _texts(files, (label,), _names_separated_by(separator), None)
        lists = [row.values[0] for row in rows]
        names, errors = labels_in(lists, [row.split for row in rows], source=source, samples="a text", trained=classes)
        _refuse([(rows[position].place, text) for position, text in errors])
        values = dict(zip((row.name for row in rows), applied(lists, names), strict=True))
    refuse_between(names, source=source)
    return _assemble(files, rows, "applies", values, names, left_out, common)


def read_text_numbers(
    files: TargetFiles, *, target: str, on_missing: OnMissing, decimal: Mark | None = None, common: SplitKeys
) -> SequenceDataset:
    """Texts with a number each, float64.

    Args:
        target: the name of the column of numbers.
        decimal: the decimal mark of numbers in tables; None for a point, without groups of digits.
        on_missing: what to do about texts without one.

    Raises:
        InputError: the data are not as described, or a number is missing or too large.
    """
    rows, left_out = _texts(files, (target,), _number_with(decimal), on_missing)
    return _assemble(files, rows, "targets", {row.name: row.values[0] for row in rows}, ("",), left_out, common)


# Reading rows ---------------------------------------------------------------------------------------------------------


def _texts(
    files: TargetFiles, names: tuple[str, ...], read: Read, on_missing: OnMissing | None
) -> tuple[list[TargetRow], list[LeftOut]]:
    """The rows with a text and its values, and those that are left out.

    Args:
        names: of the columns of values.
        on_missing: None if none can be missing.

    Raises:
        InputError: rows are not as described; the errors of a file are reported together.
    """

    def checked(name: str, cell: Any) -> Any:
        value = read(name, cell)
        if value is None and on_missing == "error":
            raise BadLine(missing_error(name, may_be_unknown=read is _flag))
        return value

    source = str(files.path)
    suffixes = JSON_LINES if files.is_json else SUFFIXES
    paths = files_by_split(
        files.path, suffixes=suffixes, validation_path=files.validation_path, test_path=files.test_path
    )
    read_rows = _json_rows if files.is_json else _table_rows
    found = rows_by_split(paths, lambda file: read_rows(file, files, names, checked))
    rows, left_out = without_excluded(found, files.exclude, source=source)
    kept = []
    for row in rows:
        missing = [name for name, value in zip(names, row.values, strict=True) if value is None]
        if not row.text:
            left_out.append(LeftOut(row.name, "an empty text"))
        elif missing and on_missing == "skip":
            left_out.append(LeftOut(row.name, f"no value in column '{printable(missing[0])}'", "incomplete"))
        else:
            kept.append(replace(row, values=tuple(math.nan if value is None else value for value in row.values)))
    return kept, left_out


def _table_rows(file: Path, files: TargetFiles, names: Sequence[str], read: Read) -> list[TargetRow]:
    roles = role_columns(text=files.text, split=files.split, group=files.group)

    def error_of(cells: Mapping[str, str]) -> str | None:
        try:
            for name in names:
                read(name, cells[f"more {name}"])
        except BadLine as reason:
            return str(reason)
        return None

    records, errors = read_cells(
        file,
        read_content(file, "table", files.encoding),
        roles | {f"more {name}": name for name in names},  # which may be named like a role
        required=[role for role in roles if role != "text"],
        error_of=error_of,
        names=files.columns,
    )
    refuse_errors(file, errors)
    return [
        TargetRow(
            line=line,
            name=f"{file.name}:{line}",
            place=f"{file}:{line}",
            text=plain_spaces(cells["text"]),
            split=split,
            group=cells.get("group", ""),
            values=tuple(read(name, cells[f"more {name}"]) for name in names),
        )
        for line, split, cells in records
    ]


def _json_rows(file: Path, files: TargetFiles, names: Sequence[str], read: Read) -> list[TargetRow]:
    def row(line: int, values: dict[str, Any]) -> TargetRow:
        for name in names:
            if name not in values:
                received = name_some([printable(key) for key in values]) or "none"
                raise BadLine(f"there must be '{name}'. Received {received}.")
        return TargetRow(
            line=line,
            name=f"{file.name}:{line}",
            place=f"{file}:{line}",
            text=plain_spaces(value_of(values, files.text, str)).strip(),
            split="train" if files.split is None else split_of(values, files.split),
            group="" if files.group is None else str(value_of(values, files.group, str | int)),
            values=tuple(read(name, values[name]) for name in names),
        )

    return read_json_lines(file, files.encoding, EXAMPLE, row)


# Values of cells ------------------------------------------------------------------------------------------------------


def _flag(name: str, cell: Any) -> float | None:
    """1 where a label applies, 0 where it does not; a JSON value may be true or false."""
    text = _as_cell(cell)
    if text in MISSING:
        return None
    if (error := flag_error(name, text)) is not None:
        raise BadLine(error)
    return FLAGS[text.lower()]


def _number_with(decimal: Mark | None) -> Read:
    """Reads numbers with a decimal mark; those of JSON have a point."""

    def number(name: str, cell: Any) -> float | None:
        text, mark = _as_cell(cell), decimal if isinstance(cell, str) else None
        if text in MISSING:
            return None
        if (error := cell_error(name, text, mark)) is not None:
            raise BadLine(error)
        return number_in(text, mark)

    return number


def _as_cell(value: Any) -> str:
    """A JSON value as a cell of a table would have it; a cell as it is."""
    return value if isinstance(value, str) else json.dumps(value)


def _names_separated_by(separator: str | None) -> Read:
    def names(name: str, cell: Any) -> tuple[str, ...]:
        if isinstance(cell, str) and separator is not None:
            return tuple(listed(cell, separator))
        if not isinstance(cell, list) or not all(isinstance(one, str | int) and type(one) is not bool for one in cell):
            raise BadLine(
                f'\'{printable(name)}\' must be a list of labels, such as ["a", "b"]. Received {json.dumps(cell)[:50]}.'
            )
        return tuple(text for one in cell if (text := str(one).strip()))

    return names


# The data set ---------------------------------------------------------------------------------------------------------


def _assemble(
    files: TargetFiles,
    rows: Sequence[TargetRow],
    entry: str,
    values: Mapping[str, Any],
    names: tuple[str, ...],
    left_out: Sequence[LeftOut],
    common: SplitKeys,
) -> SequenceDataset:
    """The data set of rows.

    Args:
        entry: the name of the annotation of the values.
        values: of each row, by its name.
        names: of the outputs.
    """

    def complete(listing: Listing, part: Sequence[TargetRow]) -> Listing:
        of_part = np.array([values[row.name] for row in part], np.float64)
        return replace(listing, annotations={"texts": Items(tuple(row.text for row in part)), entry: Array(of_part)})

    source = str(files.path)
    _, listings = list_rows(
        rows,
        source=source,
        rule="there must be texts to train on.",
        has_groups=files.group is not None,
        complete=complete,
        has_classes=False,
    )
    return assemble_sequences(
        listings,
        names,
        source=source,
        left_out=left_out,
        warnings=warn_of_unmatched(files.exclude, left_out),
        common=common,
    )


def _refuse(errors: Sequence[tuple[str, str]]) -> None:
    """Refuses rows that have errors, given with their places; the first `NUM_NAMED` are reported.

    Raises:
        InputError: there are errors.
    """
    if errors:
        rest = [f"… and {len(errors) - NUM_NAMED} more rows"] if len(errors) > NUM_NAMED else []
        raise InputError("\n".join([*(f"{place}: {text}" for place, text in errors[:NUM_NAMED]), *rest]))
