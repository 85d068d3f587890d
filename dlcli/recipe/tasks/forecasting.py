"""The recipe of ``task: forecasting``: the next steps of a series."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import Count, LocalPath, Proportion, Section, Text
from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.sections.train import CommonTrain
from dlcli.recipe.tasks.base import TaskRecipe


class TimeTable(Section):
    """A CSV file with a row for each step of time."""

    kind: Literal["csv"]
    """Source of the samples."""
    path: LocalPath
    """The .csv file, relative to the recipe's folder."""
    time: Annotated[tuple[Text, ...], Field(min_length=1, max_length=10)]
    """Names of the columns that together say when, the coarsest first: [date], or [year, month, day, hour]."""
    target: Text
    """Name of the column to forecast."""
    features: tuple[Text, ...] | None = ()
    """Names of further columns whose past the forecast may use; null: all that hold numbers."""
    on_missing: Literal["error", "keep"] = "error"
    """What to do about missing values (empty, NA): refuse the table, or keep them. The network then takes a feature's
    mean, and no forecast is measured by them."""
    validation: Proportion | None = None
    """Proportion of the rows held out to follow training: those before the test. Default: 0.1."""
    test: Proportion | None = None
    """Proportion of the rows held out for the final test: the last ones. Default: 0.2."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.validation is not None and self.test is not None and self.validation + self.test >= 1:
            yield "test", f"validation and test must add up to less than 1. Received {self.validation} and {self.test}."
        if self.target in self.time:
            yield "target", "is a column of the time too; name another"
        for key, names in (("time", self.time), ("features", self.features or ())):
            for i, name in enumerate(names):
                if name in names[:i]:
                    yield f"{key}.{i}", f"a column counts once. Received '{name}' twice."


class Window(Section):
    """What a forecast sees and what it says."""

    history: Annotated[int, Ge(1), Le(100_000)] = 24
    """Steps that a forecast sees."""
    horizon: Annotated[int, Ge(1), Le(10_000)] = 1
    """Steps that it forecasts, all at once."""
    season: Annotated[int, Ge(1), Le(100_000)] = 1
    """Steps after which the series comes again, for the seasonal naive forecast and MASE: 12 months, 24 hours."""
    stride: Count = 1
    """Steps between the beginnings of two training windows."""
    difference: Literal["none", "last", "season"] = "none"
    """What is learned: the value; how it differs from the last one that is known; or from that one season before."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.season > self.history:
            yield "season", f"must be at most history, {self.history}. Received {self.season}."


Metric = Literal["train_loss", "train_mae", "val_loss", "val_mae"]
"""The columns of metrics.csv that can steer training."""


class Forecasting(TaskRecipe):
    """The next steps of a series."""

    samples = "tables of numbers"
    verbs = frozenset(("train", "evaluate", "predict", "summary", "data check", "data stats", "data split"))
    options = frozenset(("--data", "--split"))

    task: Literal["forecasting"]
    """What is learned."""
    data: TimeTable
    """Where the series comes from."""
    window: Window = Window()
    """How much of the past a forecast sees, and how far it looks ahead."""
    model: StepModel
    """The network."""
    train: CommonTrain[Metric] = CommonTrain[Metric]()
    """How it is trained."""
