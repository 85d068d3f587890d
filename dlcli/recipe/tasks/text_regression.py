"""The recipe of ``task: text_regression``: a number for each text."""

from typing import Literal

from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.sections.text_data import ClassifiedTokens
from dlcli.recipe.sections.text_targets import NumberTexts
from dlcli.recipe.sections.train import CommonTrain
from dlcli.recipe.tasks.base import SEQUENCE_VERBS, STEP_METHODS, TaskRecipe
from dlcli.recipe.tasks.sequence_regression import Metric


class TextRegression(TaskRecipe):
    """One number for each text."""

    samples = "texts"
    verbs = SEQUENCE_VERBS
    options = frozenset(("--data", "--split", "--text"))
    explanation_options = frozenset(("--check", "--gates", "--gradient-norms", "--steps", "--text"))
    explanation_methods = STEP_METHODS
    named_by = "text"
    reads_lines = True
    headline = "mae"
    baselines = ("ridge_mae", "baseline_mae")

    task: Literal["text_regression"]
    """The task, which selects the schema of the recipe."""
    data: NumberTexts
    """Source of the samples, and how they are split."""
    text: ClassifiedTokens = ClassifiedTokens()
    """Tokenization of the texts."""
    model: StepModel
    """The network."""
    train: CommonTrain[Metric] = CommonTrain[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""
