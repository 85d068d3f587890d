"""The recipe of ``task: forecasting``: the next steps of a series."""

import itertools
from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le
from pydantic import Field, StringConstraints

from dlcli.recipe.language.fields import Count, Expected, LocalPath, PositiveProportion, Proportion, Section, Seed, Text
from dlcli.recipe.sections.image_data import Fold
from dlcli.recipe.sections.sequence_model import Convolutional, Recurrent, Transformer
from dlcli.recipe.sections.table_data import Decimals, Headerless
from dlcli.recipe.sections.train import CommonTrain
from dlcli.recipe.tasks.base import SEQUENCE_VERBS, SERIES_METHODS, TaskRecipe

INTERVAL = r"^[1-9][0-9]{0,5}(s|min|h|D|W)$"
ALLOWED_TWICE = (("features", "target"), ("features", "time"))  # of columns; the target is always a feature


EPOCHS = ("epoch_seconds", "epoch_milliseconds")
"""The values of `data.time_format` for numbers that count from 1970."""


class Backtest(Section):
    """A table of the errors at several origins, besides those over all windows."""

    origins: Annotated[int, Ge(2), Le(1000)] = 10
    """Number of times at which forecasts start, evenly spaced over the split that is evaluated."""


class TimeTable(Headerless, Decimals):
    """A CSV file with a row for each time step, or a .tsf file of the Monash archive."""

    kind: Literal["csv", "tsf"]
    """Source of the samples. A .tsf file is read as a table with a row for each step, whose columns are the attributes
    of the file, then `time` and `value`: `time: [time]`, `target: value`, `series: series_name`."""
    path: LocalPath
    """The .csv or .tsf file, relative to the recipe's folder."""
    time: Annotated[tuple[Text, ...], Field(min_length=1, max_length=10)]
    """Names of the columns that together give the time, coarsest first: [date], or [year, month, day, hour]. Dates are
    recognized in ISO 8601, as numbers with day or month first, and with the names of months in English."""
    time_format: Text | None = None
    """How dates are written, by the codes of Python's strptime: `%d.%m.%y %H:%M`; or `epoch_seconds` or
    `epoch_milliseconds` for numbers that count from 1970 in UTC. Default: recognized, but for such numbers, which are
    taken as they are."""
    day_first: bool | None = None
    """Whether 1/2/2024 is in February. Default: as the dates show, by a day after the 12th."""
    target: Text
    """Name of the column to forecast."""
    features: tuple[Text, ...] | None = ()
    """Names of other columns whose past values the forecast may use; null: all numeric columns."""
    future_features: tuple[Text, ...] = ()
    """Names of further columns whose values are known before their time, such as a planned price or a holiday: the
    forecast uses those of the steps ahead, too. `predict` needs rows with them after the last value of the target."""
    calendar: tuple[Literal["hour", "weekday", "month"], ...] = ()
    """Features of the time itself, known ahead: the sine and cosine of the hour of the day, the day of the week and the
    month of the year. Times with an offset count in UTC."""
    series: Text | None = None
    """Name of the column that names the series of a row, in a table of several. No window spans two series. Default: a
    single series."""
    static: tuple[Text, ...] = ()
    """Names of columns with one value for each series, as features: numbers, or text, each of whose values becomes a
    feature of 0 and 1. The column of `series` itself lets the network know a series by its name; an unknown value has
    no 1."""
    split_by: Literal["time", "series"] = "time"
    """Whether the last part of each series is held out, or whole series, which are drawn at random."""
    split_seed: Seed = 0
    """Seed by which `split_by: series` draws."""
    on_missing: Literal["error", "keep"] = "error"
    """What to do about missing values (empty, NA): stop with an error, or keep them. The network then sees the
    feature's mean in their place, and they are left out of the loss and the metrics."""
    resample: Annotated[str, StringConstraints(pattern=INTERVAL), Expected("a time such as 15min, 1h or 1D")] | None = (
        None
    )
    """Length of intervals over which the rows of each series are averaged, for irregular times: a whole number of s,
    min, h, D (days) or W (weeks, from Monday). Intervals without rows have missing values. Default: rows are steps."""
    gaps: Literal["mask", "carry", "interpolate"] = "mask"
    """What the network sees in place of missing values of the target and of `features`: their mean in training (mask),
    the last known value (carry), or a line between the neighbors (interpolate), where no forecast starts within a
    gap. Errors never count them."""
    validation: Proportion | None = None
    """Proportion of the rows of each series held out for validation: those before the test split. Default: 0.1."""
    test: Proportion | None = None
    """Proportion of the rows of each series held out for the test: the last ones. Default: 0.2."""
    fold: Fold | None = None
    """Hold out one of several parts for validation, in place of a proportion, and train on the rows before it; with
    `split_by: series` on the other series; the run is evaluated on the part. `dlcli train --folds K` trains all."""
    backtest: Backtest | None = None
    """Also report the errors at several origins one by one, with their mean and spread, for the model as it is trained.
    Default: none."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        is_tsf = self.path.lower().removesuffix(".gz").endswith(".tsf")
        if is_tsf != (self.kind == "tsf"):
            yield "kind", f"must be {'tsf' if is_tsf else 'csv'} for this path. Received {self.kind}."
        if self.columns is not None and self.kind == "tsf":
            yield "columns", "is for .csv files; a .tsf file names its columns, so remove it."
        if self.validation is not None and self.test is not None and self.validation + self.test >= 1:
            yield "test", f"validation and test must add up to less than 1. Received {self.validation} and {self.test}."
        if self.time_format is not None and "%" not in self.time_format and self.time_format not in EPOCHS:
            yield (
                "time_format",
                "must have codes such as '%d.%m.%Y' for day, month and year, or be epoch_seconds or "
                f"epoch_milliseconds. Received '{self.time_format}'.",
            )
        if self.time_format is not None and self.day_first is not None:
            yield "day_first", "cannot be combined with time_format, which says it; remove one of them."
        for key, needs in (("static", bool(self.static)), ("split_by", self.split_by == "series")):
            if needs and self.series is None:
                yield key, "is for a table of several series; name their column as series."
        if self.gaps != "mask" and self.on_missing == "error":
            yield "gaps", "is for missing values, which on_missing: error refuses; set on_missing: keep."
        yield from self._rules_of_columns()

    def _rules_of_columns(self) -> Iterator[tuple[str, str]]:
        if self.target in self.time:
            yield "target", "must not be one of the time columns; name another column"
        for key, values in (("time", self.time), ("calendar", self.calendar), ("static", self.static)):
            for i, name in enumerate(values):
                if name in values[:i]:
                    yield f"{key}.{i}", f"each column can be named once. Received '{name}' twice."
        taken = {self.target: "target", **dict.fromkeys(self.time, "time")}
        if self.series is not None:
            if self.series in taken:
                yield "series", f"is already the column of {taken[self.series]}; name another column"
            taken[self.series] = "series"
        columns = [
            ("features", self.features or ()),
            ("future_features", self.future_features),
            ("static", self.static),
        ]
        for key, names in columns:
            for i, name in enumerate(names):
                if name == self.series and key == "static":
                    continue
                if taken.get(name) == key and key != "static":
                    yield f"{key}.{i}", f"each column can be named once. Received '{name}' twice."
                elif taken.get(name) not in (None, key) and (key, taken[name]) not in ALLOWED_TWICE:
                    yield f"{key}.{i}", f"is already the column of {taken[name]}; name another column"
                taken.setdefault(name, key)


class Normal(Section):
    """A normal distribution of each value, whose mean and deviation the network predicts."""

    kind: Literal["normal"]
    """Family of distributions."""


class StudentT(Section):
    """Student's t distribution of each value, with heavier tails, whose location and scale the network predicts."""

    kind: Literal["student_t"]
    """Family of distributions."""
    degrees_of_freedom: Annotated[float, Gt(2), Le(1000)] = 4.0
    """How heavy the tails are: the fewer, the more likely are values far from the forecast. Many give a normal
    distribution."""


Distribution = Annotated[Normal | StudentT, Field(discriminator="kind")]


class Window(Section):
    """The window of past steps that a forecast sees, and the steps that it predicts."""

    history: Annotated[int, Ge(1), Le(100_000)] = 24
    """Number of past steps that a forecast sees."""
    horizon: Annotated[int, Ge(1), Le(10_000)] = 1
    """Number of steps that it predicts, all at once."""
    season: Annotated[int, Ge(1), Le(100_000)] = 1
    """Period of the series in steps, for the seasonal naive forecast and MASE: 12 months, 24 hours."""
    stride: Count = 1
    """Steps from the start of one training window to the start of the next."""
    evaluation_stride: Count = 1
    """Steps from the start of one window of validation and test to the start of the next. More save time and disk where
    there are many series."""
    normalize: Literal["training", "window"] = "training"
    """What the target is standardized by: mean and deviation of all training rows, or of the history of each window,
    for series of different size. The loss then counts each window by its own deviation."""
    difference: Literal["none", "last", "season"] = "none"
    """What the network predicts: the value itself, or its difference from the last known value or from the value one
    season earlier."""
    quantiles: Annotated[tuple[PositiveProportion, ...], Field(min_length=1, max_length=99)] | None = None
    """Levels of the quantiles to predict at each step: [0.1, 0.5, 0.9] gives an interval for 80% of the values. They
    must include 0.5, the median, which is the forecast; training then minimizes the pinball loss. Default: a forecast
    alone, by the squared error."""
    distribution: Distribution | None = None
    """Distribution of each value, from which the quantiles are computed; training then minimizes its negative
    log-likelihood. Default: the quantiles are learned one by one, whatever the distribution."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.season > self.history:
            yield "season", f"must be at most history, {self.history}. Received {self.season}."
        levels = self.quantiles
        if levels is not None and 0.5 not in levels:
            yield "quantiles", f"must include 0.5, the median, which is the forecast. Received {_listed(levels)}."
        elif levels is not None and any(later <= level for level, later in itertools.pairwise(levels)):
            yield "quantiles", f"must increase. Received {_listed(levels)}."
        if self.distribution is not None and (levels is None or len(levels) < 2):
            yield (
                "distribution",
                "is given by its quantiles; set window.quantiles to two levels or more, such as [0.1, 0.5, 0.9].",
            )


def _listed(levels: tuple[float, ...]) -> str:
    return ", ".join(f"{level:g}" for level in levels)


class Linear(Section):
    """A linear map from the past values of all features to the steps ahead: NLinear where window.difference is last,
    DLinear with decomposition (Zeng et al. 2023)."""

    kind: Literal["linear"]
    """Family of networks."""
    decomposition: bool = False
    """Whether the past is split into a moving average and the remainder, with a linear map for each."""
    kernel_size: Annotated[int, Ge(1), Le(1001)] = 25
    """Steps of the moving average, an odd number."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.kernel_size % 2 == 0:
            yield "kernel_size", f"must be odd, so that the average is centered. Received {self.kernel_size}."


ForecastModel = Annotated[Recurrent | Convolutional | Transformer | Linear, Field(discriminator="kind")]
Metric = Literal["train_loss", "train_mae", "val_loss", "val_mae"]
"""The columns of metrics.csv that can steer training."""


class Forecasting(TaskRecipe):
    """The next steps of a series."""

    samples = "tables of numbers"
    verbs = SEQUENCE_VERBS
    options = frozenset(("--data", "--split"))
    explanation_options = frozenset(("--check", "--gates", "--gradient-norms", "--steps", "--target"))
    explanation_methods = SERIES_METHODS
    prediction = "steps"
    headline = "mae"
    baselines = ("naive_mae", "seasonal_naive_mae", "ridge_mae")

    task: Literal["forecasting"]
    """The task, which selects the schema of the recipe."""
    data: TimeTable
    """Source of the series, and how it is split."""
    window: Window = Window()
    """Length of the past that a forecast sees, and of the future that it predicts."""
    model: ForecastModel
    """The network."""
    train: CommonTrain[Metric] = CommonTrain[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""
