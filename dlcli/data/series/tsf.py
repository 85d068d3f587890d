"""Series in the .tsf format of the Monash archive (Godahewa et al. 2021), as a table with a row for each step."""

import csv
import io
import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from dlcli.data.files import printable
from dlcli.data.table import MISSING, is_usable, parse_number, refuse_errors
from dlcli.errors import InputError

TIME, VALUE = "time", "value"
"""Names of the columns that are added to those of a file's attributes."""
MAX_VALUES = 10_000_000
STAMP = "%Y-%m-%d %H-%M-%S"
MONTHS = {"yearly": 12, "quarterly": 3, "monthly": 1}
SECONDS = {"weekly": 604_800, "daily": 86_400, "hourly": 3600, "half_hourly": 1800, "minutely": 60, "secondly": 1}
SEVERAL = re.compile(r"(?P<number>\d+)_(?P<unit>minutes|seconds|hours|days)")
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}


@dataclass(frozen=True)
class TsfHeader:
    """What the lines above the series say.

    Attributes:
        num_lines: that come before the first series.
        attributes: name and type (string, numeric, date) of each attribute, in order.
        frequency: the distance between steps, such as ``monthly``; empty if it is not given.
        horizon: steps to forecast; None if it is not given.
    """

    num_lines: int
    attributes: tuple[tuple[str, str], ...]
    frequency: str
    horizon: int | None

    @property
    def start(self) -> int | None:
        """The place of the attribute with the time of the first step; None without one, or without a frequency."""
        kinds = [kind for _, kind in self.attributes]
        return kinds.index("date") if "date" in kinds and self.frequency else None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the attributes but the date, of which the first names the series."""
        return tuple(name for name, kind in self.attributes if kind != "date")


def read_tsf_header(file: Path, lines: Sequence[str]) -> TsfHeader:
    """What the lines of a file say above its series.

    Raises:
        InputError: there is no line @data, or no attribute that names the series.
    """
    start = next((number for number, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise InputError(f"{file}: there must be a line @data above the series. Give a .tsf file.")
    words = [line.split() for line in lines[:start] if line.strip().startswith("@")]
    attributes = tuple((row[1], row[2].lower()) for row in words if row[0].lower() == "@attribute" and len(row) == 3)
    settings = {row[0].lower(): row[1].lower() for row in words if len(row) > 1}
    header = TsfHeader(
        start + 1,
        attributes,
        settings.get("@frequency", ""),
        int(horizon) if (horizon := settings.get("@horizon", "")).isdecimal() else None,
    )
    if not header.names:
        raise InputError(f"{file}: there must be an attribute that names the series, such as @attribute name string.")
    if taken := {TIME, VALUE} & set(header.names):
        raise InputError(f"{file}: no attribute may be called '{sorted(taken)[0]}'. Rename it.")
    if header.frequency:
        _times("2000-01-01 00-00-00", 0, header.frequency, f"{file}")
    return header


def table_of_tsf(file: Path, text: str) -> str:
    """The content of a .tsf file as a CSV table with a row for each step of each series.

    Its columns are the file's attributes, of which the first names the series, then ``time`` and ``value``. Times start
    at the attribute that is a date and follow the file's frequency; without both they are 1, 2, 3, ….

    Raises:
        InputError: the file is not as described; errors of lines are reported together.
    """
    lines = text.split("\n")
    header = read_tsf_header(file, lines)
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([*header.names, TIME, VALUE])
    errors: list[tuple[int, str]] = []
    lines_of: dict[str, int] = {}
    num_values = 0
    for number, line in enumerate(lines[header.num_lines :], start=header.num_lines + 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            own, times, values = _series(line.strip(), header)
        except ValueError as error:
            errors.append((number, str(error)))
            continue
        if own[0] in lines_of:
            errors.append((number, f"each series must have its own name. Line {lines_of[own[0]]} has this one too."))
        lines_of[own[0]] = number
        num_values += len(values)
        if num_values > MAX_VALUES:
            raise InputError(f"{file}: must have at most {MAX_VALUES:,} values. Leave out some of the series.")
        writer.writerows([*own, time, value] for time, value in zip(times, values, strict=True))
    refuse_errors(file, errors)
    if not lines_of:
        raise InputError(f"{file}: there must be series below @data. Received none.")
    return written.getvalue()


def _series(line: str, header: TsfHeader) -> tuple[list[str], Iterator[str], list[str]]:
    """The attributes but the date, the times and the values of a series.

    Raises:
        ValueError: the line is not as the header says; the message is the rule, and what was received.
    """
    *attributes, series = [part.strip() for part in line.split(":")]
    if len(attributes) != len(header.attributes):
        must = f"a series must have {len(header.attributes)} attributes and its values, separated by ':'."
        raise ValueError(f"{must} Received {len(attributes) + 1} parts.")
    values = [cell.strip() for cell in series.split(",")]
    for step, cell in enumerate(values, start=1):
        if cell not in MISSING and not is_usable(parse_number(cell)):
            raise ValueError(f"value {step} must be a number or '?'. Received '{printable(cell[:50])}'.")
    own = [cell for cell, (_, kind) in zip(attributes, header.attributes, strict=True) if kind != "date"]
    if not own[0]:
        raise ValueError("a series must have a name.")
    if header.start is None:
        return own, (str(step) for step in range(1, len(values) + 1)), values
    return own, iter(_times(attributes[header.start], len(values), header.frequency, "")), values


def _in_month(first: datetime, year: int, month: int) -> datetime:
    """The same day of another month, or its last one."""
    return first.replace(year=year, month=month, day=min(first.day, monthrange(year, month)[1]))


def _times(start: str, number: int, frequency: str, file: str) -> list[str]:
    """The times of as many steps, from the first one on.

    Raises:
        ValueError: the start is not a date, or the times leave the calendar.
        InputError: the frequency is not known.
    """
    try:
        first = datetime.strptime(start, STAMP)
    except ValueError:
        raise ValueError(f"the start must be like 2001-12-31 00-00-00. Received '{printable(start[:50])}'.") from None
    try:
        if frequency in MONTHS:
            months = [first.year * 12 + first.month - 1 + step * MONTHS[frequency] for step in range(number)]
            found = [_in_month(first, month // 12, month % 12 + 1) for month in months]
        else:
            several = SEVERAL.fullmatch(frequency)
            distance = int(several["number"]) * UNITS[several["unit"]] if several else SECONDS[frequency]
            found = [first + timedelta(seconds=step * distance) for step in range(number)]
    except KeyError:
        known = ", ".join([*MONTHS, *SECONDS, "10_minutes"])
        raise InputError(
            f"{file}: @frequency must be {known} or the like. Received '{printable(frequency)}'."
        ) from None
    except (ValueError, OverflowError):
        raise ValueError(f"the times of {number:,} steps must be within the years 1 to 9999.") from None
    return [str(moment) for moment in found]
