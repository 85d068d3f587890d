"""The recipe of ``task: sequence_classification``: a class for each sequence of numbers."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.sections.series_data import ClassifiedSequences
from dlcli.recipe.sections.train import ClassTrain, rules_of_metrics
from dlcli.recipe.tasks.base import TaskRecipe


class SequenceClassification(TaskRecipe):
    """One label for each sequence."""

    samples = "sequences of numbers"
    verbs = frozenset(("train", "evaluate", "predict", "summary", "data check", "data stats", "data split"))
    options = frozenset(("--data", "--split"))

    task: Literal["sequence_classification"]
    """What is learned."""
    data: ClassifiedSequences
    """Where the samples come from."""
    model: StepModel
    """The network."""
    train: ClassTrain = ClassTrain()
    """How it is trained."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_metrics(self.train, ("loss", "accuracy"), task=self.task)
