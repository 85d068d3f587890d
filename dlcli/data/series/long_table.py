"""Series in tables in long format: a row for each step of each series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np

from dlcli.data.decimals import Mark, cell_error, number_in, plain_number
from dlcli.data.files import printable
from dlcli.data.listing import NO_ALIASES, SplitKeys, name_some
from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.series.sequence import MAX_BYTES, Goal, Series, assemble_series
from dlcli.data.split_folders import files_by_split, rows_by_split
from dlcli.data.table import (
    MISSING,
    SUFFIXES,
    Cells,
    column_names,
    read_cells,
    refuse_errors,
    role_columns,
)
from dlcli.errors import InputError
from dlcli.files import read_text


def read_sequence_csv(
    *,
    path: str | Path,
    sequence: str,
    goal_column: str,
    time: str | None,
    features: tuple[str, ...] | None,
    split: str | None,
    group: str | None,
    goal: Goal,
    validation_path: str | Path | None = None,
    test_path: str | Path | None = None,
    names: Sequence[str] | None = None,
    decimal: Mark | None = None,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    num_features: int | None = None,
    exclude: Sequence[str] = (),
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """A table in long format: a row for each step, with the name of its sequence and the sequence's class or number.

    Args:
        sequence, goal_column, time, split, group: names of columns; steps are in the order of the rows, and ``time``
            must increase within a sequence.
        features: names of the columns of numbers. Default: all other columns.
        path: the table, or a folder with one for each split.
        validation_path, test_path: further tables. Without them, and without a column split, splits are drawn.
        names: of all columns of tables without a header.
        decimal: the decimal mark of numbers; None for a point, without groups of digits.

    Raises:
        InputError: the table is not as described; errors of rows are reported together.
    """
    files = files_by_split(Path(path), suffixes=SUFFIXES, validation_path=validation_path, test_path=test_path)
    columns = role_columns(sequence=sequence, goal=goal_column, time=time, split=split, group=group)
    if features is None:
        features = _other_columns(files["train"], columns, names)
    table = LongTable(columns, features, goal, names, decimal)
    samples = rows_by_split(files, lambda file: _series(file, table, is_named=len(files) > 1))
    return assemble_series(
        str(path),
        samples,
        goal=goal,
        classes=classes,
        aliases=aliases,
        num_features=num_features,
        has_groups=group is not None,
        features=features,
        exclude=exclude,
        common=common,
    )


@dataclass(frozen=True)
class LongTable:
    """The columns of a table in long format.

    Attributes:
        columns: the name of each role's column: sequence, goal, and, if there are any, time, split and group.
        features: the names of the columns of numbers.
        goal: what is predicted.
        names: of all columns of a table without a header; None if it has one.
        decimal: the decimal mark of numbers; None for a point, without groups of digits.
    """

    columns: Mapping[str, str]
    features: tuple[str, ...]
    goal: Goal
    names: Sequence[str] | None
    decimal: Mark | None


def _read(table: Path) -> str:
    return read_text(table, noun="table", max_bytes=MAX_BYTES, remedy="Give a CSV file with a row for each step.")


def _other_columns(table: Path, columns: Mapping[str, str], names: Sequence[str] | None) -> tuple[str, ...]:
    """The columns that have no role, which are the features."""
    found = tuple(name for name in column_names(table, _read(table), names) if name not in columns.values())
    if not found:
        raise InputError(f"{table}:1: there must be columns of numbers besides {name_some(list(columns.values()))}.")
    return found


def _series(file: Path, table: LongTable, *, is_named: bool) -> list[Series]:
    """The sequences of one table; with ``is_named`` they are named after it too."""
    columns, features, decimal = table.columns, table.features, table.decimal
    numbers = [role for role in ("goal", "time") if role in columns and (role != "goal" or table.goal == "value")]

    def error_of(cells: Cells) -> str | None:
        errors = (cell_error(columns[role], cells[role], decimal) for role in numbers if cells[role])
        return next((error for error in errors if error is not None), None) or feature_error(features, cells, decimal)

    records, errors = read_cells(
        file,
        _read(file),
        dict(columns) | {f"feature {name}": name for name in features},
        required=tuple(columns),
        error_of=error_of,
        names=table.names,
    )
    by_name: dict[str, list[tuple[int, str, Cells]]] = {}
    for line, own_split, cells in records:
        earlier = by_name.setdefault(cells["sequence"], [])
        if earlier:
            first_line, first_split, first = earlier[0]
            for role in ("goal", "group"):
                if role in cells and cells[role] != first[role]:
                    errors.append((line, f"a sequence must have one {columns[role]}. Line {first_line} has another."))
            if own_split != first_split:
                errors.append((line, f"a sequence must be in one split. Line {first_line} has another."))
            if "time" in columns and number_in(cells["time"], decimal) <= number_in(earlier[-1][2]["time"], decimal):
                must = f"column '{columns['time']}' must increase within a sequence."
                errors.append((line, f"{must} Sort the rows of '{cells['sequence']}'."))
        earlier.append((line, own_split, cells))
    refuse_errors(file, errors)
    samples: list[Series] = []
    for name, steps in by_name.items():
        values = np.array([step_of_row(features, cells, decimal) for _, _, cells in steps], np.float32)
        line, own_split, cells = steps[0]
        shown = printable(f"{file.name}:{name}" if is_named else name)
        label = cells["goal"]
        if table.goal == "value" and decimal is not None:
            label = plain_number(label, decimal) or label
        samples.append(Series(shown, own_split, label, values, cells.get("group", ""), line))
    return samples


def feature_error(features: Sequence[str], cells: Cells, decimal: Mark | None) -> str | None:
    """The first error in a row's features, or None."""
    errors = (cell_error(name, cell, decimal) for name in features if (cell := cells[f"feature {name}"]) not in MISSING)
    return next((error for error in errors if error is not None), None)


def step_of_row(features: Sequence[str], cells: Cells, decimal: Mark | None) -> list[float]:
    """A row's features, NaN for a missing value."""
    return [number_in(cells[f"feature {name}"], decimal) for name in features]
