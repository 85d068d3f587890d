"""The recipe of ``task: instance_segmentation``: the objects in an image, each with a class, a box and a mask."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Literal

from dlcli.recipe.language.fields import Section
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.detect import InstanceDetect
from dlcli.recipe.sections.detection_data import InstanceData
from dlcli.recipe.sections.detection_model import MaskRcnn
from dlcli.recipe.sections.search import Search, rules_of_search
from dlcli.recipe.sections.target_train import StagedTrain
from dlcli.recipe.tasks.base import TaskRecipe
from dlcli.recipe.tasks.detection import Detection, rules_of_detector

Metric = Literal[
    "train_loss",
    "train_class_loss",
    "train_box_loss",
    "train_mask_loss",
    "val_loss",
    "val_class_loss",
    "val_box_loss",
    "val_mask_loss",
    "val_mask_ap",
    "val_mask_ap50",
    "val_box_ap",
]
"""The columns of metrics.csv that can steer training."""


class InstanceEvaluation(Section):
    """How the saved model decides what it has detected."""

    detect: InstanceDetect = InstanceDetect()
    """From the network's scores and boxes to objects; part of model.keras and of every evaluation."""


class InstanceSegmentation(TaskRecipe):
    """The objects in an image, each with a label, a bounding box and a mask."""

    samples = "images"
    verbs = Detection.verbs
    options = Detection.options | {"--masks", "--pixel-size"}
    explanation_options = Detection.explanation_options
    instead = MappingProxyType(
        {
            **Detection.instead,
            "--output FILE.npz": "Name a .csv file for the objects, or a .json file with their masks.",
        }
    )
    prediction = "objects"
    headline = "mask_ap"
    baselines = ("baseline_fixed_masks_ap",)

    task: Literal["instance_segmentation"]
    """The task, which selects the schema of the recipe."""
    data: InstanceData
    """Source of the images and their objects with masks, and how they are split."""
    augment: Augment | None = None
    """Random augmentation of the training images; boxes and masks move with the pixels."""
    model: MaskRcnn
    """The network."""
    train: StagedTrain[Metric] = StagedTrain[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""
    evaluate: InstanceEvaluation = InstanceEvaluation()
    """How objects are detected."""

    search: Search | None = None
    """A search of the cells of the backbone, for `dlcli search`. Training ignores it."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_search(self.search, self.model.backbone, self.train, key="model.backbone")
        yield from rules_of_detector(self.model.backbone, self.augment, precision=self.train.precision)
