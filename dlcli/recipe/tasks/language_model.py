"""The recipe of ``task: language_model``: what follows in a text, one token at a time."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from dlcli.recipe.language.fields import Count, LocalPath, Proportion, Section
from dlcli.recipe.sections.sequence_model import Convolutional, Recurrent, Transformer, rules_of_steps
from dlcli.recipe.sections.text_data import Encoding, TextSource, Tokens
from dlcli.recipe.sections.train import SmoothTrain
from dlcli.recipe.tasks.base import TaskRecipe


class LongText(Section):
    """A file with one long text, divided by place: training first, then validation, the test last."""

    kind: Literal["text"]
    """Source of the samples."""
    path: LocalPath
    """The file, relative to the recipe's folder."""
    validation_path: LocalPath | None = None
    """A file for validation. Default: a part of `path`."""
    test_path: LocalPath | None = None
    """A file for the test. Default: a part of `path`."""
    validation: Proportion | None = None
    """Proportion of the text held out to follow training. Default: 0.05; 0 beside `validation_path`."""
    test: Proportion | None = None
    """Proportion of the text held out for the final test: its end. Default: 0.1; 0 beside `test_path`."""
    encoding: Encoding = "utf-8"
    """What the files' bytes mean."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.validation is not None and self.test is not None and self.validation + self.test >= 1:
            yield "test", f"validation and test must add up to less than 1. Received {self.validation} and {self.test}."
        for name in ("validation", "test"):
            if getattr(self, f"{name}_path") is not None and getattr(self, name):
                yield name, f"cannot stand beside {name}_path: the text is either divided or a file of its own"


class ManyLines(TextSource):
    """A text on each line of a file; or of the files of a folder, where the model is told which file a text is of."""

    kind: Literal["lines"]
    """Source of the samples."""
    path: LocalPath
    """The file or folder, relative to the recipe's folder. A folder's files give the classes their names."""


class LanguageTokens(Tokens):
    """How text becomes tokens; which there are is learned of the training split."""

    unit: Literal["words", "characters"] = "characters"
    """What a token is: what stands between white space, or a single character."""
    standardize: Literal["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"] | None = None
    """What is done to text first: small letters, no punctuation, both or nothing. Default: nothing."""
    max_length: Count = 100
    """Tokens that training sees at once: of a long text, windows of so many; of a line what is longer is cut off."""

    @property
    def final_standardize(self) -> Literal["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"]:
        return self.standardize or "none"


class LanguageRecurrent(Recurrent):
    """Recurrent layers: simple, LSTM or GRU, deep where wanted."""

    stateful: bool = False
    """Begin each window of a long text in the state in which the one before ended: truncated backpropagation through
    time. A batch is then as many places of the text, read on side by side, and all begin anew with each epoch."""


LanguageNetwork = Annotated[LanguageRecurrent | Convolutional | Transformer, Field(discriminator="kind")]


Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
"""The columns of metrics.csv that can steer training."""


class LanguageModel(TaskRecipe):
    """The next token at every step."""

    samples = "texts"
    verbs = frozenset(("train", "evaluate", "generate", "summary", "data check", "data stats", "data split"))
    options = frozenset(("--data", "--split"))
    instead = MappingProxyType({"predict": "Use dlcli generate."})

    task: Literal["language_model"]
    """What is learned."""
    data: Annotated[LongText | ManyLines, Field(discriminator="kind")]
    """Where the texts come from."""
    text: LanguageTokens = LanguageTokens()
    """How text becomes tokens."""
    model: LanguageNetwork
    """The network."""
    train: SmoothTrain[Metric] = SmoothTrain[Metric]()
    """How it is trained."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_steps(self.model)
        if not isinstance(self.model, LanguageRecurrent):
            if not self.model.causal:
                yield "model.causal", "must be true for a language model, which is not to see what it is to say"
            return
        if self.model.bidirectional:
            yield "model.bidirectional", "must be false for a language model, which is not to see what it is to say"
        if not self.model.stateful:
            return
        if not isinstance(self.data, LongText):
            yield "model.stateful", "is for one long text, data.kind: text; lines have nothing to do with each other"
        if self.train.gradient_accumulation > 1:
            yield "train.gradient_accumulation", "must be 1 beside model.stateful, whose states belong to a whole batch"
