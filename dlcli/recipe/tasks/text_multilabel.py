"""The recipe of ``task: text_multilabel``: any number of labels for each text."""

from typing import Literal

from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.sections.target_train import LabelTrain
from dlcli.recipe.sections.text_data import ClassifiedTokens
from dlcli.recipe.sections.text_targets import LabelTexts
from dlcli.recipe.tasks.base import SEQUENCE_VERBS, STEP_METHODS, TaskRecipe
from dlcli.recipe.tasks.multilabel import Metric


class TextMultilabel(TaskRecipe):
    """Any number of labels for each text."""

    samples = "texts"
    verbs = SEQUENCE_VERBS
    options = frozenset(("--data", "--split", "--text"))
    explanation_options = frozenset(("--check", "--class", "--gates", "--gradient-norms", "--steps", "--text"))
    explanation_methods = STEP_METHODS
    prediction = "labels"
    named_by = "text"
    reads_lines = True
    headline = "mean_average_precision"
    baselines = ("tf_idf_mean_average_precision", "baseline_mean_average_precision")

    task: Literal["text_multilabel"]
    """The task, which selects the schema of the recipe."""
    data: LabelTexts
    """Source of the samples, and how they are split."""
    text: ClassifiedTokens = ClassifiedTokens()
    """Tokenization of the texts."""
    model: StepModel
    """The network."""
    train: LabelTrain[Metric] = LabelTrain[Metric]()
    """Length of training, loss, optimizer, schedule, and which model is kept."""
