"""The times of the steps after the last row of a table, where its rows show the step."""

import calendar
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

MIN_SHARE = 0.5  # of the distances between rows that must equal the step
YEAR_AND_MONTH = re.compile(r"\d{4}[-/.]\d{1,2}")


def future_times(
    moments: NDArray[np.float64] | None, last: str, number: int, *, are_dates: bool, num_columns: int
) -> tuple[tuple[str, ...], NDArray[np.float64] | None]:
    """The times of the steps after the last row, and the same as moments; empty texts and None where the rows show no
    step.

    The step is the most frequent distance between rows, in months where all of them are on the first or on the last
    day of a month. Dates are written as in ISO 8601, those of several columns as their numbers.

    Args:
        moments: of the rows ``[rows]``, in increasing order: seconds since 1970, or numbers; None if unknown.
        last: the last row's time as text.
        number: of steps.
        are_dates: whether the moments are seconds since 1970.
        num_columns: of columns that together give the time.
    """
    unknown = ("",) * number, None
    if moments is None or len(moments) < 2:
        return unknown
    if not are_dates:
        step = _most_frequent(np.diff(moments).tolist())
        if step is None:
            return unknown
        ahead = moments[-1] + step * np.arange(1, number + 1)
        return tuple(f"{moment:.15g}" for moment in ahead), ahead
    dates = [datetime.fromtimestamp(moment, UTC) for moment in moments.tolist()]
    following = _following(dates, number)
    if following is None:
        return unknown
    texts = tuple(_written(date, last, dates, num_columns) for date in following)
    return texts, np.array([date.timestamp() for date in following])


def _following(dates: Sequence[datetime], number: int) -> list[datetime] | None:
    try:
        months = [12 * date.year + date.month - 1 for date in dates]
        of_months = _most_frequent(np.diff(months).tolist())
        are_ends = all(date.day == _last_day(date.year, date.month) for date in dates)
        if of_months and (are_ends or all(date.day == 1 for date in dates)) and _same_clock(dates):
            found = [months[-1] + round(of_months) * i for i in range(1, number + 1)]
            return [
                dates[-1].replace(
                    year=month // 12,
                    month=month % 12 + 1,
                    day=_last_day(month // 12, month % 12 + 1) if are_ends else 1,
                )
                for month in found
            ]
        step = _most_frequent(np.diff([date.timestamp() for date in dates]).tolist())
        return None if step is None else [dates[-1] + timedelta(seconds=step * i) for i in range(1, number + 1)]
    except (ValueError, OverflowError):  # after the year 9999
        return None


def _most_frequent(distances: Sequence[float]) -> float | None:
    """The distance that most of them equal, or None."""
    distance, count = Counter(round(distance, 9) for distance in distances).most_common(1)[0]
    return distance if count > MIN_SHARE * len(distances) else None


def _same_clock(dates: Sequence[datetime]) -> bool:
    return len({date.time() for date in dates}) == 1


def _last_day(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _written(date: datetime, last: str, dates: Sequence[datetime], num_columns: int) -> str:
    parts = (date.year, date.month, date.day, date.hour, date.minute, date.second)
    if num_columns > 1 and last.replace(" ", "").isdigit():
        return " ".join(str(part) for part in parts[:num_columns])
    if YEAR_AND_MONTH.fullmatch(last):
        return f"{date.year:04}-{date.month:02}"
    if all(earlier.hour == earlier.minute == earlier.second == 0 for earlier in (*dates[-100:], date)):
        return date.date().isoformat()
    offset = "+00:00" if re.search(r"(Z|[+-]\d{2}:?\d{2})$", last) and ":" in last else ""
    return date.strftime("%Y-%m-%dT%H:%M" + (":%S" if date.second else "")) + offset
