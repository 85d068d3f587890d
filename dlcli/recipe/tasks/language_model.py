"""The recipe of ``task: language_model``: the next token of a text."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from dlcli.recipe.language.fields import Count, LocalPath, Proportion, Section, Text
from dlcli.recipe.sections.sequence_model import Convolutional, Recurrent, Transformer, rules_of_steps
from dlcli.recipe.sections.table_data import SplitFiles
from dlcli.recipe.sections.text_data import Encoding, SubwordTokens, TextSource, Unit
from dlcli.recipe.sections.train import SmoothTrain
from dlcli.recipe.tasks.base import SEQUENCE_VERBS, STEP_METHODS, TaskRecipe


class LongText(Section):
    """A file with one long text, split by position: training, then validation, then test."""

    kind: Literal["text"]
    """Source of the samples."""
    path: LocalPath
    """The file, or a folder with a file for each split such as train.txt, relative to the recipe's folder."""
    validation_path: LocalPath | None = None
    """A separate file for validation. Default: a part of `path`."""
    test_path: LocalPath | None = None
    """A separate file for the test. Default: a part of `path`."""
    validation: Proportion | None = None
    """Proportion of the text held out for validation. Default: 0.05; 0 with `validation_path`."""
    test: Proportion | None = None
    """Proportion of the text held out for the test: its end. Default: 0.1; 0 with `test_path`."""
    encoding: Encoding = "utf-8"
    """Character encoding of the files."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.validation is not None and self.test is not None and self.validation + self.test >= 1:
            yield "test", f"validation and test must add up to less than 1. Received {self.validation} and {self.test}."
        for name in ("validation", "test"):
            if getattr(self, f"{name}_path") is not None and getattr(self, name):
                yield name, f"cannot be combined with {name}_path; remove one of them"


class ManyLines(SplitFiles, TextSource):
    """A text on each line of a file, or of the files in a folder, whose names are classes that the model is conditioned
    on."""

    kind: Literal["lines"]
    """Source of the samples."""
    path: LocalPath
    """The file or folder, relative to the recipe's folder. The classes are named after the files in the folder. A file
    may have others beside it, `validation_path` and `test_path`."""
    exclude: tuple[Text, ...] = ()
    """Patterns of files or texts to leave out, by name: `notes.txt`, `names.txt:12`."""
    folders: Literal["auto", "classes"] = "auto"
    """What the files and folders below `path` are: splits or classes, by their names (auto), or classes whatever their
    names."""


class LanguageTokens(SubwordTokens):
    """Tokenization. The vocabulary is built from the training split."""

    unit: Unit = "characters"
    """What a token is: a word between white space, a single character, or a subword: a part of a word, learned from the
    training split."""
    standardize: Literal["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"] | None = None
    """Standardization of the text before it is split into tokens: lowercase it, strip punctuation, both, or none.
    Default: none."""
    max_length: Count = 100
    """Length in tokens of the windows that a long text is trained in; lines that are longer are truncated."""

    @property
    def final_standardize(self) -> Literal["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"]:
        return self.standardize or "none"


class Tied(Section):
    """The key of weight tying."""

    tie_embeddings: bool = False
    """Weight tying: predict the next token by the embeddings of the tokens, instead of by weights of its own (Press and
    Wolf 2017; Inan et al. 2017). Outputs are projected to the size of the embeddings if they have another."""


class LanguageRecurrent(Tied, Recurrent):
    """One or more recurrent layers: simple, leaky, Jordan, LSTM or GRU."""

    stateful: bool = False
    """Start each window of a long text from the final state of the window before it (truncated backpropagation through
    time). A batch then reads `batch_size` parts of the text in parallel; states are reset at the start of each
    epoch."""


class LanguageConvolutional(Tied, Convolutional):
    """One-dimensional convolutions over the steps, which may be dilated and must be causal."""


class LanguageTransformer(Tied, Transformer):
    """Blocks of self-attention and a feed-forward network (Vaswani et al. 2017), which must be causal."""


LanguageNetwork = Annotated[
    LanguageRecurrent | LanguageConvolutional | LanguageTransformer, Field(discriminator="kind")
]


Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
"""The columns of metrics.csv that can steer training."""


class LanguageModel(TaskRecipe):
    """Prediction of the next token at every step."""

    samples = "texts"
    verbs = SEQUENCE_VERBS - {"predict"} | {"generate"}
    options = frozenset(("--data", "--split"))
    explanation_options = frozenset(("--check", "--class", "--gates", "--gradient-norms", "--steps", "--text"))
    explanation_methods = STEP_METHODS
    headline = "perplexity"
    beside_headline = "unknown"
    baselines = ("ngram_perplexity",)
    instead = MappingProxyType({"predict": "Use dlcli generate."})

    task: Literal["language_model"]
    """The task, which selects the schema of the recipe."""
    data: Annotated[LongText | ManyLines, Field(discriminator="kind")]
    """Source of the texts, and how they are split."""
    text: LanguageTokens = LanguageTokens()
    """Tokenization of the texts."""
    model: LanguageNetwork
    """The network."""
    train: SmoothTrain[Metric] = SmoothTrain[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_steps(self.model)
        if not isinstance(self.model, LanguageRecurrent):
            if not self.model.causal:
                yield (
                    "model.causal",
                    "must be true for a language model, which must not see the tokens that it predicts",
                )
            return
        if self.model.bidirectional:
            yield (
                "model.bidirectional",
                "must be false for a language model, which must not see the tokens that it predicts",
            )
        if not self.model.stateful:
            return
        if not isinstance(self.data, LongText):
            yield "model.stateful", "is for one long text (data.kind: text); lines do not continue each other"
        if self.train.gradient_accumulation > 1:
            yield (
                "train.gradient_accumulation",
                "must be 1 with model.stateful, which carries the states of a whole batch",
            )
