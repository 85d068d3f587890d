"""The recipe of ``task: text_classification``: a class for each text."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.sections.text_data import ClassifiedTokens, LabeledTexts
from dlcli.recipe.sections.train import ClassTrain, rules_of_balance
from dlcli.recipe.tasks.base import CLASSIFIER_OPTIONS, SEQUENCE_VERBS, STEP_METHODS, TaskRecipe

Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
"""The columns of metrics.csv that can steer training."""


class TextClassification(TaskRecipe):
    """One label for each text."""

    samples = "texts"
    verbs = SEQUENCE_VERBS
    options = frozenset(("--data", "--split", "--text")) | CLASSIFIER_OPTIONS
    explanation_options = frozenset(("--check", "--class", "--gates", "--gradient-norms", "--steps", "--text"))
    explanation_methods = STEP_METHODS
    prediction = "classes"
    named_by = "text"
    reads_lines = True
    headline = "accuracy"
    baselines = ("baseline_accuracy",)

    task: Literal["text_classification"]
    """The task, which selects the schema of the recipe."""
    data: LabeledTexts
    """Source of the samples, and how they are split."""
    text: ClassifiedTokens = ClassifiedTokens()
    """Tokenization of the texts."""
    model: StepModel
    """The network."""
    train: ClassTrain[Metric] = ClassTrain[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_balance(self.data, self.train)
