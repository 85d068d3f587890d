"""Evaluates a forecaster on a split or on another table, next to the naive forecasts."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.series.windows import Series, Windows, divide_by_time, targets_of
from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.evaluation import forecast
from dlcli.files import suffix_of
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.report.plots import sequences as sequence_plots
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data, own_data_at
from dlcli.tasks.evaluation_files import Destination, Source, write_evaluation
from dlcli.tasks.forecasting.sources import FORECAST_BATCH, open_series, read_time_table
from dlcli.tasks.run_models import BestModel, load_model
from dlcli.tasks.split_choice import OWN_DATA, own_split
from dlcli.tasks.task import EvaluationRequest

NUM_SHOWN = 4  # forecasts in forecasts.png


def evaluate(run: RunDir, recipe: Forecasting, request: EvaluationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.evaluate`; other data are a table with the same columns.

    Raises:
        InputError: there is no model yet, or the data cannot be used.
    """
    split, data = request.split, request.data
    best = load_forecaster(run, recipe, console)
    moved = None if data is None else own_data_at(run, data, _open, console)
    is_own = data is None or moved is not None
    source = Source(OWN_DATA if is_own else str(data and data.absolute()), best.epoch)
    if data is None or moved is not None:
        series = moved or open_series(load(run.config), recipe)
        check_same_data(run, series)
        name = own_split(run, series.splits, split)
        windows = series.splits[name]
    else:
        if suffix_of(data) != ".csv":
            raise InputError(f"{data}: expected a .csv with the columns of the training data.")
        if split is not None:
            raise InputError(f"--split: {data} is not divided into splits and is evaluated as a whole. Omit --split.")
        window = recipe.window
        series = divide_by_time(
            read_time_table(recipe.data, data),
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
            raise InputError(
                f"{data}: must have the columns {', '.join(features)}. Received {', '.join(series.table.features)}."
            )
    name = run.free_evaluation(name, source.data)
    console.say(f"run {run.path}: evaluating {len(windows):,} forecasts of {name}")
    to = Destination(run.evaluation(name), source, request)
    metrics = evaluate_windows(
        to,
        best.model,
        series,
        windows,
        recipe=recipe,
        info=run.read_data_info("scale", "mase_scale", "target"),
        console=console,
    )
    return {"run": str(run.path), "split": name, "folder": str(to.folder), **source.facts, **metrics}


def _open(loaded: LoadedRecipe) -> Series:
    assert isinstance(loaded.recipe, Forecasting)
    return open_series(loaded, loaded.recipe)


def load_forecaster(run: RunDir, recipe: Forecasting, console: Console) -> BestModel:
    """Load the best model of a run: float32 ``[b, history, features]`` -> ``[b, horizon]``.

    Raises:
        InputError: there is no model yet, or it is corrupt.
    """
    best = load_model(run, console)
    model = best.model
    window, features = recipe.window, run.read_data_info("features")["features"]
    expected = ([window.history, len(features)], [window.horizon])
    received = (list(model.inputs[0].shape[1:]), list(model.output.shape[1:]))
    if received != expected:
        raise InputError(
            f"{run.model}: is not the model that this run saved: it must have the input shape {expected[0]} and the "
            f"output shape {expected[1]}. Received {received[0]} and {received[1]}."
        )
    return best


def evaluate_windows(
    to: Destination,
    model: keras.Model,
    series: Series,
    windows: Windows,
    *,
    recipe: Forecasting,
    info: dict[str, Any],
    console: Console,
) -> dict[str, Any]:
    """Evaluate a model on windows of a series; write metrics.json, by_horizon.csv, predictions.csv and two plots."""
    parts, naive, seasonal, true_parts = [], [], [], []
    mean, window = info["scale"]["mean"][0], recipe.window
    compiled = tf.function(lambda x: model(x, training=False), reduce_retracing=True, autograph=False)
    for start in range(0, len(windows), FORECAST_BATCH):
        origins = windows.origins[start : start + FORECAST_BATCH]
        parts.append(compiled(tf.constant(series.windows(origins)[0])).numpy())
        past, future = targets_of(series, origins)  # float32 would round large values
        true_parts.append(future)
        naive.append(forecast.naive(past, window.horizon, mean=mean))
        seasonal.append(forecast.seasonal_naive(past, window.horizon, season=window.season, mean=mean))
        console.evaluating(min(start + FORECAST_BATCH, len(windows)), len(windows))
    predicted, true = np.concatenate(parts), np.concatenate(true_parts)
    metrics, rows = forecast.metrics(
        true,
        {"": predicted, "naive_": np.concatenate(naive), "seasonal_naive_": np.concatenate(seasonal)},
        scale=info["mase_scale"],
        variance=info["target"]["variance"],
    )
    best_naive_mae = min(metrics["naive_mae"], metrics["seasonal_naive_mae"])
    if metrics["mae"] >= best_naive_mae:
        console.say("no better than a naive forecast (naive_mae, seasonal_naive_mae)")
    times = series.table.times
    predictions = [
        {
            "after": times[origin - 1],
            "step": step + 1,
            "time": times[origin + step],
            "true": "" if np.isnan(t) else f"{t:.15g}",
            "predicted": f"{p:.9g}",
        }
        for origin, true_steps, predicted_steps in zip(windows.origins, true, predicted, strict=True)
        for step, (t, p) in enumerate(zip(true_steps, predicted_steps, strict=True))
    ]
    chosen = evenly_spaced(len(windows), NUM_SHOWN)
    histories, _ = series.windows(windows.origins[chosen])
    write_evaluation(
        to,
        metrics,
        tables={"by_horizon.csv": rows, "predictions.csv": predictions},
        others={
            "forecasts.png": sequence_plots.forecasts(
                histories[..., 0], true[chosen], predicted[chosen], [times[i - 1] for i in windows.origins[chosen]]
            ),
            "by_horizon.png": sequence_plots.errors_ahead(rows),
        },
    )
    return metrics
