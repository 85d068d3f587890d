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
"""The columns of metrics.csv that can steer training: each task's schema has its own ``Literal`` of them."""


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
    """Epochs of linear warmup to the initial learning rate, before the schedule starts."""


class Constant(Schedule):
    """A constant learning rate."""

    kind: Literal["constant"]
    """Type of schedule."""


class StepSchedule(Schedule):
    """The learning rate is multiplied by `factor` every `every` epochs."""

    kind: Literal["step"]
    """Type of schedule."""
    every: PositiveNumber = 10.0
    """Number of epochs between two steps."""
    factor: PositiveProportion = 0.1
    """Factor on the learning rate at each step."""


class Exponential(Schedule):
    """The learning rate decays smoothly, by `factor` over each epoch."""

    kind: Literal["exponential"]
    """Type of schedule."""
    factor: PositiveProportion = 0.95
    """Factor on the learning rate over one epoch."""


class Cosine(Schedule):
    """Cosine decay from the initial learning rate to `final` times it at the last step (Loshchilov and Hutter 2017)."""

    kind: Literal["cosine"]
    """Type of schedule."""
    final: Proportion = 0.0
    """Final learning rate, as a proportion of the initial one."""


class Plateau(Schedule, SteeredSection[MetricT], Generic[MetricT]):
    """The learning rate is multiplied by `factor` when a metric has not improved for `patience` epochs."""

    kind: Literal["plateau"]
    """Type of schedule."""
    metric: Annotated[MetricT | None, NotInRules()] = None
    """A column of metrics.csv, such as val_loss. Default: `train.best_metric`."""
    patience: Count = 5
    """Number of epochs without improvement after which the learning rate is reduced."""
    factor: PositiveProportion = 0.5
    """Factor on the learning rate."""
    min_delta: NonNegativeNumber = 1e-4
    """Minimum change that counts as an improvement."""
    minimum: NonNegativeNumber = 0.0
    """Lower bound of the learning rate."""


# Where a section names this type, its own MetricT takes the place of this one.
AnySchedule = Annotated[Constant | StepSchedule | Exponential | Cosine | Plateau[MetricT], Field(discriminator="kind")]
