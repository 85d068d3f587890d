"""What is known of a step before it comes: features of the calendar, and what describes a series as a whole."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import printable
from dlcli.data.table import parse_number
from dlcli.errors import InputError

Calendar = Literal["hour", "weekday", "month"]
Categories = Mapping[str, tuple[str, ...]]
"""The values of each column of text, in the order of their features."""

MAX_CATEGORIES = 1000  # of a column
SECONDS_OF_DAY = 86_400


def calendar_names(names: Sequence[Calendar]) -> list[str]:
    """The names of the columns of :func:`calendar_features`."""
    return [f"{name} {wave}" for name in names for wave in ("sine", "cosine")]


def calendar_features(moments: NDArray[np.float64], names: Sequence[Calendar]) -> NDArray[np.float32]:
    """Sine and cosine of the hour of the day, the day of the week (Monday first) and the month, ``[rows, 2 * names]``.

    Args:
        moments: seconds since 1970 ``[rows]``.
    """
    columns = []
    for name in names:
        match name:
            case "hour":
                phase = moments % SECONDS_OF_DAY / SECONDS_OF_DAY
            case "weekday":
                phase = (np.floor(moments / SECONDS_OF_DAY) + 3) % 7 / 7  # 1970 began on a Thursday
            case "month":
                months = moments.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
                phase = months % 12 / 12
        columns += [np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)]
    return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((len(moments), 0), np.float32)


def categories_of(cells: Mapping[str, Sequence[str]], *, source: str, never_numbers: Sequence[str]) -> Categories:
    """The values of each column that is not a column of numbers.

    Args:
        cells: by column, one for each series.
        never_numbers: columns whose values are names, such as that of the series.

    Raises:
        InputError: a column has too many values.
    """
    found = {}
    for name, values in cells.items():
        distinct = tuple(sorted(set(values)))
        if name not in never_numbers and all(parse_number(value) is not None for value in distinct):
            continue
        if len(distinct) > MAX_CATEGORIES:
            raise InputError(
                f"{source}: column '{printable(name)}' must have at most {MAX_CATEGORIES:,} values to be a feature. "
                f"Received {len(distinct):,}. Remove it from data.static."
            )
        found[name] = distinct
    return found


def static_names(columns: Sequence[str], categories: Categories) -> list[str]:
    """The names of the columns of :func:`static_features`."""
    return [
        name
        for column in columns
        for name in (
            [f"{column}={printable(value)}" for value in categories[column]] if column in categories else [column]
        )
    ]


def static_features(cells: Mapping[str, str], categories: Categories) -> list[float]:
    """The features of one series: numbers, and 1 for its value of a column of text; an unknown value has no 1.

    Args:
        cells: by column.
    """
    features: list[float] = []
    for column, cell in cells.items():
        if column in categories:
            features += [float(cell == value) for value in categories[column]]
        else:
            number = parse_number(cell)
            features.append(np.nan if number is None else number)
    return features
