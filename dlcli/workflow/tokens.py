"""From the ``text`` section of a recipe to a vocabulary, from texts to the numbers of their tokens; how well these are
foreseen.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.ragged import Ragged
from dlcli.data.vocabulary import FIRST, Vocabulary, encode, fit_vocabulary
from dlcli.errors import InputError
from dlcli.models.text_front import splitter
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.text_data import Tokens
from dlcli.rundir import replace_file
from dlcli.training import objective
from dlcli.training.step import Data
from dlcli.workflow.talk import Talk


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
    return large_enough(loaded, vocabulary, tokens.unit, tokens.final_min_count)


def large_enough(loaded: LoadedRecipe, vocabulary: Vocabulary, unit: str, min_count: int) -> Vocabulary:
    """The vocabulary, if it has at least two tokens.

    Raises:
        RecipeError: it has not.
    """
    if len(vocabulary.tokens) < 2:
        often = f", those that come at least {min_count} times in the training split; lower text.min_count, or"
        raise loaded.fault(
            "text",
            f"there must be at least two known {unit} to tell anything apart. Received {len(vocabulary.tokens)}"
            f"{often if min_count > 1 else ':'} look at what the texts are, and what text.standardize leaves of them",
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
        InputError: it is not there, or is damaged.
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


def token_sums(network: keras.Model, data: Data, *, talk: Talk) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each sample of the data, in their order: nats, tokens foreseen rightly, and all tokens that count ``[n]``.

    Args:
        network: gives logits of each token.
    """
    goal = objective.tagging(label_smoothing=0.0)

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
        talk.evaluating(step + 1, data.num_steps)
    nats, correct, counts = np.concatenate(parts, axis=1)
    return nats, correct, counts
