"""Forecasts of windows beside those of the baselines, and their metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.data.splits import Index
from dlcli.evaluation import forecast, forecast_intervals
from dlcli.recipe.tasks.forecasting import Window

Array = npt.NDArray[Any]
IN_SUMMARY = ("mae", "rmse", "mase", "naive_mae", "seasonal_naive_mae", "ridge_mae", "quantile_loss", "coverage")
"""The metrics in tables by series and by origin."""


@dataclass(frozen=True)
class Scored:
    """Forecasts of windows.

    Attributes:
        origins: the row at which each forecast starts ``[n]``.
        true: ``[n, horizon]``, NaN where missing.
        outputs: of the network ``[n, horizon]``, or quantiles ``[n, horizon, levels]``.
        baselines: ``[n, horizon]`` each, by the prefix of the names of their errors.
        quantiles: of the baselines ``[n, horizon, levels]``.
        scales: divisor of the errors of each window in the loss ``[n]``.
        mase_scales: scale of MASE of each window's series ``[n]``, NaN where unknown.
    """

    window: Window
    origins: Index
    true: Array
    outputs: Array
    baselines: Mapping[str, Array]
    quantiles: Mapping[str, Array]
    scales: Array
    mase_scales: Array

    @property
    def predicted(self) -> Array:
        """The forecasts of the network ``[n, horizon]``."""
        levels = self.window.quantiles
        return self.outputs if levels is None else self.outputs[..., levels.index(0.5)]

    def take(self, rows: Array) -> "Scored":
        """Some of the windows."""
        return Scored(
            self.window,
            self.origins[rows],
            self.true[rows],
            self.outputs[rows],
            {name: values[rows] for name, values in self.baselines.items()},
            {name: values[rows] for name, values in self.quantiles.items()},
            self.scales[rows],
            self.mase_scales[rows],
        )

    def metrics(self, variance: float) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
        """The metrics, the rows of by_horizon.csv, and those of by_level.csv.

        Args:
            variance: of the values that the network learns.
        """
        metrics, rows = forecast.metrics(
            self.true,
            {"": self.predicted, **self.baselines},
            scale=self.mase_scales,
            variance=variance * self.scales**2,
        )
        levels = self.window.quantiles
        if levels is None:
            return metrics, rows, []
        found = {"": self.outputs, **self.quantiles}
        measures, by_step, by_level = forecast_intervals.metrics(self.true, found, levels)
        losses = forecast_intervals.quantile_losses(self.true, self.outputs, levels)
        metrics["loss"] = float(np.nanmean(losses / self.scales[:, None, None])) / variance**0.5
        rows = [row | more for row, more in zip(rows, by_step, strict=True)]
        return metrics | measures, rows, by_level
