"""The recipe of ``task: sequence_regression``: a number for each sequence of numbers."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.sections.series_data import MeasuredSequences
from dlcli.recipe.sections.train import CommonTrain, rules_of_metrics
from dlcli.recipe.tasks.base import TaskRecipe


class SequenceRegression(TaskRecipe):
    """One number for each sequence."""

    samples = "sequences of numbers"
    verbs = frozenset(("train", "evaluate", "predict", "summary", "data check", "data stats", "data split"))
    options = frozenset(("--data", "--split"))

    task: Literal["sequence_regression"]
    """What is learned."""
    data: MeasuredSequences
    """Where the samples come from."""
    model: StepModel
    """The network."""
    train: CommonTrain = CommonTrain()
    """How it is trained."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_metrics(self.train, ("loss", "mse", "mae"), task=self.task)
