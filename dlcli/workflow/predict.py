"""``dlcli predict``: a trained model's predictions for new samples."""

from typing import Any

from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.task import PredictionRequest

__all__ = ["PredictionRequest", "predict"]


def predict(run: RunDir, request: PredictionRequest, *, console: Console) -> dict[str, Any]:
    """Predict with a run's best model.

    Returns ``run``, ``predictions`` (file and text, predicted, confidence, the ``top`` most probable classes and, with
    a box head, the box: xmin, ymin, xmax, ymax in pixels of the upright image) and ``left_out`` (file, reason).

    Raises:
        InputError: no sample can be read.
    """
    return task_of(load(run.config).recipe).predict(run, request, console)
