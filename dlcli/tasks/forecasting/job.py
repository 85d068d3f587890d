"""The training job of forecasting."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from dlcli.data.series.windows import Series, WindowBatches
from dlcli.data.splits import evenly_spaced
from dlcli.evaluation import forecast
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.report.cost.layer_table import layer_table
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.report.plots import sequences as sequence_plots
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_file
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.checks import build_checked
from dlcli.tasks.evaluation_files import Destination
from dlcli.tasks.forecasting.baselines import fit_baselines
from dlcli.tasks.forecasting.evaluation import evaluate_windows
from dlcli.tasks.forecasting.network import build_forecaster
from dlcli.tasks.forecasting.sources import open_series, targets_in_parts
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.sequences.encoders import Scale, SequenceNetwork
from dlcli.tasks.sequences.network_job import NetworkJob
from dlcli.tasks.sequences.scaling import usable_variance
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.objectives.objective import Objective

ROUNDED = 0.05  # of the standard deviation of what is learned; larger steps between numbers are warned of


@dataclass(frozen=True)
class ForecastJob(NetworkJob):
    """A job that trains a network to forecast the next steps of a series."""

    recipe: Forecasting
    dataset: Series
    scale: Scale
    train_data: WindowBatches
    validation_data: WindowBatches | None

    def objective(self, *, in_training: bool, losses: str = "all", exact: bool = False) -> Objective:
        levels, variance = self.recipe.window.quantiles, self.scale.target_variance
        if levels is not None:
            return sequence_objectives.quantile_forecast(levels=levels, deviation=variance**0.5)
        return sequence_objectives.forecast(variance=variance)

    def overfit_data(self, num_batches: int) -> WindowBatches:
        origins, train = self.dataset.splits["train"].origins, self.recipe.train
        chosen = evenly_spaced(len(origins), num_batches * train.batch_size)
        return WindowBatches(self.dataset, origins[chosen], batch_size=train.batch_size, seed=train.seed)

    def data_summary(self) -> str:
        window, features = self.recipe.window, self.dataset.table.features
        others = f"; features: {', '.join(features[1:])}" if features[1:] else ""
        steps = "step" if window.horizon == 1 else "steps"
        return f"forecasts {window.horizon} {steps} of {features[0]} from the last {window.history}{others}"

    def data_notes(self) -> list[str]:
        times, start, lines = self.dataset.table.times, 0, []
        for split, end in self.dataset.ends.items():
            lines.append(f"{split}: {times[start]} to {times[end - 1]}")
            start = end
        missing = np.isnan(self.dataset.table.values).mean(axis=0)
        lines += [
            f"{name}: {share:.1%} of the values are missing"
            for name, share in zip(self.dataset.table.features, missing, strict=True)
            if share > 0
        ]
        return lines

    def data_info(self) -> dict[str, Any]:
        return {
            "features": list(self.dataset.table.features),
            "scale": {"mean": self.scale.mean.tolist(), "variance": self.scale.variance.tolist()},
            "target": {"mean": self.scale.target_mean, "variance": self.scale.target_variance},
            "mase_scale": forecast.scale_of(
                self.dataset.table.target[: self.dataset.ends["train"]], self.recipe.window.season
            ),
        }

    def write_initial_files(self, run: RunDir) -> None:
        series = self.dataset
        replace_file(
            run.plots / "series.png",
            sequence_plots.series(series.table.values[:, 0], series.ends, series.table.features[0]),
        )

    def build_model(self) -> keras.Model:
        return build_forecaster(self.recipe.model, self.scale, self.recipe.window).model

    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        return evaluate_windows(
            Destination(run.evaluation(split)),
            model,
            self.dataset,
            self.dataset.splits[split],
            recipe=self.recipe,
            info=run.read_info()["data"],
            baselines=fit_baselines(self.dataset, self.recipe),
            console=self.console,
        )


def prepare(loaded: LoadedRecipe, recipe: Forecasting, device: Device, console: Console) -> ForecastJob:
    """Read the series, check the recipe against it, and build the model.

    Raises:
        InputError: the series or the recipe cannot be used.
    """
    series = open_series(loaded, recipe)
    _check_digits(loaded, recipe, series, console)
    scale = _fit(loaded, recipe, series)
    validation = series.splits.get("validation")
    train, window = recipe.train, recipe.window
    origins = series.splits["train"].origins

    def build() -> SequenceNetwork:
        return build_forecaster(recipe.model, scale, window)

    def memory() -> TrainingMemory:
        return training_memory_of(layer_table(build().model), train, len(origins))[0]

    network = build_checked(loaded, has_validation=validation is not None, memory_of=memory, build=build)
    return ForecastJob(
        loaded=loaded,
        recipe=recipe,
        dataset=series,
        scale=scale,
        network=network,
        train_data=WindowBatches(series, origins, batch_size=train.batch_size, seed=train.seed),
        validation_data=None
        if validation is None
        else WindowBatches(series, validation.origins, batch_size=train.batch_size),
        device=device,
        console=console,
    )


def _check_digits(loaded: LoadedRecipe, recipe: Forecasting, series: Series, console: Console) -> None:
    """Refuse, or warn of, a target that varies so little for its size that float32 rounds away what is to be learned.

    Raises:
        InputError: the steps between numbers in float32 are larger than the target's standard deviation.
    """
    window, train = recipe.window, series.table.target[: series.ends["train"]]
    lag = {"none": 0, "last": 1, "season": window.season}[window.difference]
    learned = train[lag:] - train[:-lag] if lag else train
    if np.isnan(learned).all():
        return
    deviation, largest = float(np.nanstd(learned)), float(np.nanmax(np.abs(train)))
    step = float(np.spacing(np.float32(largest)))
    if deviation == 0 or step <= ROUNDED * deviation:
        return
    noun = "its differences have" if lag else "it has"
    reason = (
        f"varies too little for its size: near {largest:.15g} the numbers of float32, in which networks compute, are "
        f"{step:g} apart, and {noun} a standard deviation of {deviation:.3g} in the training split; subtract a "
        f"constant such as {round(float(np.nanmean(train)))} from the column"
    )
    if step > deviation:
        raise loaded.error("data.target", reason)
    console.warn(f"data.target: {reason}")


def _fit(loaded: LoadedRecipe, recipe: Forecasting, series: Series) -> Scale:
    """Fit the scale of each feature, and of the values to learn, on the training rows alone."""
    rows, window = series.of_train(), recipe.window
    empty = [name for name, column in zip(series.table.features, rows.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise loaded.error("data", f"column '{empty[0]}' has no values in the training split; remove it")
    mean = np.asarray(np.nanmean(rows, axis=0, dtype=np.float64))
    variance = np.asarray(np.nanvar(rows, axis=0, dtype=np.float64))
    variance = usable_variance(loaded, series.table.features, rows, variance)
    parts = []
    for past, future in targets_in_parts(series, series.splits["train"]):
        base: Any = 0.0
        if window.difference == "last":
            base = forecast.naive(past, window.horizon, mean=mean[0])
        elif window.difference == "season":
            base = forecast.seasonal_naive(past, window.horizon, season=window.season, mean=mean[0])
        parts.append(future.astype(np.float64) - base)
    targets = np.concatenate(parts)
    if np.nanmin(targets) == np.nanmax(targets):
        rule = "the values to learn must vary, but are the same throughout the training split"
        reason = f": it holds one window of {window.history} + {window.horizon} steps; lower window.history"
        raise loaded.error("data.target", f"{rule}{reason if len(series.splits['train']) == 1 else ''}")
    target_variance = float(np.nanvar(targets))
    return Scale(mean, variance, float(np.nanmean(targets)), target_variance)
