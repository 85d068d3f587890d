"""A table with one row for each time step, for forecasting: columns, times, gaps."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import printable, read_text
from dlcli.data.table import (
    MISSING,
    Cells,
    column_names,
    is_usable,
    number_error,
    parse_number,
    read_cells,
    refuse_errors,
)
from dlcli.errors import InputError

MAX_BYTES = 2**30  # of a table


OnMissing = Literal["error", "keep"]


@dataclass(frozen=True)
class Table:
    """The rows of a table in the order of time.

    Attributes:
        times: what each row's time is called.
        values: float32 ``[rows, features]``, the target first; NaN where one is missing.
        features: names of the columns.
        warnings: what the user should know of the times.
    """

    times: tuple[str, ...]
    values: NDArray[np.float32]
    features: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def read_table(
    *, path: str | Path, time: Sequence[str], target: str, features: Sequence[str] | None, on_missing: OnMissing
) -> Table:
    """The numbers of a CSV file with a row for each step of time.

    Args:
        time: names of the columns that together say when, each a number or text that sorts; they must rise.
        target: name of the column to forecast.
        features: names of further columns that the forecast may use; None for all others of which every cell is a
            number or missing.
        on_missing: refuse missing values, or keep them: the network then takes the mean for them, and no forecast is
            measured by them.

    Raises:
        InputError: the table is not as described; errors of rows are reported together.
    """
    table = Path(path)
    text = read_text(
        table, noun="table", max_bytes=MAX_BYTES, remedy="Give a CSV file with a row for each step of time."
    )
    header = column_names(table, text)
    if features is None:
        features = [name for name in header if name not in (*time, target)]
        wanted = {f"time {i}": name for i, name in enumerate(time)} | {"target": target}
        found, _ = read_cells(table, text, wanted | {f"feature {name}": name for name in features}, required=())
        features = [name for name in features if all(_is_value(cells[f"feature {name}"]) for _, _, cells in found)]
    columns = {f"time {i}": name for i, name in enumerate(time)}
    names = [target, *(name for name in features if name != target)]
    columns |= {f"feature {name}": name for name in names}

    def error_of(cells: Cells) -> str | None:
        for name in names:
            cell = cells[f"feature {name}"]
            if cell not in MISSING and (error := number_error(name, cell)) is not None:
                return error
            if cell in MISSING and on_missing == "error":
                must = "set data.on_missing: keep, or fill it in"
                return f"column '{printable(name)}' has no value; {must}."
        return None

    records, errors = read_cells(
        table, text, columns, required=[f"time {i}" for i in range(len(time))], error_of=error_of
    )
    said = [(line, [cells[f"time {i}"] for i in range(len(time))]) for line, _, cells in records]
    moments = [_moment(cells) for _, cells in said]
    of_numbers = [isinstance(part, float) for part in moments[0]] if moments else []
    for (line, cells), moment in zip(said, moments, strict=True):
        if [isinstance(part, float) for part in moment] != of_numbers or math.inf in moment:
            words = printable(" ".join(cells)[:50])
            errors.append((line, f"time must be numbers in every row or in none. Received '{words}'."))
    if not errors:
        for (before, earlier), (now, later) in itertools.pairwise(zip(said, moments, strict=True)):
            if not later > earlier:
                words = f"{printable(' '.join(now[1]))} comes after {printable(' '.join(before[1]))}"
                errors.append((now[0], f"time must rise: {words}."))
    refuse_errors(table, errors)
    if not records:
        raise InputError(f"{table}: there must be rows below the header. Received none.")
    values = np.array(
        [
            [math.nan if (cell := cells[f"feature {name}"]) in MISSING else float(cell) for name in names]
            for _, _, cells in records
        ],
        np.float32,
    )
    times = tuple(printable(" ".join(cells[f"time {i}"] for i in range(len(time)))) for _, _, cells in records)
    return Table(times, values, tuple(names), tuple(_gaps(moments, times)))


def _is_value(cell: str) -> bool:
    return cell in MISSING or is_usable(parse_number(cell))


def _moment(cells: Sequence[str]) -> tuple[Any, ...]:
    numbers = [parse_number(cell) for cell in cells]
    return tuple(
        cell if number is None or math.isnan(number) else number for cell, number in zip(cells, numbers, strict=True)
    )


def _gaps(moments: Sequence[tuple[Any, ...]], times: Sequence[str]) -> list[str]:
    """Where time leaps, in words: a window of rows then spans more than it seems to."""
    seconds = [_on_a_line(moment) for moment in moments]
    known = [value for value in seconds if value is not None]
    if len(known) < len(seconds) or len(known) < 3:
        return []
    steps = np.diff(np.array(known))
    leaps = np.flatnonzero(steps > 1.5 * np.median(steps))
    if not len(leaps):
        return []
    noun = "row is" if len(leaps) == 1 else "rows are"
    first = int(leaps[0])
    return [
        f"{len(leaps):,} {noun} further from the one before than rows are usually, first {times[first + 1]} after "
        f"{times[first]}: windows go over the gap as if there were none. Give a row for each step, without values."
    ]


def _on_a_line(moment: tuple[Any, ...]) -> float | None:
    """A time as one number: a number as it is; a date, or year, month, day and hour, in hours; else None."""
    if len(moment) == 1 and isinstance(moment[0], float):
        return moment[0]
    try:
        if len(moment) == 1:
            return datetime.fromisoformat(moment[0]).replace(tzinfo=UTC).timestamp() / 3600
        numbers = [int(part) for part in moment]
        year, month, day, *more = [*numbers, 1, 1][: max(3, len(numbers))]
        hour, minute = [*more, 0, 0][:2]
        return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp() / 3600
    except (ValueError, TypeError, OverflowError):
        return None
