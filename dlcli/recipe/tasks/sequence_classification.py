"""The recipe of ``task: sequence_classification``: a class for each sequence of numbers."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.sections.sequence_model import SeriesModel
from dlcli.recipe.sections.series_data import ClassifiedSequences
from dlcli.recipe.sections.train import ClassTrain, rules_of_balance
from dlcli.recipe.tasks.base import CLASSIFIER_OPTIONS, SEQUENCE_VERBS, SERIES_METHODS, TaskRecipe

Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
"""The columns of metrics.csv that can steer training."""


class SequenceClassification(TaskRecipe):
    """One label for each sequence."""

    samples = "sequences of numbers"
    verbs = SEQUENCE_VERBS
    options = frozenset(("--data", "--split")) | CLASSIFIER_OPTIONS
    explanation_options = frozenset(("--check", "--class", "--gates", "--gradient-norms", "--steps"))
    explanation_methods = SERIES_METHODS
    prediction = "classes"
    reads_lines = True
    headline = "accuracy"
    baselines = ("baseline_accuracy",)

    task: Literal["sequence_classification"]
    """The task, which selects the schema of the recipe."""
    data: ClassifiedSequences
    """Source of the samples, and how they are split."""
    model: SeriesModel
    """The network."""
    train: ClassTrain[Metric] = ClassTrain[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_balance(self.data, self.train)
