"""``dlcli predict``: a trained model's predictions for new samples."""

from typing import Any

import keras

from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.predictor import Predictor
from dlcli.tasks.run_models import load_model
from dlcli.tasks.task import PredictionRequest

__all__ = ["PredictionRequest", "best_model", "open_predictor", "predict"]


def predict(run: RunDir, request: PredictionRequest, *, console: Console) -> dict[str, Any]:
    """Predict with a run's best model.

    Returns ``run``, ``predictions`` (file and text, predicted, confidence, the ``top`` most probable classes and, with
    a box head, the box: xmin, ymin, xmax, ymax in pixels of the upright image) and ``left_out`` (file, reason).

    Raises:
        InputError: no sample can be read.
    """
    return task_of(load(run.config).recipe).predict(run, request, console)


def open_predictor(run: RunDir, *, console: Console) -> Predictor:
    """Load a run's best model once, to predict samples held in memory.

    Raises:
        InputError: the run has no model, or its task predicts no such samples.
    """
    return task_of(load(run.config).recipe).predictor(run, console)


def best_model(run: RunDir, *, console: Console) -> keras.Model:
    """A run's best model: float32, raw samples in and final predictions out.

    Raises:
        InputError: the run has no model yet, or it is corrupt.
    """
    return load_model(run, console).model
