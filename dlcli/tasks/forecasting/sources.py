"""Reads the table of a forecasting recipe and divides it by time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dlcli.data.series.time_table import Table, read_table
from dlcli.data.series.windows import Series, Windows, divide_by_time
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.forecasting import Forecasting, TimeTable

AT_A_TIME = 1024  # windows that are forecast at once


def open_series(loaded: LoadedRecipe, recipe: Forecasting) -> Series:
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
    return read_table(
        path=section.path if path is None else path,
        time=section.time,
        target=section.target,
        features=section.features,
        on_missing=section.on_missing,
    )


def windows_in_parts(series: Series, windows: Windows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of some windows at a time the target's history ``[n, history]`` and what is to be forecast ``[n, horizon]``."""
    for start in range(0, len(windows), AT_A_TIME):
        past, future = series.windows(windows.origins[start : start + AT_A_TIME])
        yield past[..., 0], future
