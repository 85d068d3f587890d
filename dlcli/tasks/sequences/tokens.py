"""Vocabularies by the ``text`` section of a recipe, token ids of texts, and how well the tokens are predicted."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.sequences.batches import by_length
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.text.merges import with_merges
from dlcli.data.text.pieces import PUNCTUATION, pieces
from dlcli.data.text.unigram import with_scores
from dlcli.data.text.vocabulary import AT_A_TIME, FIRST, PADDING, UNKNOWN, Vocabulary, encode, fit_vocabulary
from dlcli.errors import InputError
from dlcli.files import BadFile, read_file
from dlcli.models.sequences.subwords import kinds_of_characters, segments_of
from dlcli.models.sequences.text_input import Unit, one_at_least, splitter
from dlcli.models.sequences.word_characters import SPACES
from dlcli.printing import json_text
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.text_data import SubwordTokens, Tokens
from dlcli.rundir.writing import replace_file
from dlcli.runtime.console import Console
from dlcli.tasks.sequences.encoders import token_ids
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.step import Data

MAX_VOCABULARY_BYTES = 2**28
MAX_CHARACTERS = 10_000  # different ones
AT_ONCE = 64  # texts whose characters are found together
REPORTED_UNKNOWN = 0.0005  # proportion of unknown tokens from which on it is reported


def fit_tokens(loaded: LoadedRecipe, tokens: Tokens, texts: Sequence[str]) -> Vocabulary:
    """Fit the vocabulary to the texts of the training split.

    Raises:
        RecipeError: it would have fewer than two tokens.
    """
    usable = [encodable(text) for text in texts]
    vocabulary = fit_vocabulary(
        usable,
        split=_splitter(tokens),
        lower=tokens.final_standardize.startswith("lower"),
        max_vocabulary=tokens.max_vocabulary,
        min_count=tokens.final_min_count,
    )
    if tokens.unit == "subwords":
        segments, most = _segments(tokens, usable, vocabulary), tokens.max_vocabulary
        if isinstance(tokens, SubwordTokens) and tokens.tokenizer == "unigram":
            vocabulary = with_scores(vocabulary, segments, max_vocabulary=most)
        else:
            vocabulary = with_merges(vocabulary, segments, max_vocabulary=most, min_count=tokens.final_min_count)
    remedies = too_rare(tokens.final_min_count) + (["set text.unit: characters"] if tokens.unit == "words" else [])
    return large_enough(loaded, vocabulary, tokens.unit, num_texts=len(texts), remedies=remedies)


def _segments(tokens: Tokens, texts: Sequence[str], alphabet: Vocabulary) -> Counter[tuple[int, ...]]:
    """The segments of texts that subwords are parts of, as ids of characters, and how often each occurs."""
    found: Counter[tuple[int, ...]] = Counter()
    kinds = kinds_of_characters(alphabet.tokens)
    for start in range(0, len(texts), AT_A_TIME):
        part = encode(texts[start : start + AT_A_TIME], alphabet, split=_splitter(tokens), max_length=None)
        ids = tf.RaggedTensor.from_row_lengths(part.flat, part.lengths).to_tensor()
        segments, counts = np.unique(segments_of(ids, kinds)[0].numpy(), axis=0, return_counts=True)
        for segment, count in zip(segments, counts.tolist(), strict=True):
            characters = tuple(segment[segment != PADDING].tolist())
            if UNKNOWN not in characters:
                found[characters] += count
    return found


def too_rare(min_count: int) -> list[str]:
    """The remedy if a vocabulary is too small because it lacks tokens that occur fewer than ``min_count`` times."""
    return [f"lower text.min_count, which is {min_count}"] if min_count > 1 else []


def large_enough(
    loaded: LoadedRecipe, vocabulary: Vocabulary, unit: str, *, num_texts: int, remedies: Sequence[str]
) -> Vocabulary:
    """Return a vocabulary if it has at least two tokens.

    Args:
        num_texts: the number of texts it was fitted to.
        remedies: for the error message.

    Raises:
        RecipeError: it has fewer.
    """
    if len(vocabulary.tokens) < 2:
        source = "one training text" if num_texts == 1 else f"the {num_texts:,} training texts"
        check = "check the texts, and what text.standardize leaves of them"
        raise loaded.error(
            "text",
            f"the vocabulary must have at least two {unit}. Received {len(vocabulary.tokens)} in {source}; "
            f"{', or '.join([*remedies, check])}",
        )
    return vocabulary


def encode_texts(texts: Sequence[str], tokens: Tokens, vocabulary: Vocabulary, *, is_cut: bool = True) -> Ragged:
    """The token ids of each text, int32; a text without tokens has the single id UNKNOWN.

    Args:
        is_cut: whether to truncate texts to ``max_length`` tokens.
    """
    max_length = tokens.max_length if is_cut else None
    if tokens.unit == "subwords":
        return encode_by(lambda raw: one_at_least(token_ids(raw, tokens, vocabulary, max_length=max_length)), texts)
    usable = [encodable(text) for text in texts]
    return encode(usable, vocabulary, split=_splitter(tokens), max_length=max_length)


def subword_layers(tokens: Tokens) -> list[str]:
    """The names of the layers of ours that split texts into tokens."""
    return ["Subwords"] if tokens.unit == "subwords" else []


def fit_characters(tokens: Tokens, texts: Sequence[str]) -> tuple[str, ...]:
    """The characters of the words of the training texts, after standardization, behind those between words."""
    found = fit_vocabulary(
        [encodable(text) for text in texts],
        split=lambda forms: splitter(unit="characters", standardize=tokens.final_standardize, forms=forms),
        lower=False,
        max_vocabulary=MAX_CHARACTERS,
        min_count=tokens.final_min_count,
    )
    return (*SPACES, *(character for character in found.tokens if character not in SPACES))


def encode_by(steps_of: Callable[[Any], Any], texts: Sequence[str]) -> Ragged:
    """The steps of each text, as a network computes them.

    Args:
        steps_of: raw texts, a tensor ``[batch]`` -> int32 ``[batch, steps]``, or ``[batch, steps, ids]``, of which the
            first is 0 for padding.
    """
    raw = keras.Input(shape=(), dtype="string")
    network = keras.Model(raw, steps_of(raw))
    found: list[np.ndarray] = [np.empty(0)] * len(texts)
    usable = [encodable(text) for text in texts]
    for index in by_length(np.array([len(text) for text in texts], np.int64), AT_ONCE):
        steps = np.asarray(network(tf.constant([usable[i] for i in index])))
        for i, row in zip(index, steps, strict=True):
            found[i] = row[(row if row.ndim == 1 else row[:, 0]) != PADDING]
    return Ragged.join(found)


def _splitter(tokens: Tokens) -> Callable[[Sequence[str] | None], Any]:
    def split(forms: Sequence[str] | None) -> Any:
        unit: Unit = "words" if tokens.unit == "words" else "characters"  # of which subwords are joined
        return splitter(unit=unit, standardize=tokens.final_standardize, forms=forms)

    return split


def encodable(text: str) -> str:
    """Text that UTF-8 can encode: a lone surrogate is replaced by a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def standardized_pieces(text: str, tokens: Tokens) -> list[str]:
    """The words or characters that the tokens of a text were made from, after standardization."""
    standardize = tokens.final_standardize
    strips = "strip_punctuation" in standardize
    found = pieces(text, unit=tokens.unit, strips_punctuation=strips)
    if strips:
        found = ["".join(character for character in part if character not in PUNCTUATION) for part in found]
    return [part.lower() for part in found] if standardize.startswith("lower") else found


def write_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Write one token per line as a JSON string, the most frequent first."""
    replace_file(path, "".join(json_text(token, indent=None) + "\n" for token in vocabulary.tokens))


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """Read what :func:`write_vocabulary` wrote.

    Raises:
        InputError: the file is missing or corrupt.
    """
    try:
        text = read_file(path, MAX_VOCABULARY_BYTES).decode()
        tokens = [json.loads(line) for line in text.removesuffix("\n").split("\n")]  # a token may be another line end
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. Restore it from a copy.") from None
    except (ValueError, RecursionError):
        tokens = [None]
    if not tokens or not all(isinstance(token, str) for token in tokens):
        raise InputError(f"{path}: must have a token on each line, as a JSON string. Restore it from a copy.")
    return tuple(tokens)


def check_tokens(path: Path, tokens: Sequence[str], layer: Any) -> None:
    """Refuse a vocabulary that differs from that of a model's layer, in its tokens or their order.

    Raises:
        InputError: it differs; located at the first line that does.
    """
    known = [str(form) for form in layer.get_vocabulary()[FIRST:]][: len(tokens)]
    if known != list(tokens):
        line = next(i for i, (a, b) in enumerate(zip(known, tokens, strict=False), start=1) if a != b)
        raise InputError(
            f"{path}:{line}: is not what this run saved: the model has other tokens. Restore it from a copy."
        )


def count_longer(texts: Sequence[str], tokens: Tokens, vocabulary: Vocabulary | None = None) -> int:
    """The number of texts longer than ``max_length`` tokens, as the model counts them.

    Args:
        vocabulary: of subwords; the number of words and characters is the same with every one.
    """

    def is_long(text: str) -> bool:  # before punctuation is removed, which only shortens it
        return (len(text.split()) if tokens.unit == "words" else len(text)) > tokens.max_length

    candidates = [text for text in texts if is_long(text)]
    if not candidates:
        return 0
    lengths = encode_texts(candidates, tokens, vocabulary or Vocabulary.plain(["a"]), is_cut=False).lengths
    return int((lengths > tokens.max_length).sum())


def cut_lines(
    splits: Mapping[str, Sequence[str]], tokens: Tokens, vocabulary: Vocabulary | None = None, *, what: str = "texts"
) -> list[str]:
    """A line for each split that has texts longer than ``max_length``; arguments are those of `count_longer`."""
    most = f"text.max_length, {tokens.max_length} {tokens.unit}"
    numbers = {name: count_longer(texts, tokens, vocabulary) for name, texts in splits.items()}
    return [
        f"{name}: {number:,} of {len(splits[name]):,} {what} are longer than {most}, and truncated"
        for name, number in numbers.items()
        if number
    ]


def unknown_lines(split: str, ids: np.ndarray, what: str) -> list[str]:
    """A line if at least `REPORTED_UNKNOWN` of a split's token ids are unknown; else none."""
    share = float(np.mean(ids == UNKNOWN))
    return [f"{split}: {share:.1%} of the {what} are unknown"] if share >= REPORTED_UNKNOWN else []


def token_sums(
    network: Callable[..., Any], data: Data, *, is_traced: bool = True, console: Console
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The loss in nats, the correctly predicted tokens and all counted tokens of each sample, in order; each ``[n]``.

    Args:
        network: the inputs of a batch -> the logits of each token.
        is_traced: whether TensorFlow can trace the network; False for one that is called with arrays.
    """
    objective = sequence_objectives.tagging(label_smoothing=0.0)

    def one_step(source: Any, step: Any) -> Any:
        batch = data.assemble(data.element(source, step))
        logits = network(batch["x"], training=False)
        mask = batch["y"]["mask"]
        values = (objective.loss(logits, batch), objective.metrics["accuracy"](logits, batch), tf.ones_like(mask))
        return tf.stack([tf.reduce_sum(value * mask, axis=1) for value in values])

    compiled = tf.function(one_step, autograph=False) if is_traced else one_step
    source, parts = data.source(0), []
    for step in range(data.num_steps):
        parts.append(compiled(source, tf.constant(step, tf.int64)).numpy().astype(np.float64))
        console.evaluating(step + 1, data.num_steps)
    nats, correct, counts = np.concatenate(parts, axis=1)
    return nats, correct, counts
