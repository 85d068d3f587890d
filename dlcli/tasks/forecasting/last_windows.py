"""The windows after which new tables are forecast: the last rows of each series, and what is known ahead."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import printable
from dlcli.data.series.covariates import Categories, calendar_features
from dlcli.data.series.future_times import future_times
from dlcli.data.series.row_order import Part
from dlcli.data.series.time_table import Table
from dlcli.errors import InputError
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.tasks.forecasting.sources import check_step, read_time_table

LeftOut = tuple[str, str]
"""The name of a series that cannot be forecast, and the reason."""


@dataclass(frozen=True)
class LastWindow:
    """The end of a series.

    Attributes:
        series: its name; empty for a single one.
        after: the time of its last row.
        times: those of the steps ahead; empty texts where unknown.
        values: what the network takes, without the offset: float32 ``[steps, features]``.
    """

    series: str
    after: str
    times: tuple[str, ...]
    values: NDArray[np.float32]


def last_windows(
    path: Path,
    recipe: Forecasting,
    features: Sequence[str],
    categories: Categories,
    step: float | None,
    offset: float,
    text: str | None = None,
) -> tuple[list[LastWindow], list[LeftOut]]:
    """The last window of each series of a table.

    With ``data.future_features``, the forecast starts after the last row whose target is known, and the rows after it
    give what is known of the steps ahead.

    Args:
        features: the columns of the training data, the target first.
        categories: the values of the static columns in the training data.
        step: the usual distance between rows in the training data; None if it is unknown.
        offset: of the target in the training data, which is subtracted from the values of the windows.
        text: of a table in memory; ``path`` is then its name for messages.

    Returns:
        The windows, and the name of each series that has none with the reason.

    Raises:
        InputError: the table cannot be used, or no series has a window.
    """
    section = recipe.data
    changes: dict[str, object] = {}
    if section.features is None:
        others = {*section.future_features, *section.static, section.target}
        changes["features"] = tuple(name for name in features if name in _plain(features, categories) - others)
    if section.future_features:
        changes["on_missing"] = "keep"  # the target is missing in the rows of the future
    table = read_time_table(section.model_copy(update=changes), path, categories, text).without(offset)
    if list(table.features) != list(features):
        raise InputError(f"{path}: must have the columns {', '.join(features)}. Received {', '.join(table.features)}.")
    check_step(table, step, path)
    windows, left_out = [], []
    for part in table.series:
        name = f"{path}, series {part.name}" if part.name else str(path)
        found = _last_window(table, part, recipe)
        if isinstance(found, str):
            left_out.append((name, found))
        else:
            windows.append(found)
    if not windows:
        raise InputError(f"{left_out[0][0]}: {left_out[0][1]}")
    return windows, left_out


def needs_of(recipe: Forecasting, features: Sequence[str], categories: Categories) -> str:
    """What a table must have for :func:`last_windows`, in words.

    Args:
        features, categories: of the training data.
    """
    section, window = recipe.data, recipe.window
    series = [section.series] if section.series is not None else []
    plain = [name for name in features if name in _plain(features, categories)]
    columns = dict.fromkeys([*section.time, *series, *plain, *section.static])  # each once, in their order
    text = f"at least {window.history} rows{' of a series' * bool(series)} with the columns "
    text += ", ".join(map(printable, columns))
    if section.future_features:
        text += f", and {window.horizon} rows more without {printable(section.target)}"
    return text


def _plain(features: Sequence[str], categories: Categories) -> set[str]:
    """The features that are columns of the table themselves."""
    waves = {f"{name} {wave}" for name in ("hour", "weekday", "month") for wave in ("sine", "cosine")}
    encoded = {f"{column}={printable(value)}" for column, values in categories.items() for value in values}
    return set(features) - waves - encoded


def _last_window(table: Table, part: Part, recipe: Forecasting) -> LastWindow | str:
    """The last window of a series, or why there is none."""
    section, window = recipe.data, recipe.window
    end = part.end
    if section.future_features:
        known = np.flatnonzero(~np.isnan(table.target[part.start : part.end]))
        end = part.start + (int(known[-1]) + 1 if len(known) else 0)
    if end - part.start < window.history:
        return f"a forecast needs {window.history} rows. Received {end - part.start}: add earlier rows."
    past = table.values[end - window.history : end]
    if section.future_features and section.on_missing == "error" and np.isnan(past).any():
        return "the history must have no missing values. Fill them in, or train with data.on_missing: keep."
    moments = None if table.moments is None else table.moments[part.start : end]
    times, ahead = future_times(
        moments,
        table.times[end - 1],
        window.horizon,
        are_dates=table.are_dates,
        num_columns=1 if section.resample else len(section.time),
    )
    if not table.known_ahead:
        return LastWindow(part.name, table.times[end - 1], times, past)
    if section.future_features:
        rows = table.values[end : end + window.horizon]
        is_given = np.array([name in section.future_features for name in table.features])
        is_complete = np.asarray(~np.isnan(rows[:, is_given]).any(axis=1))
        if end + window.horizon > part.end or not is_complete.all():
            columns = ", ".join(printable(name) for name in section.future_features)
            return (
                f"a forecast needs {window.horizon} rows with {columns} after the last value of "
                f"{printable(section.target)}. Received {int(is_complete[: part.end - end].sum())}: add them."
            )
        future, times = rows.copy(), table.times[end : end + window.horizon]
    else:
        if ahead is None:
            return "the rows are not evenly spaced, so that the times ahead are unknown: add the missing rows."
        future = np.repeat(past[-1:], window.horizon, axis=0)  # static features stay as they are
        future[:, len(table.features) - 2 * len(section.calendar) :] = calendar_features(ahead, section.calendar)
    future[:, ~table.is_known_ahead] = np.nan
    return LastWindow(part.name, table.times[end - 1], times, np.concatenate([past, future]))
