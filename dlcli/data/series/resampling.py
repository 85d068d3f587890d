"""Series at irregular times on an even grid, and values in the place of missing ones."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import printable
from dlcli.data.series.row_order import Part
from dlcli.data.splits import DataWarning
from dlcli.errors import InputError

Gaps = Literal["mask", "carry", "interpolate"]
Rows = NDArray[np.float64]

INTERVAL = re.compile(r"([1-9]\d{0,5})(s|min|h|D|W)")
SECONDS = {"s": 1, "min": 60, "h": 3600, "D": 86_400, "W": 604_800}
MONDAY = 4 * 86_400  # the first after 1970 began
MAX_ROWS = 20_000_000


def seconds_of(interval: str) -> tuple[int, int]:
    """The length of an interval such as ``15min``, and the moment at which one begins, in seconds."""
    match = INTERVAL.fullmatch(interval)
    assert match is not None  # the schema has checked it
    return int(match[1]) * SECONDS[match[2]], MONDAY if match[2] == "W" else 0


def resampled(
    values: Rows, moments: Rows, parts: Sequence[Part], interval: str, *, source: str
) -> tuple[Rows, Rows, tuple[Part, ...]]:
    """The mean of the known values in each interval, from the first to the last of each series; NaN in empty ones.

    Args:
        values: ``[rows, columns]``, NaN where missing.
        moments: seconds since 1970 ``[rows]``, in increasing order within each series.
        interval: such as ``15min``; those of weeks begin on Mondays, all others count from 1970 in UTC.

    Returns:
        The same of the intervals, with the moments at which they begin.

    Raises:
        InputError: there are too many intervals.
    """
    length, origin = seconds_of(interval)
    bins = np.floor((moments - origin) / length).astype(np.int64)
    counts = [int(bins[part.end - 1] - bins[part.start]) + 1 for part in parts]
    if sum(counts) > MAX_ROWS:
        raise InputError(
            f"{source}: data.resample: {interval} must give at most {MAX_ROWS:,} rows. Received {sum(counts):,}: give "
            "a longer interval."
        )
    total, number = (np.zeros((sum(counts), values.shape[1])) for _ in range(2))
    starts, made, start = [], [], 0
    for part, count in zip(parts, counts, strict=True):
        rows = slice(part.start, part.end)
        first = bins[part.start]
        at = start + bins[rows] - first
        is_known = ~np.isnan(values[rows])
        np.add.at(total, at, np.where(is_known, values[rows], 0.0))
        np.add.at(number, at, is_known)
        starts.append((first + np.arange(count)) * length + origin)
        made.append(Part(part.name, start, start + count))
        start += count
    with np.errstate(invalid="ignore"):
        return total / number, np.concatenate(starts).astype(np.float64), tuple(made)


def refuse_empty(values: Rows, times: Sequence[str], parts: Sequence[Part], interval: str, *, source: str) -> None:
    """Refuses intervals without values.

    Raises:
        InputError: there are some; the first is named.
    """
    empty = np.flatnonzero(np.isnan(values).any(axis=1))
    if not len(empty):
        return
    part = next(part for part in parts if part.start <= empty[0] < part.end)
    where = f" in series {part.name}" if part.name else ""
    raise InputError(
        f"{source}: every interval of {interval} must have rows. Received none for {times[empty[0]]}{where}, and "
        f"{len(empty):,} such intervals in all. Set data.on_missing: keep, or give a longer data.resample."
    )


def time_texts(moments: Rows) -> tuple[str, ...]:
    """Moments in ISO 8601: days where all are whole days, else with the time of day."""
    dates = [datetime.fromtimestamp(moment, UTC) for moment in moments.tolist()]
    if not (moments % SECONDS["D"]).any():
        return tuple(date.date().isoformat() for date in dates)
    form = "%Y-%m-%dT%H:%M:%S" if (moments % SECONDS["min"]).any() else "%Y-%m-%dT%H:%M"
    return tuple(date.strftime(form) for date in dates)


def filled(values: Rows, parts: Sequence[Part], gaps: Gaps) -> tuple[Rows, NDArray[np.bool_]]:
    """Values with others in the place of missing ones, series by series; those before the first known one stay NaN.

    ``carry`` repeats the last known value; ``interpolate`` draws a line to the next one, and carries after the last.

    Args:
        values: ``[rows, columns]``, NaN where missing.

    Returns:
        The values, and the rows that were computed from later ones ``[rows]``: what is known at such a row depends on
        its future, so that no forecast may start there.
    """
    result, is_ahead = values.copy(), np.zeros(len(values), bool)
    if gaps == "mask":
        return result, is_ahead
    for part in parts:
        rows = np.arange(part.start, part.end)
        for column in range(values.shape[1]):
            of_part = values[rows, column]
            known = np.flatnonzero(~np.isnan(of_part))
            if not len(known) or len(known) == len(rows):
                continue
            missing = np.flatnonzero(np.isnan(of_part))
            missing = missing[missing > known[0]]
            if gaps == "interpolate":
                result[rows[missing], column] = np.interp(missing, known, of_part[known])
                is_ahead[rows[missing[missing < known[-1]]]] = True
            else:
                result[rows[missing], column] = of_part[known[np.searchsorted(known, missing) - 1]]
    return result, is_ahead


def notes_of_filled(exact: Rows, values: Rows, names: Sequence[str], gaps: Gaps) -> list[DataWarning]:
    """How many values of each column were filled in."""
    verb = {"carry": "carried on from the last known value", "interpolate": "interpolated", "mask": ""}[gaps]
    found = []
    for position in range(values.shape[1]):
        number = int((np.isnan(exact[:, position]) & ~np.isnan(values[:, position])).sum())
        if number:
            text = f"{printable(names[position])}: {number:,} missing values are {verb}; errors do not count them."
            found.append(DataWarning("times", text))
    return found
