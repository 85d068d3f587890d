"""The recipe of ``task: sequence_classification``: a class for each sequence of numbers."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.language.fields import RunName, Section
from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.sections.series_data import ClassifiedSequences
from dlcli.recipe.sections.train import ClassTrain, rules_of_metrics


class SequenceClassification(Section):
    """One label for each sequence."""

    task: Literal["sequence_classification"]
    """What is learned."""
    name: RunName | None = None
    """Name of the run's folder. Default: the recipe's file name without its suffix."""
    data: ClassifiedSequences
    """Where the samples come from."""
    model: StepModel
    """The network."""
    train: ClassTrain = ClassTrain()
    """How it is trained."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_metrics(self.train, ("loss", "accuracy"), task=self.task)
