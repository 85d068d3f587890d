"""The baselines of a forecaster: the naive forecasts and ridge regression, with quantiles from their past errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.data.series.windows import Series, targets_of
from dlcli.data.splits import Index, evenly_spaced
from dlcli.evaluation import forecast
from dlcli.evaluation.forecast_baseline import LagRidge, fit_lag_ridge
from dlcli.evaluation.forecast_intervals import moments_of_errors, quantiles_of_errors
from dlcli.recipe.tasks.forecasting import Forecasting, Window
from dlcli.runtime.console import Console
from dlcli.tasks.forecasting.sources import window_scales

Array = npt.NDArray[Any]

MAX_RANGES = 5  # of steps ahead that are named
MIN_WINDOWS, MAX_WINDOWS, MAX_VALUES = 100, 10_000, 2**24  # of the training split, that they are fitted on


@dataclass(frozen=True)
class Baselines:
    """The baselines, by the prefix of the names of their errors.

    Attributes:
        mean: of the target in the training split, for windows without a known value.
        ridge: None if the training windows are not available, or too few are complete.
        errors: quantiles of the errors in the training split ``[horizon, levels]``, by prefix; empty without levels.
        moments: mean and standard deviation of these errors ``[2, horizon]``, by prefix; empty without levels.
    """

    window: Window
    mean: float
    ridge: LagRidge | None = None
    errors: Mapping[str, Array] = field(default_factory=dict)
    moments: Mapping[str, Array] = field(default_factory=dict)

    def forecasts(self, series: Series, origins: Index) -> dict[str, Array]:
        """The forecasts ``[n, horizon]`` of windows."""
        window = self.window
        past, _ = targets_of(series, origins)
        naive = forecast.naive(past, window.horizon, mean=self.mean)
        found = {"naive_": naive}
        found["seasonal_naive_"] = forecast.seasonal_naive(past, window.horizon, season=window.season, mean=self.mean)
        if self.ridge is not None:
            found["ridge_"] = self.ridge.predict(*_regressors(series, window, origins, naive[:, 0]))
        return found

    def quantiles(self, forecasts: Mapping[str, Array], scales: Array) -> dict[str, Array]:
        """The quantiles ``[n, horizon, levels]`` of forecasts ``[n, horizon]``: each plus those of its errors.

        Args:
            scales: by which the errors of each window were divided ``[n]``.
        """
        return {
            name: forecasts[name][..., None] + errors * scales[:, None, None] for name, errors in self.errors.items()
        }

    def distributions(self, forecasts: Mapping[str, Array], scales: Array) -> dict[str, Array]:
        """Mean and standard deviation ``[n, horizon, 2]`` of forecasts ``[n, horizon]``: each plus the mean of its
        errors, and their deviation; arguments as in :meth:`quantiles`."""
        found = {}
        for name, (mean, deviation) in self.moments.items():
            center = forecasts[name] + mean * scales[:, None]
            found[name] = np.stack([center, np.broadcast_to(deviation, center.shape) * scales[:, None]], axis=-1)
        return found


def fit_baselines(series: Series, recipe: Forecasting) -> Baselines:
    """Fit the baselines on the training windows, of many on some."""
    window, train = recipe.window, series.splits["train"]
    number = max(MIN_WINDOWS, min(MAX_WINDOWS, MAX_VALUES // (series.num_inputs * len(series.table.features))))
    origins = train.origins[evenly_spaced(len(train), number)]
    past, future = targets_of(series, origins)
    mean = float(np.nanmean(series.of_train()[:, 0])) + series.table.offset
    last = forecast.naive(past, 1, mean=mean)[:, 0]
    ridge = fit_lag_ridge(*_regressors(series, window, origins, last), future, season=window.season)
    fitted = Baselines(window, mean, ridge)
    if window.quantiles is None:
        return fitted
    scales = window_scales(series, window, origins)[:, None]
    errors = {name: (future - found) / scales for name, found in fitted.forecasts(series, origins).items()}
    return replace(
        fitted,
        errors={name: quantiles_of_errors(values, window.quantiles) for name, values in errors.items()},
        moments={name: moments_of_errors(values) for name, values in errors.items()},
    )


def _regressors(
    series: Series, window: Window, origins: Index, last: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """What ridge regression predicts from: past values, the last one, position, scale, and what is known ahead."""
    values = series.raw_windows(origins)
    ahead = values[:, window.history :, series.table.is_known_ahead].reshape(len(values), -1)
    scales = window_scales(series, window, origins)
    return values[:, : window.history], last, series.positions(origins), scales, ahead


def mase_scales(series: Series, season: int) -> dict[str, float]:
    """The scale of MASE of each series whose training rows give one, by its name."""
    scales = {
        part.series: forecast.scale_of(series.table.target[part.start : part.end], season)
        for part in series.of("train")
    }
    return {name: scale for name, scale in scales.items() if not np.isnan(scale)}


def report_baselines(metrics: dict[str, Any], rows: list[dict[str, Any]], console: Console) -> None:
    """Say which baselines the network does not beat, or at which of the steps ahead the regression is better; and how
    many of the true values the interval covers."""
    if metrics["mae"] >= min(metrics["naive_mae"], metrics["seasonal_naive_mae"]):
        console.say("no better than a naive forecast (naive_mae, seasonal_naive_mae)")
    if "ridge_mae" in metrics:
        steps = [row["step"] for row in rows if row["mae"] is not None and row["mae"] >= row["ridge_mae"]]
        name = "ridge regression on past values (ridge_mae)"
        if metrics["mae"] >= metrics["ridge_mae"]:
            console.say(f"no better than {name}, {_of_steps(steps, len(rows))}")
        elif steps:
            console.say(f"better than {name} on average, but not {_of_steps(steps, len(rows))}")
    _report_intervals(metrics, console)


def _report_intervals(metrics: dict[str, Any], console: Console) -> None:
    if "coverage" in metrics:
        nominal, covered = metrics["nominal_coverage"], metrics["coverage"]
        console.say(f"the outermost interval covers {covered:.4f} of the true values (nominal {nominal:.4f})")
    others = [
        name for name in metrics if name.endswith("_quantile_loss") and not name.endswith("weighted_quantile_loss")
    ]
    better = [name for name in others if metrics[name] <= metrics["quantile_loss"]]
    if better:
        console.say(f"the quantiles are no better than those of a baseline's training errors ({', '.join(better)})")


def _of_steps(steps: list[int], horizon: int) -> str:
    """``at steps 1, 2, 5 to 9 of 24``"""
    if len(steps) == horizon:
        return "at every step" if horizon > 1 else "at its one step"
    ranges: list[list[int]] = []
    for step in steps:
        if ranges and step == ranges[-1][1] + 1:
            ranges[-1][1] = step
        else:
            ranges.append([step, step])
    shown = [str(first) if first == last else f"{first} to {last}" for first, last in ranges[:MAX_RANGES]]
    more = ", …" if len(ranges) > MAX_RANGES else ""
    return f"at {'step' if len(steps) == 1 else 'steps'} {', '.join(shown)}{more} of {horizon}"
