"""A table with a row for each time step, for forecasting: columns, times, gaps."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import printable
from dlcli.data.series.times import Errors, Moment, Row, Times, read_times
from dlcli.data.splits import DataWarning
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
from dlcli.files import read_text

MAX_BYTES = 2**30  # of a table
OnMissing = Literal["error", "keep"]


@dataclass(frozen=True)
class Table:
    """The rows of a table in the order of time.

    Attributes:
        times: each row's time as text.
        values: float32 ``[rows, features]``, the target first; NaN for a missing value.
        features: names of the columns.
        exact: the target in float64, if it is known.
        moments: of the rows, float64 ``[rows]``: seconds since 1970, or numbers; None if they are neither.
        are_dates: whether the moments are seconds since 1970.
        warnings: about the order of the times, and gaps in them.
    """

    times: tuple[str, ...]
    values: NDArray[np.float32]
    features: tuple[str, ...]
    warnings: tuple[DataWarning, ...] = ()
    exact: NDArray[np.float64] | None = None
    moments: NDArray[np.float64] | None = None
    are_dates: bool = False

    @property
    def target(self) -> NDArray[np.float64]:
        """The target, float64 ``[rows]``, with the digits of the file."""
        return self.values[:, 0].astype(np.float64) if self.exact is None else self.exact


def read_table(
    *,
    path: str | Path,
    time: Sequence[str],
    target: str,
    features: Sequence[str] | None,
    on_missing: OnMissing,
    time_format: str | None = None,
    day_first: bool | None = None,
) -> Table:
    """The numbers of a CSV file with a row for each time step.

    Args:
        time: names of the columns that together give the time: numbers, coarsest first, or a date. Rows in another
            order are sorted by it.
        target: name of the column to forecast.
        features: names of further columns as inputs of the forecast; None for all others of which every cell is a
            number or missing.
        on_missing: refuse missing values, or keep them: the network then replaces them by the mean, and metrics ignore
            them.
        time_format, day_first: as for :func:`dlcli.data.series.times.read_times`.

    Raises:
        InputError: the table is not as described; errors of rows are reported together.
    """
    table = Path(path)
    text = read_text(table, noun="table", max_bytes=MAX_BYTES, remedy="Give a CSV file with a row for each time step.")
    header = column_names(table, text)
    if features is None:
        features = [name for name in header if name not in (*time, target)]
        named = {f"time {i}": name for i, name in enumerate(time)} | {"target": target}
        found, _ = read_cells(table, text, named | {f"feature {name}": name for name in features}, required=())
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
                return f"column '{printable(name)}' must have a value. Fill it in, or set data.on_missing: keep."
        return None

    records, errors = read_cells(
        table, text, columns, required=[f"time {i}" for i in range(len(time))], error_of=error_of
    )
    written = [(line, [cells[f"time {i}"] for i in range(len(time))]) for line, _, cells in records]
    dated = read_times(written, time, source=str(table), time_format=time_format, day_first=day_first)
    errors += dated.errors
    order, note = list(range(len(written))), None
    if not errors:
        order, note = _in_order(dated, written, errors)
    refuse_errors(table, errors)
    if not records:
        raise InputError(f"{table}: there must be rows below the header. Received none.")
    records = [records[i] for i in order]
    moments = [dated.moments[i] for i in order]
    exact = np.array(
        [
            [math.nan if (cell := cells[f"feature {name}"]) in MISSING else float(cell) for name in names]
            for _, _, cells in records
        ],
        np.float64,
    )
    times = tuple(printable(" ".join(cells[f"time {i}"] for i in range(len(time)))) for _, _, cells in records)
    notes = () if note is None else (note,)
    of_rows = _as_numbers(moments)
    warnings = (*notes, *_gaps(of_rows, times))
    are_dates = dated.are_dates or len(time) > 1
    return Table(times, exact.astype(np.float32), tuple(names), warnings, exact[:, 0], of_rows, are_dates)


def _is_value(cell: str) -> bool:
    return cell in MISSING or is_usable(parse_number(cell))


def _in_order(found: Times, written: Sequence[Row], errors: Errors) -> tuple[list[int], DataWarning | None]:
    """The positions of the rows in the order of time, and a note if that is another; adds the times that repeat, or do
    not increase where they cannot be sorted, to the errors."""
    moments = found.moments
    order = sorted(range(len(moments)), key=moments.__getitem__) if found.can_be_sorted else list(range(len(moments)))
    for earlier, later in itertools.pairwise(order):
        (line_before, before), (line, now) = written[earlier], written[later]
        if moments[later] == moments[earlier] and found.can_be_sorted:
            remedy = "Remove one of the rows"
            if found.are_dates:
                remedy += ", or give times with their offset from UTC if clocks were set back"
            words = printable(" ".join(now))
            errors.append(
                (line, f"a time must occur once. Received {words} again, after line {line_before}. {remedy}.")
            )
        elif not moments[later] > moments[earlier]:
            words = f"{printable(' '.join(now))} after {printable(' '.join(before))}"
            hint = "" if all(isinstance(part, float) for part in moments[later]) else " Dates need data.time_format."
            errors.append((line, f"time must increase. Received {words}.{hint}"))
    if order == list(range(len(order))):
        return order, None
    how = "newest first" if order == list(range(len(order)))[::-1] else "not in the order of time"
    return order, DataWarning("times", f"the rows are {how}; they are sorted by time.")


def _gaps(moments: NDArray[np.float64] | None, times: Sequence[str]) -> list[DataWarning]:
    """A warning if the time has gaps, because a window of rows then spans more time than it seems to."""
    if moments is None or len(moments) < 3:
        return []
    steps = np.diff(moments)
    gaps = np.flatnonzero(steps > 1.5 * np.median(steps))
    if not len(gaps):
        return []
    noun = "gap," if len(gaps) == 1 else "gaps, the first"
    first = int(gaps[0])
    return [
        DataWarning(
            "times",
            f"the time has {len(gaps):,} {noun} between {times[first]} and {times[first + 1]}: windows extend across "
            "a gap as if there were none. Add a row for each missing step, without values.",
        )
    ]


def _as_numbers(moments: Sequence[Moment]) -> NDArray[np.float64] | None:
    """Times as numbers: single numbers unchanged; year, month, day, hour, minute in seconds since 1970; else None."""
    numbers = [_as_number(moment) for moment in moments]
    known = [number for number in numbers if number is not None]
    return np.array(known) if len(known) == len(numbers) else None


def _as_number(moment: Moment) -> float | None:
    if len(moment) == 1:
        return moment[0] if isinstance(moment[0], float) else None
    try:
        numbers = [int(part) for part in moment]
        year, month, day, *more = [*numbers, 1, 1][: max(3, len(numbers))]
        hour, minute = [*more, 0, 0][:2]
        return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
