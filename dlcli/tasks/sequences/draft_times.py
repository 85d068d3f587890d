"""What the times of a table show when a recipe is drafted: whether it holds several series, and their season."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from dlcli.data.series.row_order import as_numbers
from dlcli.data.series.times import AmbiguousDates, read_times
from dlcli.errors import InputError

Rows = Sequence[Mapping[str, str]]

DAY = 86_400
SEASONS = (
    (1, 3600, DAY, "a day"),
    (3601, DAY // 2, DAY, "a day"),
    (DAY, DAY, 7 * DAY, "a week"),
    (7 * DAY, 7 * DAY, 364 * DAY, "a year"),
    (28 * DAY, 31 * DAY, 12 * 30 * DAY, "a year"),
    (89 * DAY, 92 * DAY, 4 * 91 * DAY, "a year"),
)
"""For steps from one length to another, in seconds, the length of a season and its name."""
MOST_STEPS = 400  # of a season


def date_columns(names: Sequence[str], rows: Rows) -> list[str]:
    """The first column of which every cell is a date, whatever it is called; none if there is none."""
    for name in names:
        written = [(line, [row[name]]) for line, row in enumerate(rows, start=2)]
        try:
            read = read_times(written, [name], source="", time_format=None, day_first=None)
        except AmbiguousDates:
            return [name]
        except InputError:
            continue
        if read.are_dates and not read.errors:
            return [name]
    return []


def series_column(times: Sequence[str], others: Sequence[str], rows: Rows) -> str | None:
    """The first column that tells series apart whose times are the same; None if no time occurs twice.

    Args:
        times: columns that together give the time.
        others: columns that may name the series.
    """
    moments = [tuple(row[name] for name in times) for row in rows]
    if len(set(moments)) == len(rows):
        return None
    for name in others:
        names = {row[name] for row in rows}
        is_unique = len({(row[name], moment) for row, moment in zip(rows, moments, strict=True)}) == len(rows)
        if is_unique and 1 < len(names) <= len(rows) // 2:
            return name
    return None


def season_of(times: Sequence[str], series: str | None, rows: Rows) -> tuple[int, str] | None:
    """The number of steps in a season that the distance between rows suggests, and in words; None if it shows none.

    Args:
        times: columns that together give the time.
        series: the column that names the series.
    """
    cells = [(line, [row[name] for name in times]) for line, row in enumerate(rows, start=2)]
    try:
        read = read_times(cells, times, source="", time_format=None, day_first=None)
    except InputError:
        return None
    moments = None if read.errors else as_numbers(read.moments)
    if moments is None or not (read.are_dates or len(times) > 1):
        return None
    names = [row[series] if series is not None else "" for row in rows]
    ordered = sorted(zip(names, moments.tolist(), strict=True))
    steps = Counter(later - before for (one, before), (other, later) in pairwise(ordered) if one == other)
    if not steps:
        return None
    step, _ = steps.most_common(1)[0]
    for shortest, longest, season, name in SEASONS:
        number = round(season / step) if shortest <= step <= longest else 0
        if 2 <= number <= MOST_STEPS:
            return number, name
    return None
