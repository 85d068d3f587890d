"""The training job of forecasts, their evaluation, and the next steps of a series."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.series.time_table import Table, read_table
from dlcli.data.series.windows import Series, WindowBatches, Windows, divide_by_time
from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.evaluation import forecast
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.tasks.forecasting import Forecasting, TimeTable
from dlcli.report.cost.layer_table import layer_table
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.report.plots import sequences as sequence_plots
from dlcli.rundir import RunDir, csv_text, now, replace_file, replace_json
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.objectives.objective import Objective
from dlcli.workflow.job import (
    OWN_DATA,
    best_metric_of,
    check_memory,
    check_metrics,
    check_same_data,
    own_split,
    training_memory_of,
)
from dlcli.workflow.load import load_keras_file, model_file
from dlcli.workflow.network_job import NetworkJob
from dlcli.workflow.ranking import write_rows
from dlcli.workflow.scaling import usable_variance
from dlcli.workflow.sequence_model import Scale, build_forecaster
from dlcli.workflow.start import Device, set_precision, set_seed
from dlcli.workflow.talk import Talk

AT_A_TIME = 1024  # windows that are forecast at once
NUM_SHOWN = 4  # forecasts in forecasts.png


@dataclass(frozen=True)
class ForecastJob(NetworkJob):
    """A series, and a network that forecasts its next steps."""

    recipe: Forecasting
    dataset: Series
    scale: Scale
    train_data: WindowBatches
    validation_data: WindowBatches | None

    def objective(self, *, in_training: bool, losses: str = "all", exact: bool = False) -> Objective:
        return sequence_objectives.forecast(variance=self.scale.target_variance)

    def overfit_data(self, num_batches: int) -> WindowBatches:
        origins, train = self.dataset.splits["train"].origins, self.recipe.train
        chosen = evenly_spaced(len(origins), num_batches * train.batch_size)
        return WindowBatches(self.dataset, origins[chosen], batch_size=train.batch_size, seed=train.seed)

    def data_line(self) -> str:
        window, features = self.recipe.window, self.dataset.table.features
        others = f" and {', '.join(features[1:])}" if features[1:] else ""
        steps = "step" if window.horizon == 1 else "steps"
        return f"{window.horizon} {steps} of {features[0]} from the last {window.history}{others}"

    def more_lines(self) -> list[str]:
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
        train = self.dataset.of_train()
        return {
            "pictures": None,
            "features": list(self.dataset.table.features),
            "scale": {"mean": self.scale.mean.tolist(), "variance": self.scale.variance.tolist()},
            "target": {"mean": self.scale.target_mean, "variance": self.scale.target_variance},
            "mase_scale": forecast.scale_of(train[:, 0], self.recipe.window.season),
        }

    def write_beginning(self, run: RunDir) -> None:
        series = self.dataset
        replace_file(
            run.plots / "series.png",
            sequence_plots.series(series.table.values[:, 0], series.ends, series.table.features[0]),
        )

    def build_model(self) -> keras.Model:
        return build_forecaster(self.recipe.model, self.scale, self.recipe.window).model

    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        return _evaluate(
            run.evaluation(split),
            model,
            self.dataset,
            self.dataset.splits[split],
            recipe=self.recipe,
            info=run.read_info()["data"],
            source=OWN_DATA,
            talk=self.talk,
        )


def prepare(loaded: LoadedRecipe, recipe: Forecasting, device: Device, talk: Talk) -> ForecastJob:
    """Reads the series, checks the recipe against it, and builds the model.

    Raises:
        InputError: the series or the recipe cannot be used.
    """
    series = open_series(loaded, recipe)
    scale = _fit(loaded, recipe, series)
    validation = series.splits.get("validation")
    check_metrics(loaded, has_validation=validation is not None)
    train, window = recipe.train, recipe.window
    origins = series.splits["train"].origins

    def memory() -> TrainingMemory:
        table = layer_table(build_forecaster(recipe.model, scale, window).model)
        return training_memory_of(table, train, len(origins))[0]

    check_memory(loaded, memory)
    set_seed(train.seed, deterministic=train.deterministic)
    set_precision(train.precision)
    return ForecastJob(
        loaded=loaded,
        recipe=recipe,
        dataset=series,
        scale=scale,
        network=build_forecaster(recipe.model, scale, window),
        train_data=WindowBatches(series, origins, batch_size=train.batch_size, seed=train.seed),
        validation_data=None
        if validation is None
        else WindowBatches(series, validation.origins, batch_size=train.batch_size),
        best_metric=best_metric_of(train, has_validation=validation is not None),
        device=device,
        talk=talk,
    )


def open_series(loaded: LoadedRecipe, recipe: Forecasting) -> Series:
    section, window = recipe.data, recipe.window
    loaded.check_data_path()
    return divide_by_time(
        _read(section),
        source=section.path,
        history=window.history,
        horizon=window.horizon,
        validation=section.validation,
        test=section.test,
        stride=window.stride,
    )


def _read(section: TimeTable, path: Path | None = None) -> Table:
    return read_table(
        path=section.path if path is None else path,
        time=section.time,
        target=section.target,
        features=section.features,
        on_missing=section.on_missing,
    )


def _fit(loaded: LoadedRecipe, recipe: Forecasting, series: Series) -> Scale:
    """Of the training rows alone: each feature's scale, and that of what is learned."""
    rows, window = series.of_train(), recipe.window
    empty = [name for name, column in zip(series.table.features, rows.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise loaded.fault("data", f"column '{empty[0]}' has no value in the training split; leave it out")
    mean = np.asarray(np.nanmean(rows, axis=0, dtype=np.float64))
    variance = np.asarray(np.nanvar(rows, axis=0, dtype=np.float64))
    variance = usable_variance(loaded, series.table.features, rows, variance)
    parts = []
    for past, future in _in_parts(series, series.splits["train"]):
        base: Any = 0.0
        if window.difference == "last":
            base = forecast.naive(past, window.horizon, mean=mean[0])
        elif window.difference == "season":
            base = forecast.seasonal_naive(past, window.horizon, season=window.season, mean=mean[0])
        parts.append(future.astype(np.float64) - base)
    learned = np.concatenate(parts)
    if np.nanmin(learned) == np.nanmax(learned):
        only = f": it holds one window of {window.history} + {window.horizon} steps; lower window.history"
        what = "what is to be learned is the same at every step of the training split"
        raise loaded.fault("data.target", f"{what}{only if len(series.splits['train']) == 1 else ''}")
    target_variance = float(np.nanvar(learned))
    return Scale(mean, variance, float(np.nanmean(learned)), target_variance)


def _in_parts(series: Series, windows: Windows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of some windows at a time the target's history ``[n, history]`` and what is to be forecast ``[n, horizon]``."""
    for start in range(0, len(windows), AT_A_TIME):
        past, future = series.windows(windows.origins[start : start + AT_A_TIME])
        yield past[..., 0], future


# Evaluate and predict -------------------------------------------------------------------------------------------------


def evaluate(run: RunDir, recipe: Forecasting, *, split: str | None, data: Path | None, talk: Talk) -> dict[str, Any]:
    """As :func:`dlcli.workflow.evaluate.evaluate`; other data are another table with the same columns.

    Raises:
        InputError: there is no model yet, or the data cannot be used.
    """
    model = _load(run, recipe)
    source = OWN_DATA if data is None else str(data.absolute())
    if data is None:
        series = open_series(load(run.config), recipe)
        check_same_data(run, series)
        name = own_split(run, series.splits, split)
        windows = series.splits[name]
    else:
        if data.suffix != ".csv":
            raise InputError(f"{data}: expected a .csv with the columns of the training data.")
        if split is not None:
            raise InputError(f"--split: {data} is measured as a whole; leave it out.")
        window = recipe.window
        series = divide_by_time(
            _read(recipe.data, data),
            source=str(data),
            history=window.history,
            horizon=window.horizon,
            validation=0.0,
            test=0.0,
            stride=1,
        )
        name, windows = f"{data.stem}-all", series.splits["train"]
        features = run.read_data_info("features")["features"]
        if list(series.table.features) != features:
            raise InputError(f"{data}: must have the columns {', '.join(features)}.")
    name = run.free_evaluation(name, source)
    talk.say(f"run {run.path}: evaluating {len(windows):,} forecasts of {name}")
    folder = run.evaluation(name)
    metrics = _evaluate(
        folder,
        model,
        series,
        windows,
        recipe=recipe,
        info=run.read_data_info("scale", "mase_scale", "target"),
        source=source,
        talk=talk,
    )
    return {"run": str(run.path), "split": name, "folder": str(folder), **metrics}


def predict(run: RunDir, recipe: Forecasting, paths: list[Path], *, output: Path | None, talk: Talk) -> dict[str, Any]:
    """The steps after the last row of each table.

    Raises:
        InputError: a table cannot be used, or is shorter than what a forecast sees.
    """
    model, window = _load(run, recipe), recipe.window
    features = run.read_data_info("features")["features"]
    predictions: list[dict[str, Any]] = []
    for path in paths:
        table = _read(recipe.data.model_copy(update={"features": tuple(features[1:])}), path)
        if len(table.values) < window.history:
            raise InputError(
                f"{path}: a forecast sees {window.history} rows. Received {len(table.values)}: give more of the past."
            )
        values = model(tf.constant(table.values[None, -window.history :]), training=False).numpy()[0]
        predictions += [
            {"file": str(path), "after": table.times[-1], "step": step, "predicted": float(value)}
            for step, value in enumerate(values, start=1)
        ]
    if output is not None:
        write_rows(output, list(predictions[0]), [list(row.values()) for row in predictions])
        talk.say(f"{len(predictions):,} rows in {output}")
    return {"run": str(run.path), "predictions": predictions, "left_out": []}


def _load(run: RunDir, recipe: Forecasting) -> keras.Model:
    model = load_keras_file(model_file(run))
    window, features = recipe.window, run.read_data_info("features")["features"]
    found = (list(model.inputs[0].shape[1:]), list(model.output.shape[1:]))
    if found != ([window.history, len(features)], [window.horizon]):
        raise InputError(
            f"{run.model}: is not the model that this run saved: it takes {found[0]} and gives {found[1]}."
        )
    return model


def _evaluate(
    folder: Path,
    model: keras.Model,
    series: Series,
    windows: Windows,
    *,
    recipe: Forecasting,
    info: dict[str, Any],
    source: str,
    talk: Talk,
) -> dict[str, Any]:
    """Writes metrics.json, by_horizon.csv, predictions.csv and two plots."""
    parts, naive, seasonal, true_parts = [], [], [], []
    mean, window = info["scale"]["mean"][0], recipe.window
    compiled = tf.function(lambda x: model(x, training=False), reduce_retracing=True, autograph=False)
    for start in range(0, len(windows), AT_A_TIME):
        past, future = series.windows(windows.origins[start : start + AT_A_TIME])
        parts.append(compiled(tf.constant(past)).numpy())
        true_parts.append(future)
        naive.append(forecast.naive(past[..., 0], window.horizon, mean=mean))
        seasonal.append(forecast.seasonal_naive(past[..., 0], window.horizon, season=window.season, mean=mean))
        talk.evaluating(min(start + AT_A_TIME, len(windows)), len(windows))
    predicted, true = np.concatenate(parts), np.concatenate(true_parts)
    metrics, rows = forecast.metrics(
        true,
        {"": predicted, "naive_": np.concatenate(naive), "seasonal_naive_": np.concatenate(seasonal)},
        scale=info["mase_scale"],
        variance=info["target"]["variance"],
    )
    best = min(metrics["naive_mae"], metrics["seasonal_naive_mae"])
    if metrics["mae"] >= best:
        talk.say("no better than a naive forecast (naive_mae, seasonal_naive_mae)")
    folder.mkdir(parents=True, exist_ok=True)
    replace_json(folder / "metrics.json", {"data": source, "evaluated": now(), **metrics})
    replace_file(folder / "by_horizon.csv", csv_text(list(rows[0]), (list(row.values()) for row in rows)))
    times = series.table.times
    table = (
        [times[origin - 1], step + 1, times[origin + step], "" if np.isnan(t) else f"{t:.9g}", f"{p:.9g}"]
        for origin, own, found in zip(windows.origins, true, predicted, strict=True)
        for step, (t, p) in enumerate(zip(own, found, strict=True))
    )
    replace_file(folder / "predictions.csv", csv_text(["after", "step", "time", "true", "predicted"], table))
    chosen = evenly_spaced(len(windows), NUM_SHOWN)
    past, _ = series.windows(windows.origins[chosen])
    replace_file(
        folder / "forecasts.png",
        sequence_plots.forecasts(
            past[..., 0], true[chosen], predicted[chosen], [times[i - 1] for i in windows.origins[chosen]]
        ),
    )
    replace_file(folder / "by_horizon.png", sequence_plots.errors_ahead(rows))
    return metrics
