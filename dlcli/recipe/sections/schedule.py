"""The learning-rate schedules of ``train.schedule``."""

from typing import Annotated, Any, Generic, Literal, get_args

from pydantic import Field
from typing_extensions import TypeVar

from dlcli.recipe.language.fields import (
    Count,
    NonNegativeNumber,
    NotInRules,
    PositiveNumber,
    PositiveProportion,
    Proportion,
    Section,
)

MetricT = TypeVar("MetricT", bound=str, default=str, covariant=True)
"""The columns of metrics.csv that can steer training: a ``Literal`` that each task's schema has of its own."""


class SteeredSection(Section, Generic[MetricT]):
    """The base of sections that name a column of metrics.csv."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """``Plateau[loss, accuracy]``: what the columns of the training and of the validation split measure."""
        measures = dict.fromkeys(str(column).partition("_")[2] for column in get_args(params[0]))
        return f"{cls.__name__}[{', '.join(measures)}]"


class Schedule(Section):
    """The keys that every learning-rate schedule has."""

    warmup_epochs: NonNegativeNumber = 0.0
    """Epochs over which the rate rises linearly to its first value before the schedule starts."""


class Constant(Schedule):
    """The same rate throughout."""

    kind: Literal["constant"]
    """Form of the schedule."""


class StepSchedule(Schedule):
    """The rate is multiplied by `factor` every `every` epochs."""

    kind: Literal["step"]
    """Form of the schedule."""
    every: PositiveNumber = 10.0
    """Epochs between two steps."""
    factor: PositiveProportion = 0.1
    """What the rate is multiplied by at each."""


class Exponential(Schedule):
    """The rate is multiplied by `factor` over each epoch, smoothly."""

    kind: Literal["exponential"]
    """Form of the schedule."""
    factor: PositiveProportion = 0.95
    """What the rate is multiplied by over one epoch."""


class Cosine(Schedule):
    """Half a cosine from the full rate to `final` times it at the last step (Loshchilov and Hutter 2017)."""

    kind: Literal["cosine"]
    """Form of the schedule."""
    final: Proportion = 0.0
    """Rate at the end, as a proportion of the rate at the start."""


class Plateau(Schedule, SteeredSection[MetricT], Generic[MetricT]):
    """The rate is multiplied by `factor` when the metric has not improved for `patience` epochs."""

    kind: Literal["plateau"]
    """Form of the schedule."""
    metric: Annotated[MetricT | None, NotInRules()] = None
    """A column of metrics.csv, such as val_loss. Default: `train.best_metric`."""
    patience: Count = 5
    """Epochs without improvement before the rate falls."""
    factor: PositiveProportion = 0.5
    """What the rate is multiplied by."""
    min_delta: NonNegativeNumber = 1e-4
    """A smaller change is no improvement."""
    minimum: NonNegativeNumber = 0.0
    """The rate does not fall below this."""


# Where a section names this type, its own MetricT takes the place of this one.
AnySchedule = Annotated[Constant | StepSchedule | Exponential | Cosine | Plateau[MetricT], Field(discriminator="kind")]
