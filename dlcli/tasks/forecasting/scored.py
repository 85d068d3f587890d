"""Forecasts of windows beside those of the baselines, and their metrics."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.data.splits import Index
from dlcli.evaluation import forecast, forecast_distributions, forecast_intervals
from dlcli.evaluation.forecast_distributions import Family
from dlcli.recipe.tasks.forecasting import Window
from dlcli.tasks.forecasting.network import family_of

Array = npt.NDArray[Any]
OF_INTERVALS = ("quantile_loss", "crps", "coverage")
IN_SUMMARY = ("mae", "rmse", "mase", "naive_mae", "seasonal_naive_mae", "ridge_mae", *OF_INTERVALS)
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
        distributions: mean and standard deviation of the baselines' ``[n, horizon, 2]``.
        scales: divisor of the errors of each window in the loss ``[n]``.
        mase_scales: scale of MASE of each window's series ``[n]``, NaN where unknown.
    """

    window: Window
    origins: Index
    true: Array
    outputs: Array
    baselines: Mapping[str, Array]
    quantiles: Mapping[str, Array]
    distributions: Mapping[str, Array]
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
            {name: values[rows] for name, values in self.distributions.items()},
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
        if self.window.distribution is not None:
            of_distributions, by_step = self._of_distributions(family_of(self.window.distribution), levels)
            measures |= of_distributions
            rows = [row | more for row, more in zip(rows, by_step, strict=True)]
            unit = np.broadcast_to(np.log(self.scales)[:, None], self.true.shape)[~np.isnan(self.true)].mean()
            metrics["loss"] = measures["nll"] - float(unit) - 0.5 * math.log(variance)
        return metrics | measures, rows, by_level

    def _of_distributions(self, family: Family, levels: Sequence[float]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Likelihood and CRPS of the network and of the baselines, and by step ahead."""
        parameters = {"": family.parameters(self.outputs, levels)}
        of_one = float(family.deviation(np.ones(())))
        for name, values in self.distributions.items():
            parameters[name] = values[..., 0], values[..., 1] / of_one
        return forecast_distributions.metrics(family, self.true, parameters)
