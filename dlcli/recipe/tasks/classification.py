"""The recipe of ``task: classification``: images (signals, volumes) into one of several classes."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.sections.augment import Augment, rules_of_composition
from dlcli.recipe.sections.image_data import ImageData, Npz
from dlcli.recipe.sections.image_model import Backbone, Cells, Convnet, ImageClassifier, Lenet5, Saved, rules_of_input
from dlcli.recipe.sections.own_sizes import INSTEAD, rules_of_own_sizes
from dlcli.recipe.sections.search import Search, rules_of_search
from dlcli.recipe.sections.train import Train, rules_of_balance
from dlcli.recipe.tasks.base import CLASSIFIER_OPTIONS, IMAGE_EXPLANATION_OPTIONS, TaskRecipe

RANK = {"signal": 1, "image": 2, "volume": 3}
"""Rank of the convolution that each layout of the samples takes."""


Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_robust_accuracy"]
"""The columns of metrics.csv that can steer training."""


class Classification(TaskRecipe):
    """One label for each image."""

    samples = "images or arrays"
    verbs = frozenset(
        (
            *("train", "search", "evaluate", "predict", "embed", "serve", "attack", "explain", "export", "summary"),
            *("data check", "data pack", "data preview", "data stats", "data split"),
        )
    )
    options = frozenset(("--data", "--input", "--split", "--tta")) | CLASSIFIER_OPTIONS
    explanation_options = IMAGE_EXPLANATION_OPTIONS | {"--mistakes"}
    prediction = "classes"
    headline = "accuracy"
    baselines = ("baseline_most_frequent", "baseline_pixels", "baseline_hog")

    task: Literal["classification"]
    """The task, which selects the schema of the recipe."""
    data: ImageData
    """Source of the samples, and how they are split."""
    augment: Augment | None = None
    """Random augmentation of the training images."""
    model: ImageClassifier
    """The network."""
    train: Train[Metric] = Train[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""
    search: Search | None = None
    """A search of the network's cells, for `dlcli search`. Training ignores it."""

    def rules(self) -> Iterator[tuple[str, str]]:
        layout = self.data.layout if isinstance(self.data, Npz) else "image"
        if isinstance(self.model, Convnet) and self.model.rank != RANK[layout]:
            yield (
                "model.rank",
                f"must be {RANK[layout]}, because data.layout is {layout}. Received {self.model.rank}.",
            )
        if self.augment is not None and layout != "image":
            yield "augment", f"is for images; remove it. Received data.layout: {layout}."
        if self.train.adversarial is not None:
            if layout != "image":
                yield "train.adversarial", f"is for images; remove it. Received data.layout: {layout}."
            for key in ("mixup", "cutmix"):
                if self.augment is not None and getattr(self.augment, key) is not None:
                    yield (
                        f"augment.{key}",
                        "cannot be combined with train.adversarial, which needs a single label for each sample",
                    )
        if self.augment is not None and self.train.batch_size == 1:
            for key in ("mixup", "cutmix"):
                if getattr(self.augment, key) is not None:
                    yield (
                        f"augment.{key}",
                        "mixes the samples of a batch; set train.batch_size to 2 or more. Received 1.",
                    )
        if isinstance(self.model, Lenet5 | Backbone | Saved) and layout != "image":
            yield (
                "model.kind",
                f"{self.model.kind} takes images; use convnet or mlp. Received data.layout: {layout}.",
            )
        yield from self._rules_of_auxiliary()
        yield from rules_of_composition(self.augment)
        yield from rules_of_balance(self.data, self.train)
        yield from rules_of_own_sizes(self.data, self.model, self.augment)
        if self.data.resize == "none" and self.train.adversarial is not None:
            yield "train.adversarial", f"needs images of one size; remove it, {INSTEAD}"
        yield from rules_of_input(self.model, self.augment, precision=self.train.precision)
        yield from rules_of_search(self.search, self.model, self.train)

    def _rules_of_auxiliary(self) -> Iterator[tuple[str, str]]:
        if not isinstance(self.model, Cells) or not self.model.auxiliary:
            return
        if self.train.adversarial is not None:
            yield "train.adversarial", "cannot be combined with model.auxiliary; remove one of them"
        for number, stage in enumerate(self.train.stages):
            if stage.trainable != "all":
                yield (
                    f"train.stages.{number}.trainable",
                    "must be all with model.auxiliary, whose classifier reads a stage in the middle of the network. "
                    f"Received {stage.trainable}.",
                )
            if stage.rate_decay is not None:
                yield f"train.stages.{number}.rate_decay", "cannot be combined with model.auxiliary; remove one of them"
