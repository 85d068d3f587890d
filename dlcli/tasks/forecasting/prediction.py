"""Forecasts the steps after the last row of a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.series.future_times import future_times
from dlcli.data.series.time_table import Table
from dlcli.errors import InputError
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.forecasting.evaluation import load_forecaster, named_quantiles
from dlcli.tasks.forecasting.sources import read_time_table
from dlcli.tasks.inspection import count
from dlcli.tasks.predictions import write_table
from dlcli.tasks.task import PredictionRequest


def predict(run: RunDir, recipe: Forecasting, request: PredictionRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.predict`: forecast the steps after the last row of each table.

    Raises:
        InputError: a table cannot be used, or has fewer rows than ``window.history``.
    """
    paths, output = request.paths, request.output
    model = load_forecaster(run, recipe, console).model
    features = run.read_data_info("features")["features"]
    predictions: list[dict[str, Any]] = []
    levels, horizon = recipe.window.quantiles, recipe.window.horizon
    for path in paths:
        table, history = last_window(path, recipe, features)
        outputs = model(tf.constant(history[None]), training=False).numpy()[0]
        values = outputs if levels is None else outputs[..., levels.index(0.5)]
        times = future_times(
            *(table.moments, table.times[-1], horizon), are_dates=table.are_dates, num_columns=len(recipe.data.time)
        )
        predictions += [
            {
                "file": str(path),
                "after": table.times[-1],
                "step": step,
                "time": time,
                "predicted": float(value),
                **named_quantiles(of_step, levels),
            }
            for step, (time, value, of_step) in enumerate(zip(times, values, outputs, strict=True), start=1)
        ]
    if output is not None:
        rows = [list(row.values()) for row in predictions]
        write_table(output, list(predictions[0]), rows, safe_csv=request.safe_csv)
        console.say(f"{count(predictions, 'row')} written to {output}")
    return {"run": str(run.path), "predictions": predictions, "left_out": []}


def last_window(path: Path, recipe: Forecasting, features: Sequence[str]) -> tuple[Table, NDArray[np.float32]]:
    """A table, and its last ``window.history`` rows ``[history, features]``.

    Args:
        features: the columns of the training data, the target first.

    Raises:
        InputError: the table cannot be used, or has too few rows.
    """
    table = read_time_table(recipe.data.model_copy(update={"features": tuple(features[1:])}), path)
    history = recipe.window.history
    if len(table.values) < history:
        raise InputError(f"{path}: a forecast needs {history} rows. Received {len(table.values)}: add earlier rows.")
    return table, table.values[-history:]
