"""The training job of forecasting."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from dlcli.data.series.steps import usual_step
from dlcli.data.series.windows import Series, WindowBatches
from dlcli.data.splits import Index, evenly_spaced
from dlcli.recipe.language.errors import shortened
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
from dlcli.tasks.forecasting.baselines import fit_baselines, mase_scales
from dlcli.tasks.forecasting.network import build_forecaster, family_of
from dlcli.tasks.forecasting.scoring import evaluate_windows
from dlcli.tasks.forecasting.sources import digits_of, learned_values, open_series, window_scales
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.sequences.encoders import Scale, SequenceNetwork, own_layers
from dlcli.tasks.sequences.network_job import NetworkJob
from dlcli.tasks.sequences.scaling import usable_variance
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.objectives.objective import Objective

MAX_NAMED = 20  # features in the summary of the data: a static column may have one for each series
NUM_SHOWN = 6  # series in series.png


@dataclass(frozen=True)
class ForecastJob(NetworkJob):
    """A job that trains a network to forecast the next steps of a series."""

    recipe: Forecasting
    dataset: Series
    scale: Scale
    train_data: WindowBatches
    validation_data: WindowBatches | None

    @property
    def custom_layers(self) -> list[str]:
        return own_layers(self.recipe.model)

    def objective(self, *, in_training: bool, losses: str = "all", exact: bool = False) -> Objective:
        levels, variance = self.recipe.window.quantiles, self.scale.target_variance
        distribution = self.recipe.window.distribution
        if distribution is not None:
            freedom = family_of(distribution).degrees_of_freedom
            return sequence_objectives.distribution_forecast(degrees_of_freedom=freedom, deviation=variance**0.5)
        if levels is not None:
            return sequence_objectives.quantile_forecast(levels=levels, deviation=variance**0.5)
        return sequence_objectives.forecast(variance=variance)

    def overfit_data(self, num_batches: int) -> WindowBatches:
        origins, train = self.dataset.splits["train"].origins, self.recipe.train
        chosen = evenly_spaced(len(origins), num_batches * train.batch_size)
        return batches(self.dataset, self.recipe, origins[chosen], seed=train.seed)

    def data_summary(self) -> str:
        window, features = self.recipe.window, self.dataset.table.features
        others = f"; features: {', '.join(map(shortened, features[1 : MAX_NAMED + 1]))}" if features[1:] else ""
        others += f" and {len(features) - 1 - MAX_NAMED:,} more" if len(features) - 1 > MAX_NAMED else ""
        steps = "step" if window.horizon == 1 else "steps"
        return f"forecasts {window.horizon} {steps} of {features[0]} from the last {window.history}{others}"

    def data_notes(self) -> list[str]:
        times, table = self.dataset.table.times, self.dataset.table
        lines = [f"{len(table.parts):,} series"] if table.parts else []
        for split in ("train", "validation", "test"):
            parts = self.dataset.of(split)
            if table.parts and parts:
                rows = sum(part.end - part.start for part in parts)
                lines.append(f"{split}: {rows:,} rows of {len(parts):,} series")
            elif parts:
                lines.append(f"{split}: {times[parts[0].start]} to {times[parts[0].end - 1]}")
        if table.offset:
            lines.append(f"{table.features[0]}: {table.offset:.15g} is subtracted, and added to the forecasts")
        missing = np.isnan(table.values).mean(axis=0)
        lines += [
            f"{name}: {share:.1%} of the values are missing"
            for name, share in zip(table.features, missing, strict=True)
            if share > 0
        ]
        return lines

    def data_info(self) -> dict[str, Any]:
        table = self.dataset.table
        scales = mase_scales(self.dataset, self.recipe.window.season)
        return {
            "features": list(table.features),
            "offset": table.offset,
            "step": usual_step(table.moments, table.series),
            "known_ahead": list(table.known_ahead),
            "categories": {name: list(values) for name, values in table.categories.items()},
            "scale": {"mean": self.scale.mean.tolist(), "variance": self.scale.variance.tolist()},
            "target": {"mean": self.scale.target_mean, "variance": self.scale.target_variance},
            "mase_scale": scales if table.parts else scales.get(""),
        }

    def write_initial_files(self, run: RunDir) -> None:
        table, shown = self.dataset.table, []
        for number in evenly_spaced(len(table.series), NUM_SHOWN):
            name, first = table.series[number].name, table.series[number].start
            parts = [part for part in self.dataset.stretches if part.series == name]
            values = {part.split: (part.start - first, table.target[part.start : part.end]) for part in parts}
            shown.append((name, values))
        replace_file(run.plots / "series.png", sequence_plots.series(shown, table.features[0]))

    def build_model(self) -> keras.Model:
        return build_forecaster(
            self.recipe.model, self.scale, self.recipe.window, known_ahead(self.dataset), self.dataset.table.offset
        ).model

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
        return build_forecaster(recipe.model, scale, window, known_ahead(series), series.table.offset)

    def memory() -> TrainingMemory:
        return training_memory_of(layer_table(build().model), train, len(origins))[0]

    network = build_checked(loaded, has_validation=validation is not None, memory_of=memory, build=build)
    return ForecastJob(
        loaded=loaded,
        recipe=recipe,
        dataset=series,
        scale=scale,
        network=network,
        train_data=batches(series, recipe, origins, seed=train.seed),
        validation_data=None if validation is None else batches(series, recipe, validation.origins),
        device=device,
        console=console,
    )


def batches(series: Series, recipe: Forecasting, origins: Index, *, seed: int | None = None) -> WindowBatches:
    """Batches of windows, in a random order that a seed draws for each epoch, or in that of the origins."""
    scales = window_scales(series, recipe.window, origins)
    return WindowBatches(series, origins, batch_size=recipe.train.batch_size, seed=seed, scales=scales)


def known_ahead(series: Series) -> list[int]:
    """The positions of the features that are known ahead."""
    return [int(position) for position in np.flatnonzero(series.table.is_known_ahead)]


def _check_digits(loaded: LoadedRecipe, recipe: Forecasting, series: Series, console: Console) -> None:
    """Refuse, or warn of, a target that varies so little for its size that float32 rounds away what is to be learned,
    even without its offset.

    Raises:
        InputError: the steps between numbers in float32 are larger than the target's standard deviation.
    """
    digits = digits_of(series, recipe.window)
    if digits is None or not digits.are_lost:
        return
    noun = "it has" if recipe.window.difference == "none" else "its differences have"
    reason = (
        f"varies too much for its changes: near {digits.largest:.15g} the numbers of float32, in which networks "
        f"compute, are {digits.step:g} apart, and {noun} a standard deviation of {digits.deviation:.3g} in the "
        "training split; give a column of the changes"
    )
    if digits.step > digits.deviation:
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
    targets = learned_values(series, window, mean=float(mean[0]))
    if np.nanmin(targets) == np.nanmax(targets):
        rule = "the values to learn must vary, but are the same throughout the training split"
        reason = f": it holds one window of {window.history} + {window.horizon} steps; lower window.history"
        raise loaded.error("data.target", f"{rule}{reason if len(series.splits['train']) == 1 else ''}")
    target_variance = float(np.nanvar(targets))
    return Scale(mean, variance, float(np.nanmean(targets)), target_variance)
