"""The recipe of ``task: localization``: what is in an image, and the box around it."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.language.fields import Count, PositiveNumber, Proportion, Section
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.box_data import LocalizationData
from dlcli.recipe.sections.image_model import Convnet, ImageClassifier, rules_of_input
from dlcli.recipe.sections.train import Stage, Train
from dlcli.recipe.tasks.base import TaskRecipe


class BoxHead(Section):
    """The layers that say where the object is, on the network's last feature maps."""

    channels: Count | None = 128
    """Maps that a 1x1 convolution makes of the network's last ones before they are flattened; null: they are taken as
    they are."""
    dense: tuple[Count, ...] = (128,)
    """Units of the dense layers between the maps and the box."""
    dropout: Proportion = 0.0
    """Proportion set to 0 in training after each dense layer."""
    form: Literal["corners", "center_size"] = "corners"
    """What the four outputs in [0, 1] are: left, top, right and bottom, or the center, width and height."""
    per_class: bool = False
    """Whether each class has outputs of its own; the class that is predicted then gives the box."""
    loss: Literal["smooth_l1", "l2", "giou", "ciou"] = "smooth_l1"
    """How a box's distance from the true one is measured: by its corners (smooth_l1, l2), or by their overlap."""
    weight: PositiveNumber = 1.0
    """Weight of the box's loss beside that of the class."""


class LocalizationStage(Stage):
    """A part of training with its own losses, optimizer state, schedule and patience."""

    losses: Literal["all", "class", "box"] = "all"
    """What is lowered; what only the other head needs is then frozen."""


Metric = Literal[
    "train_loss",
    "train_accuracy",
    "train_iou",
    "train_localization_accuracy",
    "val_loss",
    "val_accuracy",
    "val_iou",
    "val_localization_accuracy",
]
"""The columns of metrics.csv that can steer training."""


class LocalizationTrain(Train[Metric]):
    """How the model is trained."""

    stages: tuple[LocalizationStage, ...] = ()
    """Parts of training, one after another, each with its own epochs, rate and losses. Default: one."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.adversarial is not None:
            yield "adversarial", "is for task: classification; remove it"


class Localization(TaskRecipe):
    """One label and one box for each image."""

    samples = "images or arrays"
    verbs = frozenset(
        ("train", "evaluate", "predict", "summary", "data check", "data preview", "data stats", "data split")
    )
    options = frozenset(("--data", "--draw", "--input", "--split"))

    task: Literal["localization"]
    """What is learned."""
    data: LocalizationData
    """Where the samples come from."""
    augment: Augment | None = None
    """Random changes to training images, which boxes follow."""
    model: ImageClassifier
    """The network, which both heads share."""
    box_head: BoxHead = BoxHead()
    """The layers that say where the object is."""
    train: LocalizationTrain = LocalizationTrain()
    """How it is trained."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if isinstance(self.model, Convnet) and self.model.rank != 2:
            yield "model.rank", f"must be 2, because the samples are images. Received {self.model.rank}."
        if self.augment is not None:
            for key in ("mixup", "cutmix"):
                if getattr(self.augment, key) is not None:
                    yield f"augment.{key}", "mixes two images, which have two boxes; remove it"
        yield from rules_of_input(self.model, self.augment, precision=self.train.precision)
