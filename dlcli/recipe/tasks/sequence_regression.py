"""The recipe of ``task: sequence_regression``: a number for each sequence of numbers."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.sections.sequence_model import SeriesModel
from dlcli.recipe.sections.series_data import MeasuredSequences
from dlcli.recipe.sections.train import CommonTrain
from dlcli.recipe.tasks.base import SEQUENCE_VERBS, SERIES_METHODS, TaskRecipe

Metric = Literal["train_loss", "train_mse", "train_mae", "val_loss", "val_mse", "val_mae"]
"""The columns of metrics.csv that can steer training."""


class SequenceRegression(TaskRecipe):
    """One number for each sequence."""

    samples = "sequences of numbers"
    verbs = SEQUENCE_VERBS
    options = frozenset(("--data", "--split"))
    explanation_options = frozenset(("--check", "--gates", "--gradient-norms", "--steps"))
    explanation_methods = SERIES_METHODS
    reads_lines = True
    headline = "mae"
    baselines = ("baseline_mae", "ridge_mae")

    task: Literal["sequence_regression"]
    """The task, which selects the schema of the recipe."""
    data: MeasuredSequences
    """Source of the samples, and how they are split."""
    model: SeriesModel
    """The network."""
    train: CommonTrain[Metric] = CommonTrain[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if getattr(self.data, "sampling", None) is not None:
            yield "data.sampling", "is for tasks with a class for each sample; remove it"
