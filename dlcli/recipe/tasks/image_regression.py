"""The recipe of ``task: image_regression``: one number or several for each image."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.image_model import ImageClassifier, rules_of_input, rules_without_auxiliary
from dlcli.recipe.sections.own_sizes import rules_of_own_sizes
from dlcli.recipe.sections.search import Search, rules_of_search
from dlcli.recipe.sections.target_data import NumberData, rules_of_images
from dlcli.recipe.sections.target_train import StagedTrain
from dlcli.recipe.tasks.base import IMAGE_EXPLANATION_OPTIONS, TaskRecipe

Metric = Literal["train_loss", "train_mae", "val_loss", "val_mae"]
"""The columns of metrics.csv that can steer training."""


class ImageRegression(TaskRecipe):
    """One number or several for each image."""

    samples = "images"
    verbs = frozenset(
        (
            *("train", "search", "evaluate", "predict", "embed", "serve", "explain", "export", "summary"),
            *("data check", "data pack", "data preview", "data stats", "data split"),
        )
    )
    options = frozenset(("--data", "--split"))
    explanation_options = (IMAGE_EXPLANATION_OPTIONS | {"--target"}) - {"--class"}
    prediction = "numbers"
    headline = "mae"
    baselines = ("baseline_mae",)

    task: Literal["image_regression"]
    """The task, which selects the schema of the recipe."""
    data: NumberData
    """Source of the samples, and how they are split."""
    augment: Augment | None = None
    """Random augmentation of the training images. The numbers stay as they are: leave out what would change them."""
    model: ImageClassifier
    """The network."""
    train: StagedTrain[Metric] = StagedTrain[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""
    search: Search | None = None
    """A search of the network's cells, for `dlcli search`. Training ignores it."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_images(self.model, self.augment, batch_size=self.train.batch_size)
        yield from rules_of_own_sizes(self.data, self.model, self.augment)
        yield from rules_without_auxiliary(self.model)
        yield from rules_of_input(self.model, self.augment, precision=self.train.precision)
        yield from rules_of_search(self.search, self.model, self.train)
