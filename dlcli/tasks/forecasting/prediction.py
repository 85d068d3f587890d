"""Forecasts the steps after the last row of a table, or after the last row of each series."""

from typing import Any

from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.forecasting.last_windows import LeftOut
from dlcli.tasks.forecasting.predictor import ForecastPredictor
from dlcli.tasks.inspection import count
from dlcli.tasks.predictions import refuse_stdin, write_table
from dlcli.tasks.task import PredictionRequest


def predict(run: RunDir, recipe: Forecasting, request: PredictionRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.predict`: forecast the steps after the last row of each series of each table.

    Raises:
        InputError: a table cannot be used, or no series has as many rows as ``window.history``.
    """
    refuse_stdin(request.paths)
    predictor = ForecastPredictor(run, recipe, console)
    predictions: list[dict[str, Any]] = []
    left_out: list[LeftOut] = []
    for path in request.paths:
        windows, short = predictor.read(path)
        left_out += short
        predictions += [{"file": str(path), **row} for row in predictor.forecast(windows)]
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
