"""Evaluates a forecaster on a split or on another table, next to the naive forecasts."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.series.windows import Series, Windows, divide_by_time, targets_of
from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.evaluation import forecast
from dlcli.evaluation.forecast_baseline import LagRidge, fit_lag_ridge
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
MAX_RANGES = 5  # of steps ahead that are named
MIN_WINDOWS, MAX_WINDOWS, MAX_VALUES = 100, 10_000, 2**24  # of the training split, that the baseline is fitted on


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
    metrics = evaluate_windows(
        to,
        best.model,
        series,
        windows,
        recipe=recipe,
        info=run.read_data_info("scale", "mase_scale", "target"),
        ridge=None if trained_on is None else fit_baseline(trained_on, recipe),
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


def fit_baseline(series: Series, recipe: Forecasting) -> LagRidge | None:
    """Fit ridge regression on the training windows, of many on some; None if too few are complete."""
    windows = series.splits["train"]
    number = max(MIN_WINDOWS, min(MAX_WINDOWS, MAX_VALUES // (recipe.window.history * len(series.table.features))))
    origins = windows.origins[evenly_spaced(len(windows), number)]
    values, _ = series.windows(origins)
    past, future = targets_of(series, origins)
    last = forecast.naive(past, 1, mean=float(np.nanmean(series.of_train()[:, 0])))[:, 0]
    return fit_lag_ridge(values, last, origins, future, season=recipe.window.season)


def report_baselines(metrics: dict[str, Any], rows: list[dict[str, Any]], console: Console) -> None:
    """Say which baselines the network does not beat, or at which of the steps ahead the regression is better."""
    if metrics["mae"] >= min(metrics["naive_mae"], metrics["seasonal_naive_mae"]):
        console.say("no better than a naive forecast (naive_mae, seasonal_naive_mae)")
    if "ridge_mae" not in metrics:
        return
    steps = [row["step"] for row in rows if row["mae"] is not None and row["mae"] >= row["ridge_mae"]]
    if metrics["mae"] >= metrics["ridge_mae"]:
        console.say(f"no better than ridge regression on past values (ridge_mae), {_of_steps(steps, len(rows))}")
    elif steps:
        console.say(
            f"better than ridge regression on past values (ridge_mae) on average, but not {_of_steps(steps, len(rows))}"
        )


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
    ridge: LagRidge | None,
    console: Console,
) -> dict[str, Any]:
    """Evaluate a model on windows of a series; write metrics.json, by_horizon.csv, predictions.csv and two plots.

    Args:
        ridge: the baseline; None if it is not available.
    """
    parts, true_parts = [], []
    baselines: dict[str, list[np.ndarray]] = {"naive_": [], "seasonal_naive_": [], "ridge_": []}
    mean, window = info["scale"]["mean"][0], recipe.window
    compiled = tf.function(lambda x: model(x, training=False), reduce_retracing=True, autograph=False)
    for start in range(0, len(windows), FORECAST_BATCH):
        origins = windows.origins[start : start + FORECAST_BATCH]
        values, _ = series.windows(origins)
        parts.append(compiled(tf.constant(values)).numpy())
        past, future = targets_of(series, origins)  # float32 would round large values
        true_parts.append(future)
        naive = forecast.naive(past, window.horizon, mean=mean)
        baselines["naive_"].append(naive)
        baselines["seasonal_naive_"].append(
            forecast.seasonal_naive(past, window.horizon, season=window.season, mean=mean)
        )
        if ridge is not None:
            baselines["ridge_"].append(ridge.predict(values, naive[:, 0], origins))
        console.evaluating(min(start + FORECAST_BATCH, len(windows)), len(windows))
    predicted, true = np.concatenate(parts), np.concatenate(true_parts)
    metrics, rows = forecast.metrics(
        true,
        {"": predicted} | {name: np.concatenate(found) for name, found in baselines.items() if found},
        scale=info["mase_scale"],
        variance=info["target"]["variance"],
    )
    report_baselines(metrics, rows, console)
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
