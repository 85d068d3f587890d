"""Forecasts the steps after the last row of a table, or after the last row of each series."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.data.series.windows import raw_values
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.forecasting.evaluation import categories_of_run, load_forecaster, offset_of_run, step_of_run
from dlcli.tasks.forecasting.last_windows import last_windows
from dlcli.tasks.forecasting.scoring import named_quantiles
from dlcli.tasks.forecasting.sources import FORECAST_BATCH
from dlcli.tasks.inspection import count
from dlcli.tasks.predictions import refuse_stdin, write_table
from dlcli.tasks.task import PredictionRequest


def predict(run: RunDir, recipe: Forecasting, request: PredictionRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.predict`: forecast the steps after the last row of each series of each table.

    Raises:
        InputError: a table cannot be used, or no series has as many rows as ``window.history``.
    """
    refuse_stdin(request.paths)
    model = load_forecaster(run, recipe, console).model
    features, categories = run.read_data_info("features")["features"], categories_of_run(run)
    offset = offset_of_run(run)
    predictions: list[dict[str, Any]] = []
    left_out: list[tuple[str, str]] = []
    for path in request.paths:
        windows, short = last_windows(path, recipe, features, categories, step_of_run(run), offset)
        left_out += short
        for start in range(0, len(windows), FORECAST_BATCH):
            some = windows[start : start + FORECAST_BATCH]
            values = raw_values(np.stack([window.values for window in some]), offset)
            outputs = model(tf.constant(values), training=False).numpy()
            for window, of_window in zip(some, outputs, strict=True):
                predictions += _rows(path, recipe, window.series, window.after, window.times, of_window)
    for name, reason in left_out:
        console.warn(f"{name}: {reason}")
    if request.output is not None:
        rows = [list(row.values()) for row in predictions]
        write_table(request.output, list(predictions[0]), rows, safe_csv=request.safe_csv)
        console.say(f"{count(predictions, 'row')} written to {request.output}")
    return {
        "run": str(run.path),
        "predictions": predictions,
        "left_out": [{"file": name, "reason": reason} for name, reason in left_out],
    }


def _rows(
    path: Path, recipe: Forecasting, series: str, after: str, times: tuple[str, ...], outputs: np.ndarray
) -> list[dict[str, Any]]:
    """The rows of one forecast."""
    levels = recipe.window.quantiles
    values = outputs if levels is None else outputs[..., levels.index(0.5)]
    return [
        {
            "file": str(path),
            **({} if recipe.data.series is None else {"series": series}),
            "after": after,
            "step": step,
            "time": time,
            "predicted": float(value),
            **named_quantiles(of_step, levels),
        }
        for step, (time, value, of_step) in enumerate(zip(times, values, outputs, strict=True), start=1)
    ]
