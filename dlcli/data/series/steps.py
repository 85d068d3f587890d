"""The distance in time between the rows of a table, and in words."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dlcli.data.series.row_order import Part

TOLERANCE = 0.2  # of the median distance, within which half of the distances must be
UNITS = {"week": 604_800, "day": 86_400, "hour": 3600, "minute": 60, "second": 1}
DAY = UNITS["day"]
CALENDAR = (("year", 365 * DAY, 366 * DAY, 1), ("months", 89 * DAY, 92 * DAY, 3), ("month", 28 * DAY, 31 * DAY, 1))
"""Periods of the calendar, the shortest and the longest of them in seconds, and their number."""


def usual_step(moments: NDArray[np.float64] | None, parts: Iterable[Part]) -> float | None:
    """The median distance between the rows of series, in the unit of their moments; None where the rows are not
    evenly spaced, or their times unknown."""
    if moments is None:
        return None
    distances = np.concatenate([np.diff(moments[part.start : part.end]) for part in parts])
    if not len(distances):
        return None
    median = float(np.median(distances))
    is_usual = np.abs(distances - median) <= TOLERANCE * median
    return median if median > 0 and is_usual.mean() >= 0.5 else None


def step_text(step: float, *, are_dates: bool) -> str:
    """A distance in words: ``1 hour``, ``15 minutes``, ``1 month``."""
    if not are_dates:
        return f"{step:g}"
    for name, shortest, longest, number in CALENDAR:
        if shortest <= step <= longest:
            return f"{number} {name}"
    name, seconds = next(((name, size) for name, size in UNITS.items() if step % size == 0), ("second", 1))
    count = step / seconds
    return f"{count:g} {name}{'' if count == 1 else 's'}"
