"""Words as their characters: a convolution over the characters of each word, and their maximum (Ma and Hovy 2016)."""

from collections.abc import Sequence
from typing import Any

import keras

from dlcli.models.images.layers import kernel_initializer

Tensor = Any  # a symbolic keras.KerasTensor

PADDING = 0  # id after a word's end; 1 is an unknown character


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
