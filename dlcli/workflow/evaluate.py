"""``dlcli evaluate``: a trained model's results on a split or on other data with the same labels."""

from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.load import ImageRecipe, load
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.recipe.tasks.step_prediction import StepPrediction
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks import step_prediction
from dlcli.tasks.forecasting import evaluation as forecasting_evaluation
from dlcli.tasks.images import evaluation as images_evaluation
from dlcli.tasks.language_model import evaluation as language_model_evaluation
from dlcli.tasks.sequence_to_sequence import evaluation as sequence_to_sequence_evaluation
from dlcli.tasks.sequences import evaluation as sequences_evaluation


def evaluate(run: RunDir, *, split: str | None, data: Path | None, beam: int = 1, console: Console) -> dict[str, Any]:
    """Evaluates a run's best model and writes ``evaluation/<split>/``.

    Args:
        split: train, validation or test; None for test, or validation where there is none.
        data: a recipe, folder or file to evaluate on instead of the run's own data.
        beam: beginnings of answers that are kept, of a model that answers texts by texts.

    Returns the metrics, with ``run``, ``split`` and ``folder``.

    Raises:
        InputError: the run has no model, the data cannot be used, or there is no such split.
    """
    recipe = load(run.config).recipe
    if beam != 1 and not isinstance(recipe, SequenceToSequence):
        raise InputError(f"--beam: {run.path} says no texts: its task is {recipe.task}.")
    if isinstance(recipe, ImageRecipe):
        return images_evaluation.evaluate(run, split=split, data=data, console=console)
    if isinstance(recipe, StepPrediction):
        if data is not None or split not in (None, "test"):
            must = "its samples are made: the test alone is measured, without --split or --data."
            raise InputError(f"{run.path}: {must}")
        return step_prediction.evaluate(run, recipe, console=console)
    if isinstance(recipe, Forecasting):
        return forecasting_evaluation.evaluate(run, recipe, split=split, data=data, console=console)
    if isinstance(recipe, LanguageModel):
        return language_model_evaluation.evaluate(run, recipe, split=split, data=data, console=console)
    if isinstance(recipe, SequenceToSequence):
        return sequence_to_sequence_evaluation.evaluate(run, recipe, split=split, data=data, beam=beam, console=console)
    return sequences_evaluation.evaluate(run, recipe, split=split, data=data, console=console)
