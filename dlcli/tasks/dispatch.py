"""The one place that knows which tasks there are."""

from pathlib import Path
from typing import Any, assert_never

import keras

from dlcli.data.images.samples import Samples
from dlcli.recipe.load import LoadedRecipe, Recipe
from dlcli.recipe.tasks.classification import Classification
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.recipe.tasks.localization import Localization
from dlcli.recipe.tasks.sequence_classification import SequenceClassification
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.recipe.tasks.step_prediction import StepPrediction
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.attack_target import AttackTarget, load_target
from dlcli.tasks.forecasting.task import ForecastingTask
from dlcli.tasks.images import evaluation, initial_weights, inspection, network
from dlcli.tasks.images.task import ImageTask
from dlcli.tasks.job import Job
from dlcli.tasks.language_model.task import LanguageModelTask
from dlcli.tasks.sequence_to_sequence.task import SequenceToSequenceTask
from dlcli.tasks.sequences.task import SequenceTask
from dlcli.tasks.step_prediction import StepPredictionTask
from dlcli.tasks.task import Task


def task_of(recipe: Recipe) -> Task:
    """The task of a recipe."""
    match recipe:
        case Classification() | Localization():
            return ImageTask(recipe)
        case TextClassification() | SequenceClassification() | SequenceRegression() | Tagging():
            return SequenceTask(recipe)
        case StepPrediction():
            return StepPredictionTask(recipe)
        case Forecasting():
            return ForecastingTask(recipe)
        case LanguageModel():
            return LanguageModelTask(recipe)
        case SequenceToSequence():
            return SequenceToSequenceTask(recipe)
        case _:
            assert_never(recipe)


def check_folder(folder: Path, console: Console) -> dict[str, Any]:
    """Looks for problems in a folder that no recipe describes: one with a folder of images for each class."""
    return inspection.check(inspection.folder_section(folder), console)


def pretrained_classifier(loaded: LoadedRecipe, *, num_classes: int) -> keras.Model:
    """The network of a recipe with the pretrained weights that it names, its last layer included.

    Raises:
        InputError: the weights are not available, or do not fit; located at ``model``.
    """
    return initial_weights.pretrained_classifier(loaded, num_classes=num_classes)


def shape_of_saved(path: Path) -> tuple[int, ...]:
    """The shape of the images that a saved classifier takes: height, width, channels; None for an open side.

    Raises:
        InputError: it is not a classifier of images.
    """
    return network.shape_of_saved(path)


def classifier_of_file(path: Path, *, input_range: tuple[float, float], has_logits: bool) -> AttackTarget:
    """The classifier of images in a bare .keras file, to be attacked.

    Args:
        input_range: what the model takes for the pixels 0 and 255.
        has_logits: its outputs are logits, whatever its last layer is.

    Raises:
        InputError: it cannot be loaded, or is not a classifier of images.
    """
    return load_target(path, input_range=input_range, has_logits=has_logits)


def samples_for_file(
    data: Path, target: AttackTarget, classes: tuple[str, ...], *, split: str | None, console: Console
) -> tuple[str, Samples]:
    """The images to attack a classifier of a bare file on, and what to call them.

    Raises:
        InputError: they cannot be used, or there is no such split.
    """
    return evaluation.samples_for_shape(data, target.shape, classes, split=split, console=console)


def prepare(loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True) -> Job:
    """The training job of a recipe; as :meth:`dlcli.tasks.task.Task.prepare`."""
    return task_of(loaded.recipe).prepare(loaded, device, console, is_new=is_new)
