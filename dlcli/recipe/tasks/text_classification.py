"""The recipe of ``task: text_classification``: a class for each text."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.sections.text_data import LabeledTexts, Tokens
from dlcli.recipe.sections.train import ClassTrain, rules_of_metrics
from dlcli.recipe.tasks.base import TaskRecipe


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
    train: ClassTrain = ClassTrain()
    """How it is trained."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_metrics(self.train, ("loss", "accuracy"), task=self.task)
