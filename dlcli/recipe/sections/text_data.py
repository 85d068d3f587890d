"""The ``data`` and ``text`` sections of tasks whose samples are texts, each with a class."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import Count, LocalPath, Section, Text
from dlcli.recipe.sections.image_data import ClassifiedSource, DividedSource
from dlcli.recipe.sections.table_data import Headerless, SplitFiles

Encoding = Literal["utf-8", "utf-16", "latin-1", "cp1252"]


class TextSource(DividedSource):
    """The keys that every source of texts has."""

    encoding: Encoding = "utf-8"
    """Character encoding of the files."""


class TextColumns(SplitFiles, TextSource):
    """The keys of sources with named columns, whatever is predicted of the texts."""

    path: LocalPath
    """The file, or a folder with a file for each split, relative to the recipe's folder."""
    text: Text = "text"
    """Name of the column that holds the text."""
    split: Text | None = None
    """Name of a column that holds train, validation (or val, valid, dev, eval) or test. Default: a random split."""
    group: Text | None = None
    """Name of a column whose equal values must stay in one split: the author, the patient, the conversation."""
    exclude: tuple[Text, ...] = ()
    """Patterns of rows to leave out, by their names in `split.csv` of a run: `reviews.csv:12`."""

    @property
    def roles(self) -> dict[str, str]:
        """The columns that are not learned, by the keys that name them."""
        named = {"text": self.text, "split": self.split, "group": self.group}
        return {key: name for key, name in named.items() if name is not None}


class TextTable(TextColumns, ClassifiedSource):
    """The keys of sources with named columns and a class for each text."""

    label: Text = "label"
    """Name of the column that holds the class."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.text == self.label:
            yield "label", f"must be another column than text. Received '{self.label}'."


class TextCsv(Headerless, TextTable):
    """A CSV file with a row for each text; in a .tsv file columns are separated by tabs, and quotes have no meaning."""

    kind: Literal["csv"]
    """Source of the samples."""


class TextJsonl(TextTable):
    """A file with a JSON object on each line, whose keys are the columns."""

    kind: Literal["jsonl"]
    """Source of the samples."""


class TextLines(TextSource, ClassifiedSource):
    """A folder with a file for each class, named after it, with a text on each line; or subfolders train, test, … of
    such files."""

    kind: Literal["lines"]
    """Source of the samples."""
    path: LocalPath
    """The folder, relative to the recipe's folder."""
    exclude: tuple[Text, ...] = ()
    """Patterns of files to leave out, by name or by path below `path`: `notes.txt`, `train/praise/12*`."""
    folders: Literal["auto", "classes"] = "auto"
    """What the folders below `path` are: splits or classes, by their names (auto), or classes whatever their names."""


class TextFiles(TextSource, ClassifiedSource):
    """A folder for each class with a file for each text, directly under `path` or under path/train, path/test, …"""

    kind: Literal["files"]
    """Source of the samples."""
    path: LocalPath
    """The folder, relative to the recipe's folder."""
    exclude: tuple[Text, ...] = ()
    """Patterns of files to leave out, by name or by path below `path`: `notes.txt`, `train/praise/12*`."""
    folders: Literal["auto", "classes"] = "auto"
    """What the folders below `path` are: splits or classes, by their names (auto), or classes whatever their names."""


LabeledTexts = Annotated[TextCsv | TextJsonl | TextLines | TextFiles, Field(discriminator="kind")]

Unit = Literal["words", "characters", "subwords"]
Standardize = Literal["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"]


class Tokens(Section):
    """Tokenization. The vocabulary is built from the training split."""

    unit: Unit = "words"
    """What a token is: a word between white space, a single character, or a subword: a part of a word, learned from the
    training split."""
    standardize: Standardize | None = None
    """Standardization of the text before it is split into tokens: lowercase it, strip punctuation, both, or none.
    Default: both for words, lowercase for subwords, none for characters."""
    max_vocabulary: Annotated[int, Field(ge=1), Le(10**6)] = 20_000
    """Maximum size of the vocabulary: the most frequent tokens. All others become one unknown token. Of subwords, a
    few thousand are usual."""
    min_count: Count | None = None
    """How often a token must occur in the training split to be in the vocabulary. Default: 2 for words and subwords, 1
    for characters."""
    max_length: Count = 400
    """Maximum length of a text in tokens; the rest is truncated."""
    embedding: Count = 64
    """Size of the embedding of a token, which is trained with the network."""

    @property
    def final_standardize(self) -> Standardize:
        """The standardization of the text, or its default."""
        if self.standardize is not None:
            return self.standardize
        usual: dict[Unit, Standardize] = {"words": "lower_and_strip_punctuation", "subwords": "lower"}
        return usual.get(self.unit, "none")

    @property
    def final_min_count(self) -> int:
        """The value, or its default."""
        return self.min_count or (1 if self.unit == "characters" else 2)


class SubwordTokens(Tokens):
    """Tokenization, also into subwords."""

    tokenizer: Literal["bpe", "unigram"] | None = None
    """How subwords are learned: by byte-pair encoding (Sennrich et al. 2016), or as a unigram language model (Kudo
    2018; needs the package sentencepiece). Default: bpe."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.tokenizer is not None and self.unit != "subwords":
            yield "tokenizer", "is for subwords; remove it, or set unit to subwords"


class PretrainedVectors(Section):
    """Pretrained embeddings of words."""

    pretrained: LocalPath | None = None
    """A file of word vectors in the text format of GloVe or word2vec, which gzip may have compressed: the initial
    embeddings, whose size must be `embedding`. Words of the file, in its order, fill the vocabulary up to
    `max_vocabulary`. Default: random initial embeddings."""
    pretrained_trainable: bool = False
    """Whether training changes the pretrained embeddings."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.pretrained_trainable and self.pretrained is None:
            yield "pretrained_trainable", "is for pretrained embeddings; name their file in pretrained, or remove it"


class Characters(Section):
    """The characters of words as a further input, by which unknown words differ: a convolution over the characters of
    each word (Ma and Hovy 2016)."""

    embedding: Count = 16
    """Size of the embedding of a character."""
    filters: Count = 32
    """Number of filters of the convolution, and of numbers that are added to the embedding of a word."""
    kernel_size: Annotated[int, Ge(1), Le(100)] = 3
    """Number of characters in a kernel."""
    max_length: Annotated[int, Ge(1), Le(1000)] = 20
    """Maximum length of a word in characters; the rest is truncated."""


class TextWindows(Section):
    """Windows over long texts: each is read by itself, and the vectors of all are pooled before the output layer."""

    length: Count
    """Length of a window in tokens."""
    stride: Count | None = None
    """Tokens from the start of a window to that of the next. Default: `length`, so that windows do not overlap."""
    pool: Literal["mean", "max"] = "mean"
    """How the vectors of the windows become one: their mean, which gives the mean of the windows' logits, or the
    maximum of each number."""

    @property
    def final_stride(self) -> int:
        """The value, or its default."""
        return self.stride or self.length

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.final_stride > self.length:
            yield "stride", f"must be at most length, {self.length}: no token is left out. Received {self.stride}."


class ClassifiedTokens(PretrainedVectors, SubwordTokens):
    """Tokenization. The vocabulary is built from the training split."""

    characters: Characters | None = None
    """The characters of words, after standardization, as a further input. Default: none."""
    windows: TextWindows | None = None
    """Read long texts in windows; `max_length` is then the maximum length of a whole text. Default: none."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.pretrained is not None and self.unit != "words":
            yield "pretrained", "is for words; remove it, or set unit to words"
        if self.characters is not None and self.unit != "words":
            yield "characters", "is for words; remove it, or set unit to words"
        if self.windows is not None and self.windows.length >= self.max_length:
            yield (
                "windows.length",
                f"must be less than max_length, {self.max_length}, the length of a whole text: raise max_length. "
                f"Received {self.windows.length}.",
            )
