"""The recipe of ``task: tagging``: a class for each word of a sentence."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Le
from pydantic import Field

from dlcli.recipe.language.fields import Count, LocalPath, Section, Text
from dlcli.recipe.sections.loss import CrossEntropy
from dlcli.recipe.sections.sequence_model import Convolutional, Recurrent, Transformer, rules_of_steps
from dlcli.recipe.sections.text_data import Characters, PretrainedVectors, TextSource
from dlcli.recipe.sections.train import ClassTrain
from dlcli.recipe.tasks.base import SEQUENCE_VERBS, STEP_METHODS, TaskRecipe


class TaggedFiles(TextSource):
    """The keys of files of sentences."""

    path: LocalPath
    """The file of the training sentences, or a folder with a file for each split, relative to the recipe's folder."""
    validation_path: LocalPath | None = None
    """A file for validation. Default: a random split."""
    test_path: LocalPath | None = None
    """A file for the test. Default: a random split."""


class Conllu(TaggedFiles):
    """The CoNLL-U format of Universal Dependencies."""

    kind: Literal["conllu"]
    """Source of the samples."""
    column: Literal["upos", "xpos", "deprel"] = "upos"
    """Column to predict: the universal (upos) or language-specific (xpos) part of speech, or the relation to the
    head."""


class Columns(TaggedFiles):
    """A word and its tag on each line, in its first and last columns; an empty line ends a sentence."""

    kind: Literal["columns"]
    """Source of the samples."""


class TaggedJson(TaggedFiles):
    """A JSON object on each line, with a list of words and one of as many tags, as data sets for transformers are
    published."""

    kind: Literal["jsonl"]
    """Source of the samples."""
    words: Text = "words"
    """Key of the list of words; elsewhere often `tokens`."""
    tags: Text = "tags"
    """Key of the list of tags, which are texts."""


class Words(PretrainedVectors):
    """The vocabulary of words, which is built from the training split."""

    lowercase: bool = False
    """Whether words are lowercased before they are looked up."""
    max_vocabulary: Annotated[int, Field(ge=1), Le(10**6)] = 20_000
    """Maximum size of the vocabulary: the most frequent words. All others become one unknown word."""
    min_count: Count = 2
    """How often a word must occur in the training split to be in the vocabulary."""
    max_length: Count = 400
    """Maximum length of a sentence in words; the rest is truncated and gets no tags."""
    embedding: Count = 64
    """Size of the embedding of a word, which is trained with the network."""
    characters: Characters | None = None
    """The characters of words as a further input. `lowercase` does not change them. Default: none."""


class Tagger(Section):
    """The keys of a network with a tag for each word."""

    crf: bool = False
    """Whether a conditional random field chooses the tags of a sentence together, by learned scores of neighboring tags
    (Lample et al. 2016); otherwise each tag is chosen for itself."""


class TaggingRecurrent(Tagger, Recurrent):
    """One or more recurrent layers: simple, leaky, Jordan, LSTM or GRU, in one direction or both."""

    has_targets = True

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.crf and self.teacher_forcing:
            yield "crf", "cannot be combined with teacher_forcing, which chooses tags one by one; remove one of them."


class TaggingConvolutional(Tagger, Convolutional):
    """One-dimensional convolutions over the steps, which may be dilated and causal."""


class TaggingTransformer(Tagger, Transformer):
    """Blocks of self-attention and a feed-forward network (Vaswani et al. 2017)."""


TaggingNetwork = Annotated[TaggingRecurrent | TaggingConvolutional | TaggingTransformer, Field(discriminator="kind")]


def is_fed_back(model: TaggingNetwork) -> bool:
    """Whether the predicted tags are fed back to the network, and the true ones in training."""
    return isinstance(model, TaggingRecurrent) and model.teacher_forcing


Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
"""The columns of metrics.csv that can steer training."""


class Tagging(TaskRecipe):
    """One label for each word."""

    samples = "sentences"
    verbs = SEQUENCE_VERBS
    options = frozenset(("--calibrate", "--data", "--probabilities", "--split", "--text", "--top-k"))
    explanation_options = frozenset(("--check", "--class", "--gates", "--gradient-norms", "--steps", "--text"))
    explanation_methods = STEP_METHODS
    prediction = "tags"
    reads_lines = True
    headline = "accuracy"
    special_headline = "entity_f1"
    baselines = ("baseline_accuracy",)

    task: Literal["tagging"]
    """The task, which selects the schema of the recipe."""
    data: Annotated[Conllu | Columns | TaggedJson, Field(discriminator="kind")]
    """Source of the samples, and how they are split."""
    text: Words = Words()
    """Vocabulary of the words."""
    model: TaggingNetwork
    """The network."""
    train: ClassTrain[Metric] = ClassTrain[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_steps(self.model)
        if self.model.crf:
            yield from self._rules_of_crf()

    def _rules_of_crf(self) -> Iterator[tuple[str, str]]:
        """The loss of a conditional random field is that of whole sentences."""
        train = self.train
        if train.class_weights is not None:
            yield "train.class_weights", "is for losses of single words; remove it, or set model.crf to false"
        if train.label_smoothing:
            yield "train.label_smoothing", "must be 0 with model.crf, whose loss is that of whole sentences"
        if train.loss != CrossEntropy(kind="cross_entropy"):
            yield "train.loss", "cannot be combined with model.crf, which has a loss of its own; remove one of them"
