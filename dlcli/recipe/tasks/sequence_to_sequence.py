"""The recipe of ``task: sequence_to_sequence``: a target text for each source text."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import Count, FractionsAllowed, LocalPath, Proportion, Section, Seed, Text
from dlcli.recipe.sections.image_data import DividedSource
from dlcli.recipe.sections.sequence_model import NumLayers
from dlcli.recipe.sections.table_data import Headerless, SplitFiles
from dlcli.recipe.sections.text_data import TextSource, Tokens
from dlcli.recipe.sections.train import SmoothTrain
from dlcli.recipe.tasks.base import SEQUENCE_VERBS, STEP_METHODS, TaskRecipe


class PairsTsv(SplitFiles, TextSource):
    """A pair on each line: the source text, a tab, the target text; further columns are ignored."""

    kind: Literal["tsv"]
    """Source of the samples."""
    path: LocalPath
    """The file, or a folder with a file for each split, relative to the recipe's folder."""


class PairsCsv(Headerless, SplitFiles, TextSource):
    """A CSV file with a header and a row for each pair; in a .tsv file columns are separated by tabs."""

    kind: Literal["csv"]
    """Source of the samples."""
    path: LocalPath
    """The file, or a folder with a file for each split, relative to the recipe's folder."""
    source: Text = "source"
    """Name of the column that holds the source text."""
    target: Text = "target"
    """Name of the column that holds the target text."""
    split: Text | None = None
    """Name of a column that holds train, validation (or val) or test. Default: a random split."""
    group: Text | None = None
    """Name of a column whose equal values must stay in one split: the book, the speaker, the day."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.source == self.target:
            yield "target", f"must be another column than source. Received '{self.target}'."


class Addition(DividedSource):
    """Sums of two numbers as text: the source "52+7" has the target "59". The samples are generated; no file is
    read."""

    kind: Literal["addition"]
    """Source of the samples."""
    digits: Annotated[int, Ge(1), Le(9)] = 3
    """Maximum number of digits of each of the two numbers."""
    num_samples: Annotated[int, Ge(1), Le(1_000_000)] = 50_000
    """Number of different sums to generate, over all splits: at most half of the possible ones."""
    seed: Seed = 0
    """Seed of the generated samples."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        most = 10**self.digits * (10**self.digits + 1) // 4
        if self.num_samples > most:
            possible = f"half of the possible sums with digits: {self.digits}"
            yield "num_samples", f"must be at most {most:,}, {possible}. Received {self.num_samples:,}."


class PairTokens(Tokens):
    """Tokenization of source and target texts, whose two vocabularies are built from the training split."""

    unit: Literal["words", "characters"] = "words"
    """What a token is: a word between white space, or a single character."""
    max_length: Count = 100
    """Maximum length in tokens of source and target texts, which are truncated, and of generated ones."""


class EncoderDecoder(Section):
    """A recurrent encoder of the source text, and a recurrent decoder that generates the target text token by token."""

    kind: Literal["encoder_decoder"]
    """Family of networks."""
    cell: Literal["simple", "lstm", "gru"] = "lstm"
    """Type of recurrent cell."""
    units: Count = 128
    """Units of each layer; in the encoder, for each direction."""
    layers: NumLayers = 1
    """Number of stacked layers in the encoder and in the decoder."""
    bidirectional: bool = True
    """Whether the encoder reads the source text in both directions."""
    attention: Literal["none", "bahdanau", "luong"] = "bahdanau"
    """Attention of the decoder to the encoder's outputs (Bahdanau et al. 2015, Luong et al. 2015). With none, the
    decoder only has the encoder's final state."""
    dropout: Proportion = 0.0
    """Dropout rate for the inputs of encoder and decoder, and before the output layer."""
    recurrent_initializer: Literal["orthogonal", "glorot_uniform"] = "orthogonal"
    """Initializer of the recurrent weights."""
    forget_bias: bool = True
    """Whether the biases of LSTM's forget gates are initialized to 1."""


Probability = Annotated[float, Ge(0), Le(1), FractionsAllowed()]


class TeacherForcing(Section):
    """Probability that the decoder's input at a training step is the true previous token and not its own prediction
    (scheduled sampling, Bengio et al. 2015)."""

    first: Probability = 1.0
    """Probability in the first epoch."""
    last: Probability = 1.0
    """Probability in the last epoch; it changes linearly in between."""


Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
"""The columns of metrics.csv that can steer training."""


class PairTrain(SmoothTrain[Metric]):
    """How an encoder-decoder is trained."""

    teacher_forcing: TeacherForcing = TeacherForcing()
    """Whether the decoder is fed the true previous token or its own prediction."""


class SequenceToSequence(TaskRecipe):
    """One target text for each source text."""

    samples = "texts"
    verbs = SEQUENCE_VERBS
    options = frozenset(("--beam", "--copy-unknown", "--data", "--split", "--text"))
    explanation_options = frozenset(("--check", "--gates", "--gradient-norms", "--steps", "--text"))
    explanation_methods = STEP_METHODS
    named_by = "text"
    reads_lines = True
    headline = "exact"

    task: Literal["sequence_to_sequence"]
    """The task, which selects the schema of the recipe."""
    data: Annotated[PairsTsv | PairsCsv | Addition, Field(discriminator="kind")]
    """Source of the samples, and how they are split."""
    text: PairTokens = PairTokens()
    """Tokenization of both texts."""
    model: EncoderDecoder
    """The network."""
    train: PairTrain = PairTrain()
    """Length of training, optimizer, schedule, and which model is kept."""
