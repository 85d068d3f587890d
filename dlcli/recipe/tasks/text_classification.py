"""The recipe of ``task: text_classification``: a class for each text."""

from typing import Literal

from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.sections.text_data import LabeledTexts, Tokens
from dlcli.recipe.sections.train import ClassTrain
from dlcli.recipe.tasks.base import TaskRecipe

Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
"""The columns of metrics.csv that can steer training."""


class TextClassification(TaskRecipe):
    """One label for each text."""

    samples = "texts"
    verbs = frozenset(("train", "evaluate", "predict", "summary", "data check", "data stats", "data split"))
    options = frozenset(("--data", "--split", "--text"))

    task: Literal["text_classification"]
    """What is learned."""
    data: LabeledTexts
    """Where the samples come from."""
    text: Tokens = Tokens()
    """How text becomes tokens."""
    model: StepModel
    """The network."""
    train: ClassTrain[Metric] = ClassTrain[Metric]()
    """How it is trained."""
