"""The recipe of ``task: localization``: a class and a bounding box for each image."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.language.fields import Count, PositiveNumber, Proportion, Section
from dlcli.recipe.sections.augment import Augment, rules_of_composition
from dlcli.recipe.sections.box_data import LocalizationData
from dlcli.recipe.sections.image_model import Convnet, ImageClassifier, rules_of_input, rules_without_auxiliary
from dlcli.recipe.sections.search import Search, rules_of_search
from dlcli.recipe.sections.train import Stage, Train, rules_of_balance
from dlcli.recipe.tasks.base import CLASSIFIER_OPTIONS, IMAGE_EXPLANATION_OPTIONS, TaskRecipe


class BoxHead(Section):
    """The head that predicts the bounding box from the network's last feature maps."""

    channels: Count | None = 128
    """Number of feature maps to which a 1x1 convolution reduces the last ones before they are flattened; null: no such
    convolution."""
    dense: tuple[Count, ...] = (128,)
    """Units of the dense layers between the feature maps and the box."""
    dropout: Proportion = 0.0
    """Proportion set to 0 in training after each dense layer."""
    form: Literal["corners", "center_size"] = "corners"
    """Parametrization of the four outputs in [0, 1]: left, top, right and bottom; or the center, width and height."""
    per_class: bool = False
    """Whether each class has its own four outputs; the predicted class then selects the box."""
    loss: Literal["smooth_l1", "l2", "giou", "ciou"] = "smooth_l1"
    """Loss between the predicted box and the ground truth: on their corners (smooth_l1, l2) or their overlap (giou,
    ciou)."""
    weight: PositiveNumber = 1.0
    """Weight of the box loss relative to the class loss."""


class LocalizationStage(Stage):
    """A stage of training with its own losses, optimizer state, schedule and patience."""

    losses: Literal["all", "class", "box"] = "all"
    """Losses that the stage minimizes; with one of them, the layers that only the other head uses are frozen."""


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
    """Stages of training in sequence, each with its own epochs, learning rate and losses. Default: one stage."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.adversarial is not None:
            yield "adversarial", "is for task: classification; remove it"


class Localization(TaskRecipe):
    """One label and one bounding box for each image."""

    samples = "images or arrays"
    verbs = frozenset(
        (
            *("train", "search", "evaluate", "predict", "embed", "serve", "explain", "export", "summary"),
            *("data check", "data pack", "data preview", "data stats", "data split"),
        )
    )
    options = frozenset(("--data", "--draw", "--input", "--split")) | CLASSIFIER_OPTIONS
    explanation_options = IMAGE_EXPLANATION_OPTIONS | {"--target"}
    prediction = "box"
    headline = "localization_accuracy"
    baselines = ("baseline_localization_accuracy",)

    task: Literal["localization"]
    """The task, which selects the schema of the recipe."""
    data: LocalizationData
    """Source of the samples, and how they are split."""
    augment: Augment | None = None
    """Random augmentation of the training images; boxes move with the pixels."""
    model: ImageClassifier
    """The network below both heads."""
    box_head: BoxHead = BoxHead()
    """The head that predicts the bounding box."""
    train: LocalizationTrain = LocalizationTrain()
    """Length of training, optimizer, schedule, and which model is kept."""

    search: Search | None = None
    """A search of the cells of the network, for `dlcli search`. Training ignores it."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if isinstance(self.model, Convnet) and self.model.rank != 2:
            yield "model.rank", f"must be 2, because the samples are images. Received {self.model.rank}."
        if self.augment is not None:
            for key in ("mixup", "cutmix"):
                if getattr(self.augment, key) is not None:
                    yield f"augment.{key}", "mixes two images and so their two boxes; remove it"
        yield from rules_of_composition(self.augment)
        yield from rules_of_balance(self.data, self.train)
        yield from rules_without_auxiliary(self.model)
        yield from rules_of_search(self.search, self.model, self.train)
        yield from rules_of_input(self.model, self.augment, precision=self.train.precision)
