"""The recipe of ``task: classification``: images (signals, volumes) into one of several classes."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.image_data import ImageData, Npz
from dlcli.recipe.sections.image_model import Backbone, Convnet, ImageClassifier, Lenet5, Saved, rules_of_input
from dlcli.recipe.sections.train import Train
from dlcli.recipe.tasks.base import TaskRecipe

RANK = {"signal": 1, "image": 2, "volume": 3}
"""Dimensions of the convolution that fit each layout of the samples."""


Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_robust_accuracy"]
"""The columns of metrics.csv that can steer training."""


class Classification(TaskRecipe):
    """One label for each image."""

    samples = "images or arrays"
    verbs = frozenset(
        ("train", "evaluate", "predict", "attack", "summary", "data check", "data preview", "data stats", "data split")
    )
    options = frozenset(("--data", "--input", "--split"))

    task: Literal["classification"]
    """What is learned."""
    data: ImageData
    """Where the samples come from."""
    augment: Augment | None = None
    """Random changes to training images."""
    model: ImageClassifier
    """The network."""
    train: Train[Metric] = Train[Metric]()
    """How it is trained."""

    def rules(self) -> Iterator[tuple[str, str]]:
        layout = self.data.layout if isinstance(self.data, Npz) else "image"
        if isinstance(self.model, Convnet) and self.model.rank != RANK[layout]:
            yield (
                "model.rank",
                f"must be {RANK[layout]}, because the layout of the data is {layout}. Received {self.model.rank}.",
            )
        if self.augment is not None and layout != "image":
            yield "augment", f"is for images; remove it. The layout of the data is {layout}."
        if self.train.adversarial is not None:
            if layout != "image":
                yield "train.adversarial", f"is for images; remove it. The layout of the data is {layout}."
            for key in ("mixup", "cutmix"):
                if self.augment is not None and getattr(self.augment, key) is not None:
                    yield f"augment.{key}", "cannot stand beside train.adversarial, which needs one label a sample"
        if self.augment is not None and self.train.batch_size == 1:
            for key in ("mixup", "cutmix"):
                if getattr(self.augment, key) is not None:
                    yield f"augment.{key}", "mixes the samples of a batch, and train.batch_size is 1; raise it"
        if isinstance(self.model, Lenet5 | Backbone | Saved) and layout != "image":
            yield (
                "model.kind",
                f"{self.model.kind} takes images, and the layout of the data is {layout}; use convnet or mlp",
            )
        yield from rules_of_input(self.model, self.augment, precision=self.train.precision)
