"""Reads the table of a forecasting recipe and divides it by time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dlcli.data.series.time_table import Table, read_table
from dlcli.data.series.windows import Series, Windows, divide_by_time
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.forecasting import Forecasting, TimeTable

FORECAST_BATCH = 1024  # windows forecast at a time


def open_series(loaded: LoadedRecipe, recipe: Forecasting) -> Series:
    """Read the recipe's table and divide it by time.

    Raises:
        InputError: the table cannot be used; a missing path is located in the recipe.
    """
    section, window = recipe.data, recipe.window
    loaded.check_data_path()
    return divide_by_time(
        read_time_table(section),
        source=section.path,
        history=window.history,
        horizon=window.horizon,
        validation=section.validation,
        test=section.test,
        stride=window.stride,
    )


def read_time_table(section: TimeTable, path: Path | None = None) -> Table:
    """Read the table of a ``data`` section, or another table in the same way.

    Raises:
        InputError: the table cannot be used.
    """
    return read_table(
        path=section.path if path is None else path,
        time=section.time,
        target=section.target,
        features=section.features,
        on_missing=section.on_missing,
        time_format=section.time_format,
        day_first=section.day_first,
    )


def targets_in_parts(series: Series, windows: Windows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The target's past ``[n, history]`` and future ``[n, horizon]`` in each window, a batch of windows at a time."""
    for start in range(0, len(windows), FORECAST_BATCH):
        past, future = series.windows(windows.origins[start : start + FORECAST_BATCH])
        yield past[..., 0], future
