"""The recipe of ``task: segmentation``: a class for each pixel of an image."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Literal

from dlcli.recipe.sections.augment import Augment, rules_of_composition
from dlcli.recipe.sections.backbone import base_key, base_of
from dlcli.recipe.sections.image_model import rules_of_input
from dlcli.recipe.sections.mask_data import STRIDE, MaskData
from dlcli.recipe.sections.search import Search, rules_of_search
from dlcli.recipe.sections.segmentation_model import SegmentationModel
from dlcli.recipe.sections.target_train import DenseTrain
from dlcli.recipe.tasks.base import TaskRecipe

DEEPEST_IN_TILES = 5  # levels of a U-Net: it reduces a tile by 2 ** 5 = STRIDE

Metric = Literal[
    "train_loss",
    "train_pixel_accuracy",
    "train_mean_iou",
    "val_loss",
    "val_pixel_accuracy",
    "val_mean_iou",
]
"""The columns of metrics.csv that can steer training."""


class Segmentation(TaskRecipe):
    """One label for each pixel of an image."""

    samples = "images"
    verbs = frozenset(
        (
            *("train", "search", "evaluate", "predict", "serve", "explain", "export", "summary"),
            *("data check", "data preview", "data stats", "data split", "data pack"),
        )
    )
    options = frozenset(("--data", "--draw", "--input", "--masks", "--pixel-size", "--split"))
    instead = MappingProxyType(
        {
            "generate": "Use dlcli predict.",
            "attack": "Adversarial examples of a class for each pixel are not available.",
            "--output FILE.npz": "Name a .csv or .json file for the areas, and a folder for the masks: --masks DIR.",
        }
    )
    headline = "mean_iou"
    baselines = ("baseline_position_mean_iou", "baseline_most_frequent_mean_iou")
    prediction = "masks"

    task: Literal["segmentation"]
    """The task, which selects the schema of the recipe."""
    data: MaskData
    """Source of the images and their masks, and how they are split."""
    augment: Augment | None = None
    """Random augmentation of the training images; masks follow every geometric transformation."""
    model: SegmentationModel
    """The network."""
    train: DenseTrain[Metric] = DenseTrain[Metric]()
    """Length of training, optimizer, schedule, loss, and which model is kept."""

    search: Search | None = None
    """A search of the cells of the backbone, for `dlcli search`. Training ignores it."""

    def rules(self) -> Iterator[tuple[str, str]]:
        base = base_of(self.model)
        yield from rules_of_search(self.search, base, self.train, key=base_key(self.model))
        yield from rules_of_composition(self.augment)
        if self.augment is not None:
            if self.augment.mixup is not None:
                yield (
                    "augment.mixup",
                    "averages two images, so that a pixel belongs to two classes; remove it, or use cutmix",
                )
            if self.augment.cutmix is not None and self.train.batch_size == 1:
                yield (
                    "augment.cutmix",
                    "mixes the samples of a batch; set train.batch_size to 2 or more. Received 1.",
                )
        depth = getattr(self.model, "depth", None)
        if self.data.tiles is not None and depth is not None and depth > DEEPEST_IN_TILES:
            yield (
                "model.depth",
                f"must be at most {DEEPEST_IN_TILES} with data.tiles, whose places are multiples of {STRIDE} pixels. "
                f"Received {depth}",
            )
        if base is not None:
            yield from rules_of_input(base, self.augment, precision=self.train.precision, place=base_key(self.model))
