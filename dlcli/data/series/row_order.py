"""The rows of a table in the order of time, series by series, and the gaps between them."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import printable
from dlcli.data.series.times import Errors, Moment, Row, Times
from dlcli.data.splits import DataWarning


@dataclass(frozen=True)
class Part:
    """The rows of one series: those from ``start`` up to ``end``, which is not one of them."""

    name: str
    start: int
    end: int


def in_order(
    found: Times,
    written: Sequence[Row],
    rows_of: Mapping[str, list[int]],
    errors: Errors,
    *,
    may_repeat: bool = False,
) -> tuple[list[int], list[DataWarning]]:
    """The positions of the rows, series by series in the order of time, and a note if the rows of a series have another
    order; adds the times that repeat, or do not increase where they cannot be sorted, to the errors.

    Args:
        may_repeat: whether several rows of a series may have the same time.
    """
    moments = found.moments
    order: list[int] = []
    kinds = set()
    for name in sorted(rows_of):
        rows = rows_of[name]
        ordered = sorted(rows, key=moments.__getitem__) if found.can_be_sorted else rows
        _check_order(found, written, ordered, errors, is_named=len(rows_of) > 1 or name != "", may_repeat=may_repeat)
        if ordered != rows:
            kinds.add("newest first" if ordered == rows[::-1] else "not in the order of time")
        order += ordered
    if not kinds:
        return order, []
    how = kinds.pop() if len(kinds) == 1 else "not in the order of time"
    return order, [DataWarning("times", f"the rows are {how}; they are sorted by time.")]


def _check_order(
    found: Times, written: Sequence[Row], order: Sequence[int], errors: Errors, *, is_named: bool, may_repeat: bool
) -> None:
    """Adds the times of one series that repeat, or do not increase, to the errors.

    Args:
        is_named: whether a column names the series.
        may_repeat: as for :func:`in_order`.
    """
    moments = found.moments
    for earlier, later in itertools.pairwise(order):
        (line_before, before), (line, now) = written[earlier], written[later]
        if moments[later] == moments[earlier] and may_repeat:
            continue
        if moments[later] == moments[earlier] and found.can_be_sorted:
            remedy = "Remove one of the rows"
            if found.are_dates:
                remedy += ", or give times with their offset from UTC if clocks were set back"
            if not is_named:
                remedy += ", or name the column of the series as data.series if there are several"
            words = printable(" ".join(now))
            must = "a time must occur once in a series" if is_named else "a time must occur once"
            errors.append((line, f"{must}. Received {words} again, after line {line_before}. {remedy}."))
        elif not moments[later] > moments[earlier]:
            words = f"{printable(' '.join(now))} after {printable(' '.join(before))}"
            hint = "" if all(isinstance(part, float) for part in moments[later]) else " Dates need data.time_format."
            errors.append((line, f"time must increase. Received {words}.{hint}"))


def gap_warnings(moments: NDArray[np.float64] | None, times: Sequence[str], parts: Sequence[Part]) -> list[DataWarning]:
    """A warning if the time has gaps, because a window of rows then spans more time than it seems to."""
    if moments is None:
        return []
    gaps: list[tuple[int, str]] = []  # the row before each, and the name of its series
    for part in parts:
        steps = np.diff(moments[part.start : part.end])
        if len(steps) > 1:
            gaps += [(part.start + int(gap), part.name) for gap in np.flatnonzero(steps > 1.5 * np.median(steps))]
    if not gaps:
        return []
    noun = "gap," if len(gaps) == 1 else "gaps, the first"
    first, name = gaps[0]
    series = f" in series {name}" if name else ""
    return [
        DataWarning(
            "times",
            f"the time has {len(gaps):,} {noun} between {times[first]} and {times[first + 1]}{series}: windows extend "
            "across a gap as if there were none. Add a row for each missing step, without values, or set "
            "data.resample.",
        )
    ]


def as_numbers(moments: Sequence[Moment]) -> NDArray[np.float64] | None:
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
