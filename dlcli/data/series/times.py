"""The times of a table's rows, numbers or dates as people write them, as moments that can be ordered.

Dates become seconds since 1970 in UTC; those with an offset are converted, those without are taken as they are.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from dlcli.data.files import printable
from dlcli.data.table import is_usable, parse_number
from dlcli.errors import InputError

Moment = tuple[float | str, ...]
Row = tuple[int, Sequence[str]]  # the line of a row, and its cells of time
Errors = list[tuple[int, str]]

CLOCK = r"(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?\s*(?P<half>[AaPp][Mm])?)?"
NUMBERS = re.compile(rf"(?P<first>\d{{1,4}})([./-])(?P<middle>\d{{1,2}})\2(?P<last>\d{{1,4}}){CLOCK}")
MONTH_OF_YEAR = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})")
QUARTER = re.compile(r"(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])")
WORDS = (
    re.compile(rf"(?P<name>[A-Za-z]{{3,9}})\.?[ -]+(?P<day>\d{{1,2}}),?[ -]+(?P<year>\d{{4}}){CLOCK}"),
    re.compile(rf"(?P<day>\d{{1,2}})[ -]+(?P<name>[A-Za-z]{{3,9}})\.?,?[ -]+(?P<year>\d{{4}}){CLOCK}"),
    re.compile(rf"(?P<name>[A-Za-z]{{3,9}})\.?[ -]+(?P<year>\d{{4}}){CLOCK}"),
)
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
EPOCHS = {"epoch_seconds": 1.0, "epoch_milliseconds": 1e-3}  # seconds per unit of numbers since 1970, by `time_format`
FIRST_EPOCH, LAST_EPOCH = 978_307_200, 4_133_980_800  # 2001 and 2101, in seconds since 1970
LEAST_YEAR = 1000  # from which on a whole number in the first of several columns is a year


class AmbiguousDates(InputError):
    """Dates that may be day first or month first."""


class Times:
    """The moments of the rows of a table.

    Attributes:
        moments: of each row: one number, of dates the seconds since 1970; or the numbers of several columns, or text.
        errors: by line.
        are_dates: whether they are seconds since 1970.
        can_be_sorted: whether rows in another order may be sorted by them.
    """

    def __init__(self, moments: list[Moment], errors: Errors, *, are_dates: bool, can_be_sorted: bool) -> None:
        self.moments = moments
        self.errors = errors
        self.are_dates = are_dates
        self.can_be_sorted = can_be_sorted


def read_times(
    rows: Sequence[Row], names: Sequence[str], *, source: str, time_format: str | None, day_first: bool | None
) -> Times:
    """The moments of rows, whose cells of time are numbers or one date.

    Args:
        names: of the columns, coarsest first.
        time_format: of dates, in the form of Python's ``strptime``, or a key of `EPOCHS`; None to recognize it.
        day_first: whether 1/2/2024 is in February; None if the dates show it.

    Raises:
        AmbiguousDates: dates may be day first or month first.
        InputError: dates are partly day first, or the rows are those of several series.
    """
    if time_format is not None:
        whole = [(line, " ".join(cells).strip()) for line, cells in rows]
        if time_format in EPOCHS:
            noun = time_format.removeprefix("epoch_")
            return _dates(whole, lambda text: _since_1970(text, EPOCHS[time_format]), f"time must be {noun} since 1970")
        return _dates(whole, lambda text: _by_format(text, time_format), f"time must have the form '{time_format}'")
    joined = [(line, _joined(cells)) for line, cells in rows]
    numbers = [[parse_number(cell) for cell in cells] for _, cells in rows]
    if not rows or all(is_usable(number) for number in numbers[0]):
        return _numbers(rows, numbers)
    parse = _form_of(joined, source=source, day_first=day_first)
    if parse is not None:
        return _dates(joined, parse, "time must be a date as in the first row")
    if len(names) > 1:
        _refuse_several_series(rows, names, source=source, day_first=day_first)
    moments: list[Moment] = [
        tuple(number if is_usable(number) and number is not None else cell for cell, number in zip(*pair, strict=True))
        for pair in zip((cells for _, cells in rows), numbers, strict=True)
    ]
    kinds = [isinstance(part, float) for part in moments[0]]
    errors = [
        (line, f"time must be a number in every row or in none. Received '{_shown(cells)}'.")
        for (line, cells), moment in zip(rows, moments, strict=True)
        if [isinstance(part, float) for part in moment] != kinds
    ]
    return Times(moments, errors, are_dates=False, can_be_sorted=False)


def _joined(cells: Sequence[str]) -> str:
    """The cells of one time as text; a date and further columns with the hour, minute and second as a time of day."""
    date, *clock = (cell.strip() for cell in cells)
    if not clock or not all(part.isdigit() and len(part) <= 2 for part in clock):
        return " ".join([date, *clock])
    parts = [part.zfill(2) for part in clock]
    return f"{date} {':'.join([*parts, '00'] if len(parts) == 1 else parts)}"


def _numbers(rows: Sequence[Row], numbers: Sequence[Sequence[float | None]]) -> Times:
    errors = [
        (line, f"time must be a number in every row or in none. Received '{_shown(cells)}'.")
        for (line, cells), parts in zip(rows, numbers, strict=True)
        if not all(is_usable(part) for part in parts)
    ]
    moments: list[Moment] = [tuple(0.0 if part is None else part for part in parts) for parts in numbers]
    is_whole = all(len(moment) == 1 or float(moment[0]) >= LEAST_YEAR for moment in moments)
    return Times(moments, errors, are_dates=False, can_be_sorted=is_whole)  # months without a year have no order


def _dates(joined: Sequence[tuple[int, str]], parse: Callable[[str], datetime | None], rule: str) -> Times:
    moments: list[Moment] = []
    errors: Errors = []
    has_offset: bool | None = None
    for line, text in joined:
        date = parse(text)
        if date is None:
            errors.append((line, f"{rule}. Received '{_shown([text])}'."))
        elif has_offset is None:
            has_offset = date.tzinfo is not None
        elif has_offset != (date.tzinfo is not None):
            errors.append((line, f"times must have an offset from UTC in every row or in none. Received '{text}'."))
        moments.append((0.0 if date is None else _seconds(date),))
    return Times(moments, errors, are_dates=True, can_be_sorted=True)


def _form_of(
    joined: Sequence[tuple[int, str]], *, source: str, day_first: bool | None
) -> Callable[[str], datetime | None] | None:
    """What reads dates as the first row is written; None if it is no date."""
    first = joined[0][1]
    if _iso(first) is not None:
        return _iso
    if (match := NUMBERS.fullmatch(first)) is not None and len(match["last"]) == 4:
        is_day_first = _is_day_first(joined, source) if day_first is None else day_first
        return lambda text: _of_numbers(text, day_first=is_day_first)
    for parse in (lambda text: _of_numbers(text, day_first=False), _of_month, _of_words):
        if parse(first) is not None:
            return parse
    return None


def _is_day_first(joined: Sequence[tuple[int, str]], source: str) -> bool:
    """Whether dates such as 31/1/2024 are day first.

    Raises:
        AmbiguousDates: they do not show it.
        InputError: some are day first and others month first.
    """
    matches = [(line, text, NUMBERS.fullmatch(text)) for line, text in joined]
    day_first = next(((line, text) for line, text, match in matches if match and int(match["first"]) > 12), None)
    month_first = next(((line, text) for line, text, match in matches if match and int(match["middle"]) > 12), None)
    if day_first is not None and month_first is not None:
        raise InputError(
            f"{source}:{month_first[0]}: dates must be day first in every row or in none. Received "
            f"{printable(month_first[1])}, and {printable(day_first[1])} in line {day_first[0]}."
        )
    if day_first is None and month_first is None:
        raise AmbiguousDates(
            f"{source}: dates such as {printable(joined[0][1])} may be day first or month first, and none shows which. "
            "Set data.day_first: true or false."
        )
    return day_first is not None


def _refuse_several_series(rows: Sequence[Row], names: Sequence[str], *, source: str, day_first: bool | None) -> None:
    """Refuses rows whose time goes back while another column of time goes on: those of several series.

    Raises:
        InputError: a column holds whole dates, which do not increase.
    """
    for column, name in enumerate(names):
        alone = [(line, cells[column].strip()) for line, cells in rows]
        try:
            parse = _form_of(alone, source=source, day_first=day_first)
        except InputError:
            continue
        dates = [None if parse is None else parse(text) for _, text in alone]
        seconds = [_seconds(date) for date in dates if date is not None]
        if len(seconds) < len(rows):
            continue
        back = next((i for i in range(1, len(seconds)) if seconds[i] <= seconds[i - 1]), None)
        if back is not None:
            others = [printable(other) for other in names if other != name]
            raise InputError(
                f"{source}:{alone[back][0]}: column '{printable(name)}' holds whole dates, so it must increase without "
                f"{' and '.join(others)}. Received {printable(alone[back][1])} after {printable(alone[back - 1][1])}: "
                f"if these are several series, set data.time: [{printable(name)}] and data.series: "
                f"{' or '.join(others)}."
            )


# Forms of dates -------------------------------------------------------------------------------------------------------


def _iso(text: str) -> datetime | None:
    """ISO 8601, with a day."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _by_format(text: str, time_format: str) -> datetime | None:
    try:
        return datetime.strptime(text, time_format)
    except ValueError:
        return None


def _since_1970(text: str, unit: float) -> datetime | None:
    number = parse_number(text)
    try:
        return None if number is None else datetime.fromtimestamp(number * unit, UTC)
    except (ValueError, OverflowError, OSError):  # not in the years 1 to 9999
        return None


def epoch_of(text: str) -> str | None:
    """The key of `EPOCHS` for a number that is a time of the years 2001 to 2100 in its units; None for others."""
    number = parse_number(text)
    units = EPOCHS.items() if is_usable(number) and number is not None else ()
    return next((name for name, unit in units if FIRST_EPOCH <= (number or 0.0) * unit <= LAST_EPOCH), None)


def _of_numbers(text: str, *, day_first: bool) -> datetime | None:
    """Year, month, day; or day and month in this order, and the year."""
    match = NUMBERS.fullmatch(text)
    if match is None:
        return None
    first, middle, last = match["first"], match["middle"], match["last"]
    if len(first) == 4:
        year, month, day = first, middle, last
    elif len(last) == 4:
        year, (day, month) = last, (first, middle) if day_first else (middle, first)
    else:
        return None
    return _made(int(year), int(month), int(day), match)


def _of_month(text: str) -> datetime | None:
    if (match := MONTH_OF_YEAR.fullmatch(text)) is not None:
        return _made(int(match["year"]), int(match["month"]), 1, None)
    if (match := QUARTER.fullmatch(text)) is not None:
        return _made(int(match["year"]), 3 * int(match["quarter"]) - 2, 1, None)
    return None


def _of_words(text: str) -> datetime | None:
    for form in WORDS:
        if (match := form.fullmatch(text)) is not None:
            name, parts = match["name"].lower(), match.groupdict()
            month = next((i for i, whole in enumerate(MONTHS, start=1) if whole.startswith(name)), None)
            if month is not None:
                return _made(int(match["year"]), month, int(parts.get("day") or 1), match)
    return None


def _made(year: int, month: int, day: int, clock: re.Match[str] | None) -> datetime | None:
    """The date with the time of day that CLOCK found; None if there is no such date."""
    hour, minute, second, half = (None,) * 4 if clock is None else clock.group("hour", "minute", "second", "half")
    hours = int(hour or 0)
    if half is not None:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + 12 * (half.lower() == "pm")
    try:
        return datetime(year, month, day, hours, int(minute or 0), int(second or 0))
    except ValueError:
        return None


def _seconds(date: datetime) -> float:
    return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()


def _shown(cells: Sequence[str]) -> str:
    return printable(" ".join(cells)[:50])
