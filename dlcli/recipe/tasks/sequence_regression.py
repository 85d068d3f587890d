"""The recipe of ``task: sequence_regression``: a number for each sequence of numbers."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.language.fields import RunName, Section
from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.sections.series_data import MeasuredSequences
from dlcli.recipe.sections.train import CommonTrain, rules_of_metrics


class SequenceRegression(Section):
    """One number for each sequence."""

    task: Literal["sequence_regression"]
    """What is learned."""
    name: RunName | None = None
    """Name of the run's folder. Default: the recipe's file name without its suffix."""
    data: MeasuredSequences
    """Where the samples come from."""
    model: StepModel
    """The network."""
    train: CommonTrain = CommonTrain()
    """How it is trained."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_metrics(self.train, ("loss", "mse", "mae"), task=self.task)
