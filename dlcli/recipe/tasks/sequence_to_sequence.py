"""The recipe of ``task: sequence_to_sequence``: a text for each text."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import Count, FractionsAllowed, LocalPath, Proportion, Section, Seed, Text
from dlcli.recipe.sections.image_data import DividedSource
from dlcli.recipe.sections.sequence_model import NumLayers
from dlcli.recipe.sections.text_data import TextSource, Tokens
from dlcli.recipe.sections.train import SmoothTrain
from dlcli.recipe.tasks.base import TaskRecipe


class PairsTsv(TextSource):
    """A pair on each line: what is given, a tab, what is wanted; further columns are passed over."""

    kind: Literal["tsv"]
    """Source of the samples."""
    path: LocalPath
    """The file, relative to the recipe's folder."""


class PairsCsv(TextSource):
    """A CSV file with a row for each pair, and names of its columns; in a .tsv file columns are separated by tabs."""

    kind: Literal["csv"]
    """Source of the samples."""
    path: LocalPath
    """The file, relative to the recipe's folder."""
    source: Text = "source"
    """Name of the column that holds what is given."""
    target: Text = "target"
    """Name of the column that holds what is wanted."""
    split: Text | None = None
    """Name of a column that holds train, validation (or val) or test. Default: the split is drawn."""
    group: Text | None = None
    """Name of a column whose equal values must stay in one split: the book, the speaker, the day."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.source == self.target:
            yield "target", f"must be another column than source. Received '{self.target}'."


class Addition(DividedSource):
    """Sums of two numbers as text: "52+7" is given, "59" wanted. Nothing is read."""

    kind: Literal["addition"]
    """Source of the samples."""
    digits: Annotated[int, Ge(1), Le(9)] = 3
    """Of a number at most."""
    num_samples: Annotated[int, Ge(1), Le(1_000_000)] = 50_000
    """Different sums that are made, for all splits together: at most half of those that there are."""
    seed: Seed = 0
    """Of what is made."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        most = 10**self.digits * (10**self.digits + 1) // 4
        if self.num_samples > most:
            there_are = f"half of the sums that there are with digits: {self.digits}"
            yield "num_samples", f"must be at most {most:,}, {there_are}. Received {self.num_samples:,}."


class PairTokens(Tokens):
    """How both texts become tokens; which there are is learned of the training split, for each side by itself."""

    max_length: Count = 100
    """Tokens that are used of a text, and said of an answer, at most; the rest is cut off."""


class EncoderDecoder(Section):
    """Recurrent layers that read what is given, and others that say what is wanted, token by token."""

    kind: Literal["encoder_decoder"]
    """Family of networks."""
    cell: Literal["simple", "lstm", "gru"] = "lstm"
    """What a layer does at each step."""
    units: Count = 128
    """Of each layer; of the encoder's in each direction."""
    layers: NumLayers = 1
    """Layers one above the other, of the encoder and of the decoder."""
    bidirectional: bool = True
    """The encoder reads from both ends."""
    attention: Literal["none", "bahdanau", "luong"] = "bahdanau"
    """How the decoder looks back at what is given before each token (Bahdanau et al. 2015, Luong et al. 2015). Without,
    it knows only the state that the encoder ends in."""
    dropout: Proportion = 0.0
    """Proportion set to 0 in training of the inputs of encoder and decoder, and before each answer."""
    recurrent_initializer: Literal["orthogonal", "glorot_uniform"] = "orthogonal"
    """Initial weights from state to state."""
    forget_bias: bool = True
    """Begin with LSTM's forget gates open: their bias is 1."""


Probability = Annotated[float, Ge(0), Le(1), FractionsAllowed()]


class TeacherForcing(Section):
    """How likely the decoder is told the true token before each one in training, in place of what it would have said
    itself (Bengio et al. 2015: scheduled sampling)."""

    first: Probability = 1.0
    """In the first epoch."""
    last: Probability = 1.0
    """In the last one; in between it goes there evenly."""


Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
"""The columns of metrics.csv that can steer training."""


class PairTrain(SmoothTrain[Metric]):
    """How a network that says a text is trained."""

    teacher_forcing: TeacherForcing = TeacherForcing()
    """The true token before, or the own one."""


class SequenceToSequence(TaskRecipe):
    """A text for each text."""

    samples = "texts"
    verbs = frozenset(("train", "evaluate", "predict", "summary", "data check", "data stats", "data split"))
    options = frozenset(("--beam", "--data", "--split", "--text"))

    task: Literal["sequence_to_sequence"]
    """What is learned."""
    data: Annotated[PairsTsv | PairsCsv | Addition, Field(discriminator="kind")]
    """Where the samples come from."""
    text: PairTokens = PairTokens()
    """How the texts become tokens."""
    model: EncoderDecoder
    """The network."""
    train: PairTrain = PairTrain()
    """How it is trained."""
