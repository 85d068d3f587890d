"""The learning-rate schedules of ``train.schedule``, and the metrics and stages that ``train`` names."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dlcli.recipe.language.fields import (
    Count,
    Expected,
    NonNegativeNumber,
    PositiveNumber,
    PositiveProportion,
    Proportion,
    Section,
)

Metric = Literal[
    "train_loss", "train_accuracy", "train_iou", "train_localization_accuracy", "train_mse", "train_mae",
    "train_bits_wrong", "train_exact",
    "val_loss", "val_accuracy", "val_robust_accuracy", "val_iou", "val_localization_accuracy", "val_mse", "val_mae",
    "val_bits_wrong", "val_exact",
]  # fmt: skip
"""The columns of metrics.csv that can steer training."""


FeatureStage = Annotated[
    str,
    StringConstraints(pattern=r"^(all|head|last_stage|stage[1-9][0-9]*)$"),
    Expected("all, head, last_stage, a stage such as stage3"),
]


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


class Plateau(Schedule):
    """The rate is multiplied by `factor` when the metric has not improved for `patience` epochs."""

    kind: Literal["plateau"]
    """Form of the schedule."""
    metric: Metric | None = None
    """A column of metrics.csv, such as val_loss. Default: `train.best_metric`."""
    patience: Count = 5
    """Epochs without improvement before the rate falls."""
    factor: PositiveProportion = 0.5
    """What the rate is multiplied by."""
    min_delta: NonNegativeNumber = 1e-4
    """A smaller change is no improvement."""
    minimum: NonNegativeNumber = 0.0
    """The rate does not fall below this."""


AnySchedule = Annotated[Constant | StepSchedule | Exponential | Cosine | Plateau, Field(discriminator="kind")]
