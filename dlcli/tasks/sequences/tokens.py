"""From the ``text`` section of a recipe to a vocabulary, from texts to the numbers of their tokens; how well these are
foreseen.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.sequences.ragged import Ragged
from dlcli.data.text.vocabulary import FIRST, UNKNOWN, Vocabulary, encode, fit_vocabulary
from dlcli.errors import InputError
from dlcli.models.sequences.text_input import splitter
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.text_data import Tokens
from dlcli.rundir import replace_file
from dlcli.runtime.console import Console
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.step import Data

UNKNOWN_SAID = 0.0005  # share of unknown tokens from which on it is said


def fit_tokens(loaded: LoadedRecipe, tokens: Tokens, texts: Sequence[str]) -> Vocabulary:
    """The vocabulary of the training split's texts.

    Raises:
        RecipeError: there are fewer than two known tokens.
    """
    vocabulary = fit_vocabulary(
        [encodable(text) for text in texts],
        split=_splitter(tokens),
        lower=tokens.final_standardize.startswith("lower"),
        max_vocabulary=tokens.max_vocabulary,
        min_count=tokens.final_min_count,
    )
    remedies = too_rare(tokens.final_min_count) + (["set text.unit: characters"] if tokens.unit == "words" else [])
    return large_enough(loaded, vocabulary, tokens.unit, num_texts=len(texts), remedies=remedies)


def too_rare(min_count: int) -> list[str]:
    """What can be done where tokens are unknown that come less than ``min_count`` times."""
    return [f"lower text.min_count, which is {min_count}"] if min_count > 1 else []


def large_enough(
    loaded: LoadedRecipe, vocabulary: Vocabulary, unit: str, *, num_texts: int, remedies: Sequence[str]
) -> Vocabulary:
    """The vocabulary, if it has at least two tokens.

    Args:
        num_texts: of which it was learned.
        remedies: what can be done where it has not.

    Raises:
        RecipeError: it has not.
    """
    if len(vocabulary.tokens) < 2:
        of_texts = "one text" if num_texts == 1 else f"the {num_texts:,} texts"
        look = "look at what the texts are, and what text.standardize leaves of them"
        raise loaded.error(
            "text",
            f"there must be at least two known {unit} to tell anything apart. Received {len(vocabulary.tokens)} in "
            f"{of_texts} to train on; {', or '.join([*remedies, look])}",
        )
    return vocabulary


def encode_texts(texts: Sequence[str], tokens: Tokens, vocabulary: Vocabulary, *, is_cut: bool = True) -> Ragged:
    """Each text as the numbers of its tokens, int32; one without any has a single one, UNKNOWN.

    Args:
        is_cut: whether what is longer than ``max_length`` is cut off.
    """
    usable = [encodable(text) for text in texts]
    max_length = tokens.max_length if is_cut else None
    return encode(usable, vocabulary, split=_splitter(tokens), max_length=max_length)


def _splitter(tokens: Tokens) -> Callable[[Sequence[str] | None], Any]:
    def split(forms: Sequence[str] | None) -> Any:
        return splitter(unit=tokens.unit, standardize=tokens.final_standardize, forms=forms)

    return split


def encodable(text: str) -> str:
    """Text as UTF-8 can have it: half of a pair of surrogates becomes the sign for what cannot be read."""
    return text.encode("utf-8", "replace").decode("utf-8")


def write_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """A token on each line, as JSON has text, the most frequent first."""
    replace_file(path, "".join(json.dumps(token, ensure_ascii=False) + "\n" for token in vocabulary.tokens))


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """What :func:`write_vocabulary` wrote.

    Raises:
        InputError: it is not there, or is corrupt.
    """
    try:
        tokens = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Restore it from a copy.") from None
    except (ValueError, RecursionError):
        tokens = [None]
    if not tokens or not all(isinstance(token, str) for token in tokens):
        raise InputError(f"{path}: must have a token on each line, as text in JSON. Restore it from a copy.")
    return tuple(tokens)


def check_tokens(path: Path, tokens: Sequence[str], layer: Any) -> None:
    """Refuses a vocabulary that is not the one that a model's layer has, in its order.

    Raises:
        InputError: it is another.
    """
    known = [str(form) for form in layer.get_vocabulary()[FIRST:]][: len(tokens)]
    if known != list(tokens):
        line = next(i for i, (a, b) in enumerate(zip(known, tokens, strict=False), start=1) if a != b)
        raise InputError(
            f"{path}:{line}: is not what this run saved: the model has other tokens. Restore it from a copy."
        )


def count_longer(texts: Sequence[str], tokens: Tokens) -> int:
    """Texts of which some tokens are cut off."""
    lengths = (len(text) if tokens.unit == "characters" else len(text.split()) for text in texts)
    return sum(length > tokens.max_length for length in lengths)


def cut_lines(splits: Mapping[str, Sequence[str]], tokens: Tokens, *, what: str = "texts") -> list[str]:
    """A line for each split of which some texts are cut off."""
    most = f"text.max_length, {tokens.max_length} {tokens.unit}"
    numbers = {name: count_longer(texts, tokens) for name, texts in splits.items()}
    return [
        f"{name}: {number:,} of {len(splits[name]):,} {what} are longer than {most}: the rest is cut off"
        for name, number in numbers.items()
        if number
    ]


def unknown_lines(split: str, numbers: np.ndarray, what: str) -> list[str]:
    """A line where some of a split's tokens, of which these are the numbers, are not known."""
    share = float(np.mean(numbers == UNKNOWN))
    return [f"{split}: {share:.1%} of all {what} are unknown"] if share >= UNKNOWN_SAID else []


def token_sums(network: keras.Model, data: Data, *, console: Console) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each sample of the data, in their order: nats, tokens foreseen rightly, and all tokens that count ``[n]``.

    Args:
        network: gives logits of each token.
    """
    goal = sequence_objectives.tagging(label_smoothing=0.0)

    def one_step(source: Any, step: Any) -> Any:
        batch = data.assemble(data.element(source, step))
        logits = network(batch["x"], training=False)
        mask = batch["y"]["mask"]
        values = (goal.loss(logits, batch), goal.metrics["accuracy"](logits, batch), tf.ones_like(mask))
        return tf.stack([tf.reduce_sum(value * mask, axis=1) for value in values])

    compiled = tf.function(one_step, autograph=False)
    source, parts = data.source(0), []
    for step in range(data.num_steps):
        parts.append(compiled(source, tf.constant(step, tf.int64)).numpy().astype(np.float64))
        console.evaluating(step + 1, data.num_steps)
    nats, correct, counts = np.concatenate(parts, axis=1)
    return nats, correct, counts
