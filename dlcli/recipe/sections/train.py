"""The ``train`` section: length of training, optimizer and schedule, and which model is kept."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Generic, Literal

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
from dlcli.recipe.sections.loss import ClassLosses, CrossEntropy
from dlcli.recipe.sections.optimizer import Adam, AnyOptimizer
from dlcli.recipe.sections.schedule import AnySchedule, Constant, MetricT, Plateau, SteeredSection

FeatureStage = Annotated[
    str,
    StringConstraints(pattern=r"^(all|head|last_stage|stage[1-9][0-9]*)$"),
    Expected("all, head, last_stage, a stage such as stage3"),
]
"""The part of the network from which on a stage trains its layers."""


class EarlyStopping(SteeredSection[MetricT], Generic[MetricT]):
    """Stop when a metric no longer improves. The best model is kept whether or not training stops early."""

    metric: Annotated[MetricT | None, NotInRules()] = None
    """A column of metrics.csv, such as val_loss. Default: `train.best_metric`."""
    patience: Count = 5
    """Number of epochs without improvement after which training stops."""
    min_delta: NonNegativeNumber = 0.0
    """Minimum change that counts as an improvement."""


class GradientClipping(Section):
    """Clipping of the gradient of the whole batch, before the optimizer step."""

    kind: Literal["norm", "global_norm", "value"]
    """What is clipped: the L2 norm of each variable's gradient (norm), the L2 norm over all variables (global_norm), or
    each element's absolute value (value)."""
    value: PositiveNumber
    """Upper bound."""


class Checkpoint(Section):
    """When to save a checkpoint, besides the end of each epoch, Ctrl-C, SIGTERM and SIGHUP."""

    minutes: PositiveNumber | None = 10.0
    """Save this many minutes after the last checkpoint; null: no limit on the time."""
    steps: Count | None = None
    """Save after this many steps."""


class Adversarial(Section):
    """Adversarial training: some samples of each batch are replaced by adversarial examples (Madry et al. 2018)."""

    attack: Literal["fgsm", "pgd"] = "pgd"
    """One step along the sign of the gradient (fgsm), or several from a random start (pgd); both in linf."""
    eps: Annotated[float, Gt(0), Le(1), FractionsAllowed()]
    """Maximum change of a pixel, as a fraction of the pixel range, such as 8/255."""
    steps: Count = 7
    """Number of steps of pgd."""
    ratio: Annotated[float, Gt(0), Le(1), FractionsAllowed()] = 0.5
    """Proportion of the samples of each batch that are attacked; the others stay clean."""
    label: Annotated[Literal["true", "predicted"], WordForTrue()] = "true"
    """Label whose loss the attack maximizes; predicted prevents label leaking (Kurakin et al. 2017)."""
    validate_robustness: bool = False
    """Whether to add val_robust_accuracy to metrics.csv: the accuracy on the validation split under the same attack."""


class CommonStage(Section):
    """A stage of training with its own optimizer state, schedule and patience."""

    name: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$"),
        Expected("a name of at most 40 letters, digits, '_' and '-'"),
    ]
    """Name of the stage, as in the column `stage` of metrics.csv."""
    epochs: Count
    """Number of epochs of the stage."""
    learning_rate: PositiveNumber | None = None
    """Learning rate at which the schedule of the stage starts. Default: the optimizer's."""


class Stage(CommonStage):
    """A stage of training with its own optimizer state, schedule and patience."""

    trainable: FeatureStage | Count = "all"
    """Layers to train: all; the head; last_stage, the network's last stage and the head; a stage such as stage3 and
    everything after it; or a number: the last N layers with weights.

    Frozen layers compute as in inference: without dropout, and with the moving averages of batch normalization.
    """
    batch_norm: Literal["train", "freeze"] | None = None
    """Whether batch normalization before the head is trained, or frozen with its statistics. Default: freeze where the
    model starts from pretrained weights, else train."""
    rate_decay: PositiveProportion | None = None
    """Discriminative learning rates: the head has the full rate, and each stage of the network this times the rate of
    the stage after it."""
    augment: bool = True
    """Whether the `augment` section is applied. Without augmentation, the features that a frozen part of the network
    computes are cached."""


class CommonTrain(SteeredSection[MetricT], Generic[MetricT]):
    """The keys of training that all tasks share."""

    epochs: Count = 10
    """Number of passes over the training split. With `stages`, each has its own."""
    batch_size: Count = 32
    """Number of samples in each update of the weights."""
    gradient_accumulation: Count = 1
    """Number of parts in which a batch is computed, to save memory. The update is the same, except with batch_norm."""
    optimizer: AnyOptimizer = Adam(kind="adam")
    """Optimizer."""
    schedule: AnySchedule = Constant(kind="constant")
    """Learning-rate schedule."""
    gradient_clipping: GradientClipping | None = None
    """Gradient clipping."""
    ema: PositiveProportion | None = None
    """Momentum of an exponential moving average of the weights, such as 0.999, which validation and the saved model
    use."""
    early_stopping: EarlyStopping[MetricT] | None = None
    """Early stopping."""
    best_metric: Annotated[MetricT | None, NotInRules()] = None
    """The column of metrics.csv by which the best model is chosen. Default: val_loss; without validation,
    train_loss."""
    checkpoint: Checkpoint = Checkpoint()
    """When to save checkpoints, besides the end of each epoch."""
    stages: tuple[CommonStage, ...] = ()
    """Stages of training in sequence, each with its own epochs and learning rate. Default: one stage."""
    track: Literal["mlflow", "wandb"] | None = None
    """Experiment tracker that the recipe, the metrics of each epoch and the results are sent to, too: MLflow or
    Weights & Biases, whose own settings, such as MLFLOW_TRACKING_URI, say where. One that fails never stops a run."""
    seed: Seed = 0
    """Seed of all randomness in training: initial weights, order of the samples, augmentation, dropout."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Precision of the computation; weights and the saved model are always float32."""
    xla: bool = False
    """Whether XLA compiles the forward and backward pass, for each new shape of a batch anew, such as the length of its
    sequences. Steps of many small operations, such as a Neural Turing Machine's, are quicker, those of convnets on a
    CPU slower."""
    deterministic: bool = False
    """Use deterministic operations only, which are slower on a GPU. A CPU is deterministic without it."""

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
            yield "epochs", "cannot be combined with stages, each of which has its own epochs; remove it"
        if self.gradient_accumulation > self.batch_size:
            yield (
                "gradient_accumulation",
                f"must be at most batch_size, {self.batch_size}. Received {self.gradient_accumulation}.",
            )
        names = [stage.name for stage in self.stages]
        for i, name in enumerate(names):
            if name in names[:i]:
                yield (
                    f"stages.{i}.name",
                    f"each stage must have its own name. Received {name!r}, the name of stages.{names.index(name)}.",
                )


class SmoothTrain(CommonTrain[MetricT], Generic[MetricT]):
    """The keys of training with cross-entropy."""

    label_smoothing: Proportion = 0.0
    """Label smoothing: the proportion of the target that is spread evenly over all classes (Szegedy et al. 2016)."""


class ClassTrain(SmoothTrain[MetricT], Generic[MetricT]):
    """How a classifier is trained."""

    loss: ClassLosses = CrossEntropy(kind="cross_entropy")
    """The loss that is minimized: a section, or a list of sections whose losses are added up by their weights."""
    class_weights: Literal["balanced"] | dict[str, NonNegativeNumber] | None = None
    """Weight of each class in the loss: balanced (samples / (classes * samples of the class)), or a weight for every
    class. The loss of a batch is the sum of the weighted losses divided by its number of samples, as in Keras."""


def rules_of_balance(data: Section, train: ClassTrain[Any]) -> Iterator[tuple[str, str]]:
    """The rule between ``data.sampling`` and ``train.class_weights``, for a task's recipe."""
    if train.class_weights == "balanced" and getattr(data, "sampling", None) == "balanced":
        yield (
            "data.sampling",
            "balanced cannot be combined with train.class_weights: balanced, which corrects the same imbalance again; "
            "remove one",
        )


def rules_of_rate_decay(stages: Sequence[Stage], *, ema: float | None) -> Iterator[tuple[str, str]]:
    """The rule between ``stages`` with discriminative learning rates and ``ema``."""
    if ema is not None:
        for i, stage in enumerate(stages):
            if stage.rate_decay is not None:
                yield (
                    f"stages.{i}.rate_decay",
                    "cannot be combined with ema, which averages steps at the full learning rate",
                )


class Train(ClassTrain[MetricT], Generic[MetricT]):
    """How the model is trained."""

    adversarial: Adversarial | None = None
    """Adversarial training, with new adversarial examples in every step."""
    stages: tuple[Stage, ...] = ()
    """Stages of training in sequence, each with its own epochs and learning rate. Default: one stage."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_rate_decay(self.stages, ema=self.ema)
        if not (self.adversarial is not None and self.adversarial.validate_robustness):
            for key, metric in self.steering_metrics.items():
                if metric == "val_robust_accuracy":
                    yield key, "val_robust_accuracy needs adversarial.validate_robustness: true"
