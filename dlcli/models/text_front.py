"""What stands before a network of text in the saved model: from raw text to the numbers of its tokens."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np

Tensor = Any  # a symbolic keras.KerasTensor
Standardize = Literal["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"]
Unit = Literal["words", "characters"]

PADDING, UNKNOWN = 0, 1  # the first numbers; those of the tokens follow


def splitter(*, unit: Unit, standardize: Standardize, forms: Sequence[str] | None = None) -> Any:
    """Keras's layer that brings text to a standard form and divides it: text ``[batch]`` -> int64 ``[batch, forms]``.

    Its lower case is that of ASCII letters; other letters stay as they are.

    Args:
        unit: divide by white space, or into single characters.
        standardize: what is done before: lower case, taking out ASCII punctuation.
        forms: what is numbered, from 2 on; None to adapt the layer to text.
    """
    return keras.layers.TextVectorization(
        standardize=None if standardize == "none" else standardize,
        split="whitespace" if unit == "words" else "character",
        vocabulary=None if forms is None else list(forms),
        name="tokens",
    )


def token_ids(
    text: Tensor,
    *,
    unit: Unit,
    standardize: Standardize,
    forms: Sequence[str],
    token_of_form: Sequence[int],
    max_length: int,
) -> Tensor:
    """The tokens' numbers: int32 ``[batch, tokens]``, 0 after each text's end.

    Args:
        text: ``[batch]``.
        forms: spellings of tokens.
        token_of_form: the token of each, from 2 on: several spellings may be one token.
        max_length: tokens that are used of a text; the rest is cut off. A text without any has one that is unknown.
    """
    ids = splitter(unit=unit, standardize=standardize, forms=forms)(text)[:, :max_length]
    table = np.array([PADDING, UNKNOWN, *token_of_form], np.int32)
    if (table == np.arange(len(table))).all():
        ids = keras.ops.cast(ids, "int32")
    else:
        ids = keras.ops.take(table, ids)
    return _one_at_least(ids)


def word_ids(words: Tensor, *, forms: Sequence[str], token_of_form: Sequence[int], max_length: int) -> Tensor:
    """The numbers of words: int32 ``[batch, words]``, 0 after each sentence's end.

    Args:
        words: text ``[batch, words]``, empty after the end.
        forms, token_of_form, max_length: as `token_ids` has them.
    """
    lookup = keras.layers.StringLookup(vocabulary=list(forms), mask_token="", oov_token="[UNK]", name="words")
    ids = lookup(words)[:, :max_length]
    table = np.array([PADDING, UNKNOWN, *token_of_form], np.int32)
    is_plain = (table == np.arange(len(table))).all()
    return _one_at_least(keras.ops.cast(ids, "int32") if is_plain else keras.ops.take(table, ids))


def _one_at_least(ids: Tensor) -> Tensor:
    """The numbers with an unknown token where there is none."""
    ids = keras.ops.pad(ids, [[0, 0], [0, 1]])
    is_first = keras.ops.equal(keras.ops.cumsum(keras.ops.ones_like(ids), axis=1), 1)
    is_empty = keras.ops.logical_and(is_first, keras.ops.equal(ids, PADDING))
    return keras.ops.where(is_empty, keras.ops.full_like(ids, UNKNOWN), ids)
