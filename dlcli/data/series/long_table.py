"""Series in tables in long format: a row for each step of each series."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

import numpy as np

from dlcli.data.files import printable
from dlcli.data.listing import NO_ALIASES, SplitKeys, name_some
from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.series.sequence import MAX_BYTES, Goal, Series, assemble_series
from dlcli.data.table import MISSING, Cells, column_names, number_error, read_cells, refuse_errors, role_columns
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

    Raises:
        InputError: the table is not as described; errors of rows are reported together.
    """
    table = Path(path)
    remedy = "Give a CSV file with a row for each step."
    text = read_text(table, noun="table", max_bytes=MAX_BYTES, remedy=remedy)
    columns = role_columns(sequence=sequence, goal=goal_column, time=time, split=split, group=group)
    if features is None:
        features = tuple(name for name in column_names(table, text) if name not in columns.values())
        if not features:
            raise InputError(
                f"{table}:1: there must be columns of numbers besides {name_some(list(columns.values()))}."
            )

    numbers = [role for role in ("goal", "time") if role in columns and (role != "goal" or goal == "value")]

    def error_of(cells: Cells) -> str | None:
        errors = (number_error(columns[role], cells[role]) for role in numbers if cells[role])
        return next((error for error in errors if error is not None), None) or feature_error(features, cells)

    records, errors = read_cells(
        table,
        text,
        columns | {f"feature {name}": name for name in features},
        required=tuple(columns),
        error_of=error_of,
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
            if time is not None and float(cells["time"]) <= float(earlier[-1][2]["time"]):
                must = f"column '{time}' must increase within a sequence."
                errors.append((line, f"{must} Sort the rows of '{cells['sequence']}'."))
        earlier.append((line, own_split, cells))
    refuse_errors(table, errors)
    samples: list[Series] = []
    for name, steps in by_name.items():
        values = np.array([step_of_row(features, cells) for _, _, cells in steps], np.float32)
        line, own_split, cells = steps[0]
        samples.append(Series(printable(name), own_split, cells["goal"], values, cells.get("group", ""), line))
    return assemble_series(
        str(table),
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


def feature_error(features: Sequence[str], cells: Cells) -> str | None:
    """The first error in a row's features, or None."""
    errors = (number_error(name, cell) for name in features if (cell := cells[f"feature {name}"]) not in MISSING)
    return next((error for error in errors if error is not None), None)


def step_of_row(features: Sequence[str], cells: Cells) -> list[float]:
    """A row's features, NaN for a missing value."""
    return [math.nan if (cell := cells[f"feature {name}"]) in MISSING else float(cell) for name in features]
