"""Words as their characters: a convolution over the characters of each word, and their maximum (Ma and Hovy 2016)."""

from collections.abc import Sequence
from typing import Any

import keras

from dlcli.models.images.layers import kernel_initializer
from dlcli.models.sequences.text_input import PADDING, UNKNOWN, Standardize, splitter

Tensor = Any  # a symbolic keras.KerasTensor

SPACES = (" ", "\t", "\n", "\v", "\f", "\r")  # between words, as TensorFlow splits texts


def character_ids(words: Tensor, *, characters: Sequence[str], max_length: int) -> Tensor:
    """Ids of the characters of words: text ``[batch, words]`` -> int32 ``[batch, words, max_length]``.

    Args:
        characters: those with the ids from 2 on.
        max_length: number of characters to which words are truncated or padded.
    """
    ops = keras.ops
    split = keras.layers.TextVectorization(
        standardize=None,
        split="character",
        vocabulary=list(characters),
        output_sequence_length=max_length,
        name="characters",
    )
    flat = ops.cast(split(ops.reshape(words, (-1,))), "int32")  # it takes one text for each sample
    one = ops.cast(ops.ones_like(ops.equal(words, words)), "int32")
    width = ops.sum(one, axis=1, keepdims=True)
    return ops.take(flat, ops.cumsum(width, axis=0) - width + ops.cumsum(one, axis=1) - 1, axis=0)


def characters_of_texts(
    text: Tensor, ids: Tensor, *, standardize: Standardize, characters: Sequence[str], max_length: int
) -> Tensor:
    """Ids of the characters of a text's words: int32 ``[batch, words, max_length]``, 0 after a word's end.

    Args:
        text: ``[batch]``.
        ids: those of the words, of which each text has as many, ``[batch, words]``.
        standardize: as in :func:`dlcli.models.sequences.text_input.splitter`, by which texts are split into words too.
        characters: those with the ids from 2 on, `SPACES` first.
        max_length: number of characters to which words are truncated or padded.
    """
    ops = keras.ops
    split = splitter(unit="characters", standardize=standardize, forms=characters, name="characters")
    every = ops.pad(ops.cast(split(text), "int32"), [[0, 0], [0, 1]])  # [batch, characters], at least one
    is_inside = ops.logical_or(ops.greater(every, UNKNOWN + len(SPACES)), ops.equal(every, UNKNOWN))
    follows = ops.pad(is_inside[:, :-1], [[0, 0], [1, 0]])
    is_start = ops.cast(ops.logical_and(is_inside, ops.logical_not(follows)), "int32")
    word = ops.where(is_inside, ops.cumsum(is_start, axis=1), ops.zeros_like(every))  # from 1 on; 0 between words
    position = ops.cumsum(ops.ones_like(every), axis=1) - 1
    width = position[:, -1:] + 1
    first = ops.cumsum(width, axis=0) - width  # of each text among the characters of all
    starts = ops.sort(ops.where(ops.equal(is_start, 1), position, ops.zeros_like(every) + width), axis=1)
    number = ops.cumsum(ops.ones_like(ids), axis=1)  # of each word, from 1 on
    start = ops.take(ops.reshape(starts, (-1,)), first + ops.minimum(number, width) - 1, axis=0)
    # not ops.arange: Keras adds a vector to the second axis where that has its length, as TensorFlow's bias_add does
    offset = ops.cumsum(ops.repeat(ops.ones_like(start)[:, :, None], max_length, axis=2), axis=2) - 1
    at = start[:, :, None] + offset
    flat = first[:, :, None] + ops.minimum(at, width[:, :, None] - 1)
    is_own = ops.equal(ops.take(ops.reshape(word, (-1,)), flat, axis=0), number[:, :, None])
    found = ops.take(ops.reshape(every, (-1,)), flat, axis=0)
    return ops.where(ops.logical_and(is_own, ops.less(at, width[:, :, None])), found, ops.zeros_like(found))


def features(ids: Tensor, *, num_ids: int, embedding: int, filters: int, kernel_size: int) -> Tensor:
    """A vector for each word: int32 ``[batch, words, characters]`` -> ``[batch, words, filters]``.

    A word's characters are embedded, with zeros before and after them, and convolved; of each filter's ReLU the maximum
    over the characters is kept. It is 0 for a word without characters.

    Args:
        num_ids: number of characters, including padding and unknown.
        embedding: size of the embedding of a character.
        filters, kernel_size: of the convolution.
    """
    ops = keras.ops
    is_character = ops.not_equal(ids, PADDING)[..., None]
    x = keras.layers.Embedding(num_ids, embedding, name="character_embedding")(ids)
    x = ops.where(is_character, x, ops.zeros_like(x))
    x = keras.layers.Conv2D(
        filters,
        (1, kernel_size),
        padding="same",
        activation="relu",
        kernel_initializer=kernel_initializer("relu"),
        name="character_conv",
    )(x)
    return ops.max(ops.where(is_character, x, ops.zeros_like(x)), axis=2)
