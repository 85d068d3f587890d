"""Reads the table of a forecasting recipe and divides it by time."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlcli.data.series.covariates import Categories
from dlcli.data.series.division import divide
from dlcli.data.series.steps import step_text, usual_step
from dlcli.data.series.time_table import Table, read_table
from dlcli.data.series.windows import Series, targets_of
from dlcli.data.splits import Index, evenly_spaced
from dlcli.errors import InputError
from dlcli.evaluation import forecast
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.forecasting import Forecasting, TimeTable, Window

FORECAST_BATCH = 1024  # windows forecast at a time
MOST_DIFFERENT = 1.5  # ratio of the usual distances between rows in two tables: months have 28 to 31 days
ROUNDED = 0.05  # of the standard deviation of what is learned; larger steps between numbers matter
MAX_LEARNED = 2**24  # values of training windows from which their mean and variance are computed


def open_series(loaded: LoadedRecipe, recipe: Forecasting) -> Series:
    """Read the recipe's table and divide it by time.

    Raises:
        InputError: the table cannot be used; a missing path is located in the recipe.
    """
    section, window = recipe.data, recipe.window
    loaded.check_data_path()
    series = divide(
        read_time_table(section),
        source=section.path,
        history=window.history,
        horizon=window.horizon,
        validation=section.validation,
        test=section.test,
        stride=window.stride,
        evaluation_stride=window.evaluation_stride,
        split_by=section.split_by,
        seed=section.split_seed,
        fold=None if section.fold is None else (section.fold.number, section.fold.of),
    )
    return replace(series, table=series.table.without(needed_offset(series, window)))


def needed_offset(series: Series, window: Window) -> float:
    """The constant that must be subtracted from the target, lest float32 round away what is to be learned; 0 if none
    is needed."""
    digits = digits_of(series, window)
    return float(round(digits.mean)) if digits is not None and digits.are_lost else 0.0


@dataclass(frozen=True)
class Digits:
    """What float32 leaves of the target in the training split.

    Attributes:
        mean: of the target.
        largest: magnitude of the target without the table's offset.
        step: between the numbers of float32 near the largest.
        deviation: standard deviation of the target, or of its differences if these are learned.
    """

    mean: float
    largest: float
    step: float
    deviation: float

    @property
    def are_lost(self) -> bool:
        return self.deviation > 0 and self.step > ROUNDED * self.deviation


def digits_of(series: Series, window: Window) -> Digits | None:
    """What float32 leaves of the target; None where nothing is known of it."""
    lag = {"none": 0, "last": 1, "season": window.season}[window.difference]
    parts = [series.table.target[part.start : part.end] for part in series.of("train")]
    train = np.concatenate(parts)
    learned = np.concatenate([part[lag:] - part[:-lag] for part in parts]) if lag else train
    if np.isnan(learned).all():
        return None
    largest = float(np.nanmax(np.abs(train - series.table.offset)))
    step = float(np.spacing(np.float32(largest)))
    return Digits(float(np.nanmean(train)), largest, step, float(np.nanstd(learned)))


def read_time_table(
    section: TimeTable, path: Path | None = None, categories: Categories | None = None, text: str | None = None
) -> Table:
    """Read the table of a ``data`` section, or another table in the same way.

    Args:
        categories: of the static columns in a trained model.
        text: of another table in memory, of which ``path`` is then the name.

    Raises:
        InputError: the table cannot be used.
    """
    return read_table(
        text=text,
        path=section.path if path is None else path,
        time=section.time,
        target=section.target,
        features=section.features,
        on_missing=section.on_missing,
        time_format=section.time_format,
        day_first=section.day_first,
        series=section.series,
        future_features=section.future_features,
        static=section.static,
        calendar=section.calendar,
        categories=categories,
        resample=section.resample,
        gaps=section.gaps,
        decimal=section.decimal,
        columns=section.columns,
    )


def check_step(table: Table, trained: float | None, source: Path) -> None:
    """Refuses a table whose rows are much closer together, or farther apart, than those of the training data.

    Args:
        trained: the usual distance between the rows of the training data; None if it is unknown.

    Raises:
        InputError: the distances differ by more than half.
    """
    step = usual_step(table.moments, table.series)
    if step is None or trained is None or 1 / MOST_DIFFERENT < step / trained < MOST_DIFFERENT:
        return
    received, expected = (step_text(value, are_dates=table.are_dates) for value in (step, trained))
    raise InputError(
        f"{source}: the rows must be {expected} apart, as those of the training data. Received rows {received} apart."
    )


def window_scales(series: Series, window: Window, origins: Index) -> NDArray[np.float64]:
    """The deviation by which the target of each window is divided ``[n]``: 1 unless each is normalized by itself."""
    if window.normalize == "training":
        return np.ones(len(origins))
    parts = [
        forecast.window_scale(targets_of(series, origins[start : start + FORECAST_BATCH])[0] - series.table.offset)[1]
        for start in range(0, len(origins), FORECAST_BATCH)
    ]
    return np.concatenate(parts)


def learned_values(series: Series, window: Window, *, mean: float) -> NDArray[np.float64]:
    """What the network is to output for windows of the training split ``[n, horizon]``, of many for some.

    Args:
        mean: of the target without the table's offset, for windows without a known value.
    """
    train = series.splits["train"].origins
    origins = train[evenly_spaced(len(train), MAX_LEARNED // window.horizon)]
    parts = []
    for start in range(0, len(origins), FORECAST_BATCH):
        some = origins[start : start + FORECAST_BATCH]
        past, future = (values - series.table.offset for values in targets_of(series, some))
        base: NDArray[np.float64] | float = 0.0
        if window.difference == "last":
            base = forecast.naive(past, window.horizon, mean=mean)
        elif window.difference == "season":
            base = forecast.seasonal_naive(past, window.horizon, season=window.season, mean=mean)
        elif window.normalize == "window":
            base = forecast.window_scale(past)[0][:, None]
        parts.append((future - base) / window_scales(series, window, some)[:, None])
    return np.concatenate(parts)
