"""The ``train`` section: how long, with which optimizer and schedule, what is kept."""

from collections.abc import Iterator
from typing import Annotated, Generic, Literal

from annotated_types import Gt, Le
from pydantic import StringConstraints

from dlcli.recipe.language.fields import (
    Count,
    Expected,
    FractionsAllowed,
    NonNegativeNumber,
    NotInRules,
    PositiveNumber,
    PositiveProportion,
    Proportion,
    Section,
    Seed,
    WordForTrue,
)
from dlcli.recipe.sections.optimizer import Adam, AnyOptimizer
from dlcli.recipe.sections.schedule import AnySchedule, Constant, MetricT, Plateau, SteeredSection

FeatureStage = Annotated[
    str,
    StringConstraints(pattern=r"^(all|head|last_stage|stage[1-9][0-9]*)$"),
    Expected("all, head, last_stage, a stage such as stage3"),
]
"""The part of the network that a stage of training trains, by name."""


class EarlyStopping(SteeredSection[MetricT], Generic[MetricT]):
    """Stop when the metric no longer improves; the best model is kept whether or not training stops early."""

    metric: Annotated[MetricT | None, NotInRules()] = None
    """A column of metrics.csv, such as val_loss. Default: `train.best_metric`."""
    patience: Count = 5
    """Epochs without improvement after which training stops."""
    min_delta: NonNegativeNumber = 0.0
    """A smaller change is no improvement."""


class GradientClipping(Section):
    """A bound on the gradient over the whole batch, before the optimizer sees it."""

    kind: Literal["norm", "global_norm", "value"]
    """norm: each variable's L2 norm; global_norm: the L2 norm over all variables; value: each element's size."""
    value: PositiveNumber
    """The bound."""


class Checkpoint(Section):
    """When to save, besides each epoch's end, Ctrl-C and SIGTERM."""

    minutes: PositiveNumber | None = 10.0
    """Save when this many minutes have passed since the last checkpoint; null: never for time's sake."""
    steps: Count | None = None
    """Save every this many steps."""


class Adversarial(Section):
    """Adversarial training: a part of each batch is attacked by the network as it is (Madry et al. 2018)."""

    attack: Literal["fgsm", "pgd"] = "pgd"
    """One step along the signs of the gradient, or several from random points; both in linf."""
    eps: Annotated[float, Gt(0), Le(1), FractionsAllowed()]
    """How far a pixel is moved, as a fraction of the pixels' range, such as 8/255."""
    steps: Count = 7
    """Of pgd."""
    ratio: Annotated[float, Gt(0), Le(1), FractionsAllowed()] = 0.5
    """Proportion of each batch's samples that are attacked; the others stay clean."""
    label: Annotated[Literal["true", "predicted"], WordForTrue()] = "true"
    """What the attack leads away from; predicted keeps the label from showing through (Kurakin et al. 2017)."""
    validate_robustness: bool = False
    """Whether metrics.csv has val_robust_accuracy: the accuracy on the validation split under the same attack."""


class CommonStage(Section):
    """A part of training with its own optimizer state, schedule and patience."""

    name: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$"),
        Expected("a name of at most 40 letters, digits, '_' and '-'"),
    ]
    """Name of the stage, as in the column `stage` of metrics.csv."""
    epochs: Count
    """Epochs of this stage."""
    learning_rate: PositiveNumber | None = None
    """The rate that this stage's schedule starts from. Default: the optimizer's."""


class Stage(CommonStage):
    """A part of training with its own optimizer state, schedule and patience."""

    trainable: FeatureStage | Count = "all"
    """What is trained: all, head (after the features), last_stage (of the network, and the head), a stage such as
    stage3 and what follows, the last N layers that have weights.

    What comes before is as in inference: without dropout, batch normalization by its own statistics.
    """
    batch_norm: Literal["train", "freeze"] | None = None
    """Batch normalization before the head: trained, or kept as it is with its statistics. Default: freeze where the
    model begins with weights from elsewhere, else train."""
    rate_decay: PositiveProportion | None = None
    """Discriminative rates: the head has the full rate, each stage of the network before it this times the next's."""
    augment: bool = True
    """Whether the `augment` section's random changes are made. Without them, what a frozen part of the network makes of
    each image is computed once."""


class CommonTrain(SteeredSection[MetricT], Generic[MetricT]):
    """The keys of training that every task has."""

    epochs: Count = 10
    """Passes over the training split. With `stages`, theirs count instead."""
    batch_size: Count = 32
    """Samples for each update of the weights."""
    gradient_accumulation: Count = 1
    """Parts in which a batch is computed in turn, to save memory; the update is the same but with batch_norm."""
    optimizer: AnyOptimizer = Adam(kind="adam")
    """Algorithm that updates the weights."""
    schedule: AnySchedule = Constant(kind="constant")
    """How the learning rate goes over the epochs."""
    gradient_clipping: GradientClipping | None = None
    """A bound on the gradient."""
    ema: PositiveProportion | None = None
    """Momentum of a moving average of the weights, such as 0.999; validation and the saved model use the average."""
    early_stopping: EarlyStopping[MetricT] | None = None
    """When to stop before `epochs` are over."""
    best_metric: Annotated[MetricT | None, NotInRules()] = None
    """The column of metrics.csv that picks the model to keep. Default: val_loss; without validation, train_loss."""
    checkpoint: Checkpoint = Checkpoint()
    """When to save, besides each epoch's end."""
    stages: tuple[CommonStage, ...] = ()
    """Parts of training, one after another, each with its own epochs and rate. Default: one."""
    seed: Seed = 0
    """Seed of everything random in training: initial weights, order of the samples, dropout."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Numbers that the network computes with; the weights and the saved model are float32 always."""
    deterministic: bool = False
    """Refuse operations whose result may vary on a GPU (slower there; a CPU is deterministic without it)."""

    @property
    def steering_metrics(self) -> dict[str, str | None]:
        """The columns of metrics.csv that are named, by the key below ``train`` that names them."""
        return {
            "best_metric": self.best_metric,
            "early_stopping.metric": None if self.early_stopping is None else self.early_stopping.metric,
            "schedule.metric": self.schedule.metric if isinstance(self.schedule, Plateau) else None,
        }

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.stages and "epochs" in self.model_fields_set:
            yield "epochs", "has no meaning beside stages, whose own epochs count; remove it"
        if self.gradient_accumulation > self.batch_size:
            yield (
                "gradient_accumulation",
                f"must be at most batch_size, {self.batch_size}. Received {self.gradient_accumulation}.",
            )
        names = [stage.name for stage in self.stages]
        for i, name in enumerate(names):
            if name in names[:i]:
                yield f"stages.{i}.name", f"stages must have different names; {name!r} is stage {names.index(name)}'s"


class SmoothTrain(CommonTrain[MetricT], Generic[MetricT]):
    """The keys of training by cross-entropy."""

    label_smoothing: Proportion = 0.0
    """Proportion of the target that is spread evenly over all classes (Szegedy et al. 2016)."""


class ClassTrain(SmoothTrain[MetricT], Generic[MetricT]):
    """How a network that chooses among classes is trained."""

    class_weights: Literal["balanced"] | dict[str, NonNegativeNumber] | None = None
    """Weight of each class in the loss: balanced (n / (classes * n of the class)), or every class with its weight."""


class Train(ClassTrain[MetricT], Generic[MetricT]):
    """How the model is trained."""

    adversarial: Adversarial | None = None
    """Train on adversarial examples, made anew in every step."""
    stages: tuple[Stage, ...] = ()
    """Parts of training, one after another, each with its own epochs and rate. Default: one."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.ema is not None:
            for i, stage in enumerate(self.stages):
                if stage.rate_decay is not None:
                    yield f"stages.{i}.rate_decay", "cannot stand beside ema, which averages steps of the full rate"
        if not (self.adversarial is not None and self.adversarial.validate_robustness):
            for key, metric in self.steering_metrics.items():
                if metric == "val_robust_accuracy":
                    yield key, "val_robust_accuracy needs adversarial.validate_robustness: true"
