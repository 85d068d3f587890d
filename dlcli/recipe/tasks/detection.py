"""The recipe of ``task: detection``: the objects in an image, each with a class and a bounding box."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Literal

from dlcli.recipe.language.fields import Section
from dlcli.recipe.sections.augment import Augment, rules_of_composition
from dlcli.recipe.sections.detect import Detect
from dlcli.recipe.sections.detection_data import DetectionData
from dlcli.recipe.sections.detection_model import DetectionModel
from dlcli.recipe.sections.image_model import ImageClassifier, rules_of_input
from dlcli.recipe.sections.search import Search, rules_of_search
from dlcli.recipe.sections.target_train import StagedTrain
from dlcli.recipe.tasks.base import IMAGE_EXPLANATION_OPTIONS, TaskRecipe

Metric = Literal[
    "train_loss",
    "train_class_loss",
    "train_box_loss",
    "val_loss",
    "val_class_loss",
    "val_box_loss",
]
"""The columns of metrics.csv that can steer training."""


class DetectionEvaluation(Section):
    """How the saved model decides what it has detected."""

    detect: Detect = Detect()
    """From the network's scores and boxes to objects; part of model.keras and of every evaluation."""


class Detection(TaskRecipe):
    """The objects in an image, each with a label and a bounding box."""

    samples = "images"
    verbs = frozenset(
        (
            *("train", "search", "evaluate", "predict", "serve", "explain", "export", "summary"),
            *("data check", "data pack", "data preview", "data stats", "data split"),
        )
    )
    options = frozenset(("--crops", "--data", "--draw", "--input", "--plot", "--score", "--split"))
    instead = MappingProxyType(
        {
            "generate": "Use dlcli predict.",
            "attack": "Adversarial examples of detectors are not available.",
            "--output FILE.npz": "Name a .csv or .json file for the objects.",
        }
    )
    explanation_options = IMAGE_EXPLANATION_OPTIONS | {"--object"}
    prediction = "objects"
    headline = "ap"
    baselines = ("baseline_fixed_boxes_ap",)

    task: Literal["detection"]
    """The task, which selects the schema of the recipe."""
    data: DetectionData
    """Source of the images and their objects, and how they are split."""
    augment: Augment | None = None
    """Random augmentation of the training images; boxes move with the pixels."""
    model: DetectionModel
    """The network."""
    train: StagedTrain[Metric] = StagedTrain[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""
    evaluate: DetectionEvaluation = DetectionEvaluation()
    """How objects are detected."""

    search: Search | None = None
    """A search of the cells of the backbone, for `dlcli search`. Training ignores it."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_search(self.search, self.model.backbone, self.train, key="model.backbone")
        yield from rules_of_composition(self.augment, allowed=("mosaic",))
        yield from rules_of_detector(self.model.backbone, self.augment, precision=self.train.precision)


def rules_of_detector(
    backbone: ImageClassifier, augment: Augment | None, *, precision: str
) -> Iterator[tuple[str, str]]:
    """Rules on the augmentation and on the network's input."""
    if augment is not None:
        for key in ("mixup", "cutmix"):
            if getattr(augment, key) is not None:
                yield f"augment.{key}", "mixes two images and so their boxes; remove it, or use mosaic"
    for key, message in rules_of_input(backbone, augment, precision=precision):
        yield key.replace("model.", "model.backbone.", 1) if key.startswith("model.") else key, message
