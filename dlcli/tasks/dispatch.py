"""The only module that knows all the tasks: verbs call it, so that none of them needs to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_never

import keras

from dlcli.data.images.samples import Samples
from dlcli.recipe.load import LoadedRecipe, Recipe, load_text
from dlcli.recipe.sections.image_model import Mlp
from dlcli.recipe.tasks.classification import Classification
from dlcli.recipe.tasks.detection import Detection
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.recipe.tasks.image_regression import ImageRegression
from dlcli.recipe.tasks.instance_segmentation import InstanceSegmentation
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.recipe.tasks.localization import Localization
from dlcli.recipe.tasks.multilabel import Multilabel
from dlcli.recipe.tasks.segmentation import Segmentation
from dlcli.recipe.tasks.sequence_classification import SequenceClassification
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.recipe.tasks.step_prediction import StepPrediction
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.recipe.tasks.text_regression import TextRegression
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.attack_target import AttackTarget, load_target
from dlcli.tasks.detection.head import DetectionHead
from dlcli.tasks.detection.instances import InstanceHead
from dlcli.tasks.draft import draft_layout
from dlcli.tasks.forecasting.task import ForecastingTask
from dlcli.tasks.images import embedding, evaluation, initial_weights, inspection, network
from dlcli.tasks.images.classification import ClassificationHead
from dlcli.tasks.images.localization import LocalizationHead
from dlcli.tasks.images.multilabel import MultilabelHead
from dlcli.tasks.images.regression import RegressionHead
from dlcli.tasks.images.task import ImageTask
from dlcli.tasks.job import Job
from dlcli.tasks.language_model.task import LanguageModelTask
from dlcli.tasks.layout import recognize
from dlcli.tasks.segmentation.head import SegmentationHead
from dlcli.tasks.sequence_to_sequence.task import SequenceToSequenceTask
from dlcli.tasks.sequences.task import SequenceTask
from dlcli.tasks.step_prediction import StepPredictionTask
from dlcli.tasks.task import Embedded, Task


def task_of(recipe: Recipe) -> Task:
    """The task that a recipe is for, which offers the verbs for it."""
    match recipe:
        case Classification():
            return ImageTask(recipe, ClassificationHead(recipe))
        case Localization():
            return ImageTask(recipe, LocalizationHead(recipe))
        case ImageRegression():
            return ImageTask(recipe, RegressionHead(recipe))
        case Multilabel():
            return ImageTask(recipe, MultilabelHead(recipe))
        case Segmentation():
            return ImageTask(recipe, SegmentationHead(recipe))
        case Detection():
            return ImageTask(recipe, DetectionHead(recipe))
        case InstanceSegmentation():
            return ImageTask(recipe, InstanceHead(recipe))
        case TextClassification() | TextMultilabel() | TextRegression() | Tagging():
            return SequenceTask(recipe)
        case SequenceClassification() | SequenceRegression():
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
    """Look for problems in the data of a folder without a recipe, as the recipe that is drafted for it reads them.

    Raises:
        InputError: it is not clear what the folder holds, or the data cannot be used.
    """
    layout = recognize(folder)
    if layout.path != folder:
        console.say(f"data: {layout.path}")
    if layout.kind == "images":  # without a draft, which classes without images do not have
        section = inspection.folder_section(layout.path)
        recipe = Classification(task="classification", data=section, model=Mlp(kind="mlp"))  # which is not built
        return inspection.check(section, ClassificationHead(recipe), console)
    loaded = load_text(draft_layout(layout, Path()).text.encode(), Path(f"{folder.name}.yaml"))
    return task_of(loaded.recipe).check(loaded, console)


def pretrained_classifier(loaded: LoadedRecipe, *, num_classes: int) -> keras.Model:
    """Build the network of a recipe with the pretrained weights that it names, those of its last layer included.

    Raises:
        InputError: the weights are not available, or do not fit; located at ``model``.
    """
    return initial_weights.pretrained_classifier(loaded, num_classes=num_classes)


def embed_with_base(loaded: LoadedRecipe, paths: Sequence[Path], console: Console) -> Embedded:
    """The feature vectors of images by the pretrained network of a recipe, which keeps its classifier.

    Raises:
        InputError: the weights are not available, or no image can be read.
    """
    return embedding.embed_with_base(loaded, paths, console)


def shape_of_saved(path: Path) -> tuple[int, ...]:
    """The shape of the images that a saved classifier takes: height, width, channels; None for a side of any size.

    Raises:
        InputError: it is not an image classifier.
    """
    return network.shape_of_saved(path)


def classifier_of_file(path: Path, *, input_range: tuple[float, float], has_logits: bool) -> AttackTarget:
    """Load the image classifier in a bare .keras file as the target of an attack.

    Args:
        input_range: the inputs that the model expects for the pixel values 0 and 255.
        has_logits: the model's outputs are logits already, whatever its last layer is.

    Raises:
        InputError: it cannot be loaded, or is not an image classifier.
    """
    return load_target(path, input_range=input_range, has_logits=has_logits)


def samples_for_file(
    data: Path, target: AttackTarget, classes: tuple[str, ...], *, split: str | None, console: Console
) -> tuple[str, Samples]:
    """Read the images on which to attack the classifier of a bare file.

    Args:
        classes: of the classifier, in the order of its outputs.
        split: train, validation or test; None for test, or the first of validation and train.

    Returns:
        The name of these samples, such as ``photos-test``, and the samples.

    Raises:
        InputError: the data cannot be used, or there is no such split.
    """
    return evaluation.samples_for_shape(data, target.shape, classes, split=split, console=console)


def prepare(loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True) -> Job:
    """Prepare the training job of a recipe, as :meth:`dlcli.tasks.task.Task.prepare`."""
    return task_of(loaded.recipe).prepare(loaded, device, console, is_new=is_new)
