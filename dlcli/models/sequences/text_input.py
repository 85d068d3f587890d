"""The input layers of text models: from raw text to token ids, inside the saved model."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np

from dlcli.models.sequences.subwords import Subwords

Tensor = Any  # a symbolic keras.KerasTensor
Standardize = Literal["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"]
Unit = Literal["words", "characters"]

PADDING, UNKNOWN = 0, 1  # ids; those of the tokens start from 2


def splitter(*, unit: Unit, standardize: Standardize, forms: Sequence[str] | None = None, name: str = "tokens") -> Any:
    """Keras's layer that standardizes text and splits it into tokens: text ``[batch]`` -> int64 ``[batch, tokens]``.

    Only ASCII letters are lowercased; other letters are unchanged.

    Args:
        unit: split at white space, or into single characters.
        standardize: lowercase the text, remove ASCII punctuation, both or neither.
        forms: the vocabulary of spellings, with ids from 2 on; None to adapt the layer to text later.
        name: of the layer.
    """
    return keras.layers.TextVectorization(
        standardize=None if standardize == "none" else standardize,
        split="whitespace" if unit == "words" else "character",
        vocabulary=None if forms is None else list(forms),
        name=name,
    )


def token_ids(
    text: Tensor,
    *,
    unit: Unit,
    standardize: Standardize,
    forms: Sequence[str],
    token_of_form: Sequence[int],
    max_length: int | None,
    name: str = "tokens",
) -> Tensor:
    """Token ids: int32 ``[batch, tokens]``, 0 after each text's end.

    Args:
        text: ``[batch]``.
        unit, standardize: as in `splitter`.
        forms: spellings of tokens.
        token_of_form: the token id of each spelling, from 2 on; several spellings may be one token.
        max_length: maximum number of tokens, to which texts are truncated; None for all.
        name: of the layer that splits texts.
    """
    ids = splitter(unit=unit, standardize=standardize, forms=forms, name=name)(text)
    if max_length is not None:
        ids = ids[:, :max_length]
    table = np.array([PADDING, UNKNOWN, *token_of_form], np.int32)
    if (table == np.arange(len(table))).all():
        ids = keras.ops.cast(ids, "int32")
    else:
        ids = keras.ops.take(table, ids)
    return ids


def subword_ids(
    text: Tensor,
    *,
    standardize: Standardize,
    forms: Sequence[str],
    token_of_form: Sequence[int],
    tokens: Sequence[str],
    num_characters: int,
    merges: Sequence[Sequence[int]],
    scores: Sequence[float],
    max_length: int | None,
) -> Tensor:
    """The ids of subwords: int32 ``[batch, tokens]``, 0 after each text's end.

    Args:
        text: ``[batch]``.
        forms, token_of_form: spellings of characters, as in `token_ids`.
        standardize, max_length: as in `token_ids`.
        tokens, num_characters, merges, scores: as in :class:`dlcli.models.sequences.subwords.Subwords`.
    """
    characters = token_ids(
        text,
        unit="characters",
        standardize=standardize,
        forms=forms,
        token_of_form=token_of_form,
        max_length=None,
        name="alphabet",
    )
    layer = Subwords(tokens=tokens, num_characters=num_characters, merges=merges, scores=scores, name="tokens")
    ids = layer(characters)
    return ids if max_length is None else ids[:, :max_length]


def word_ids(words: Tensor, *, forms: Sequence[str], token_of_form: Sequence[int], max_length: int) -> Tensor:
    """Token ids of words: int32 ``[batch, words]``, 0 after each sentence's end.

    Args:
        words: text ``[batch, words]``, empty after the end.
        forms, token_of_form, max_length: as in `token_ids`.
    """
    lookup = keras.layers.StringLookup(vocabulary=list(forms), mask_token="", oov_token="[UNK]", name="words")
    ids = lookup(words)[:, :max_length]
    table = np.array([PADDING, UNKNOWN, *token_of_form], np.int32)
    is_plain = (table == np.arange(len(table))).all()
    return keras.ops.cast(ids, "int32") if is_plain else keras.ops.take(table, ids)


def begun(ids: Tensor, label: Tensor | None, names: Sequence[str], *, first: int) -> Tensor:
    """Prepends the start token to token ids: ``[batch, 1 + tokens]``.

    Args:
        ids: int32 ``[batch, tokens]``.
        label: text ``[batch]``, the name of each text's class, which must be in ``names``; None if there is one class.
        names: names of the classes, whose start tokens have the ids ``first``, ``first + 1`` ….
        first: id of the first class's start token.
    """
    if label is None:
        sums = keras.ops.sum(ids, axis=1, keepdims=True)
        return keras.ops.concatenate([keras.ops.full_like(sums, first), ids], axis=1)
    lookup = keras.layers.StringLookup(vocabulary=list(names), num_oov_indices=0, name="classes")
    number = keras.ops.cast(lookup(label), "int32") + first
    return keras.ops.concatenate([number[:, None], ids], axis=1)


def one_at_least(ids: Tensor) -> Tensor:
    """Gives empty texts one unknown token, so that they have a prediction too: int32 ``[batch, tokens + 1]``."""
    ids = keras.ops.pad(ids, [[0, 0], [0, 1]])
    is_first = keras.ops.equal(keras.ops.cumsum(keras.ops.ones_like(ids), axis=1), 1)
    is_empty = keras.ops.logical_and(is_first, keras.ops.equal(ids, PADDING))
    return keras.ops.where(is_empty, keras.ops.full_like(ids, UNKNOWN), ids)
