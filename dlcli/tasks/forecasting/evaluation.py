"""Evaluates a forecaster on a split or on another table, next to the naive forecasts."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.series.windows import Series, Windows, divide_by_time, targets_of
from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.evaluation import forecast, forecast_intervals
from dlcli.files import suffix_of
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.report.plots import sequences as sequence_plots
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data, own_data_at
from dlcli.tasks.evaluation_files import Destination, Source, write_evaluation
from dlcli.tasks.forecasting.baselines import Baselines, fit_baselines, report_baselines
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
    trained_on = series if is_own else own_series(run, recipe, needed_for="ridge regression", console=console)
    info = run.read_data_info("scale", "mase_scale", "target")
    baselines = Baselines(recipe.window, info["scale"]["mean"][0])
    if trained_on is not None:
        baselines = fit_baselines(trained_on, recipe)
    metrics = evaluate_windows(
        to,
        best.model,
        series,
        windows,
        recipe=recipe,
        info=info,
        baselines=baselines,
        console=console,
    )
    return {"run": str(run.path), "split": name, "folder": str(to.folder), **source.facts, **metrics}


def own_series(run: RunDir, recipe: Forecasting, *, needed_for: str | None = None, console: Console) -> Series | None:
    """The run's own data.

    Args:
        needed_for: all that is lost without them, such as ``permutation importance``; None if they cannot be done
            without.

    Returns:
        None if they are not available and can be done without.

    Raises:
        InputError: they cannot be used, nor done without.
    """
    try:
        series = open_series(load(run.config), recipe)
        check_same_data(run, series)
    except InputError as error:
        if needed_for is None:
            raise
        console.warn(f"{needed_for} is not available: {error}")
        return None
    return series


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
    levels = [] if window.quantiles is None else [len(window.quantiles)]
    expected = ([window.history, len(features)], [window.horizon, *levels])
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
    baselines: Baselines,
    console: Console,
) -> dict[str, Any]:
    """Evaluate a model on windows of a series; write metrics.json, by_horizon.csv, predictions.csv and two plots, with
    quantiles also by_level.csv."""
    parts, true_parts, others = [], [], []
    levels = recipe.window.quantiles
    compiled = tf.function(lambda x: model(x, training=False), reduce_retracing=True, autograph=False)
    for start in range(0, len(windows), FORECAST_BATCH):
        origins = windows.origins[start : start + FORECAST_BATCH]
        values, _ = series.windows(origins)
        parts.append(compiled(tf.constant(values)).numpy())
        past, future = targets_of(series, origins)  # float32 would round large values
        true_parts.append(future)
        others.append(baselines.forecasts(values, past, origins))
        console.evaluating(min(start + FORECAST_BATCH, len(windows)), len(windows))
    outputs, true = np.concatenate(parts), np.concatenate(true_parts)
    predicted = outputs if levels is None else outputs[..., levels.index(0.5)]
    forecasts = {name: np.concatenate([found[name] for found in others]) for name in others[0]}
    variance = info["target"]["variance"]
    metrics, rows = forecast.metrics(true, {"": predicted, **forecasts}, scale=info["mase_scale"], variance=variance)
    tables: dict[str, list[dict[str, Any]]] = {"by_horizon.csv": rows}
    if levels is not None:
        quantiles = {"": outputs, **baselines.quantiles(forecasts)}
        measures, by_step, tables["by_level.csv"] = forecast_intervals.metrics(true, quantiles, levels)
        metrics |= {"loss": measures["quantile_loss"] / variance**0.5, **measures}
        for row, more in zip(rows, by_step, strict=True):
            row |= more
    report_baselines(metrics, rows, console)
    times = series.table.times
    tables["predictions.csv"] = [
        {
            "after": times[origin - 1],
            "step": step + 1,
            "time": times[origin + step],
            "true": "" if np.isnan(t) else f"{t:.15g}",
            "predicted": f"{p:.9g}",
            **{name: f"{value:.9g}" for name, value in named_quantiles(of_step, levels).items()},
        }
        for origin, true_steps, predicted_steps, output_steps in zip(
            windows.origins, true, predicted, outputs, strict=True
        )
        for step, (t, p, of_step) in enumerate(zip(true_steps, predicted_steps, output_steps, strict=True))
    ]
    chosen = evenly_spaced(len(windows), NUM_SHOWN)
    histories, _ = series.windows(windows.origins[chosen])
    write_evaluation(
        to,
        metrics,
        tables=tables,
        others={
            "forecasts.png": sequence_plots.forecasts(
                histories[..., 0],
                true[chosen],
                predicted[chosen],
                [times[i - 1] for i in windows.origins[chosen]],
                bands=None if levels is None else outputs[chosen],
            ),
            "by_horizon.png": sequence_plots.errors_ahead(rows),
        },
    )
    return metrics


def named_quantiles(quantiles: np.ndarray, levels: Sequence[float] | None) -> dict[str, float]:
    """The quantiles ``[levels]`` of one step by the names of their columns, without the median, which is the
    forecast."""
    if levels is None:
        return {}
    return {f"q{level:g}": float(q) for level, q in zip(levels, quantiles, strict=True) if level != 0.5}
