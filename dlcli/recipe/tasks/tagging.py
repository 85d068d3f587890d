"""The recipe of ``task: tagging``: a class for each word of a sentence."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Le
from pydantic import Field

from dlcli.recipe.language.fields import Count, LocalPath, Section
from dlcli.recipe.sections.sequence_model import StepModel, rules_of_steps
from dlcli.recipe.sections.text_data import TextSource
from dlcli.recipe.sections.train import SmoothTrain
from dlcli.recipe.tasks.base import TaskRecipe


class TaggedFiles(TextSource):
    """The keys of files of sentences."""

    path: LocalPath
    """The file of the training sentences, relative to the recipe's folder."""
    validation_path: LocalPath | None = None
    """A file for validation. Default: the split is drawn."""
    test_path: LocalPath | None = None
    """A file for the test. Default: the split is drawn."""


class Conllu(TaggedFiles):
    """The CoNLL-U format of Universal Dependencies."""

    kind: Literal["conllu"]
    """Source of the samples."""
    column: Literal["upos", "xpos", "deprel"] = "upos"
    """What the tag is: the universal or the language's own part of speech, or the relation to the head."""


class Columns(TaggedFiles):
    """A word and its tag on each line, the first and the last of its columns; an empty line after each sentence."""

    kind: Literal["columns"]
    """Source of the samples."""


class Words(Section):
    """How words become numbers; which there are is learned of the training split."""

    lowercase: bool = False
    """Whether a word in capitals, or with a capital first, counts as the one in small letters."""
    max_vocabulary: Annotated[int, Field(ge=1), Le(10**6)] = 20_000
    """Words that are known at most, the most frequent ones; the others are all one unknown word."""
    min_count: Count = 2
    """How often a word must come in the training split to be known."""
    max_length: Count = 400
    """Words of a sentence that are used; the rest is cut off, and has no tags."""
    embedding: Count = 64
    """Numbers that stand for a word inside the network, learned with it."""


Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
"""The columns of metrics.csv that can steer training."""


class Tagging(TaskRecipe):
    """One label for each word."""

    samples = "sentences"
    verbs = frozenset(("train", "evaluate", "predict", "summary", "data check", "data stats", "data split"))
    options = frozenset(("--data", "--split", "--text"))

    task: Literal["tagging"]
    """What is learned."""
    data: Annotated[Conllu | Columns, Field(discriminator="kind")]
    """Where the samples come from."""
    text: Words = Words()
    """How words become numbers."""
    model: StepModel
    """The network."""
    train: SmoothTrain[Metric] = SmoothTrain[Metric]()
    """How it is trained."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_steps(self.model)
