"""Subwords: the characters of a text, joined to the pieces of a vocabulary, inside the saved model.

A text is first cut into segments: a word or a run of punctuation, each with the space before it, or another white-space
character. Within a segment, of all pairs of neighboring symbols the one that was learned first is joined, the leftmost
first, until no pair is known (byte-pair encoding: Sennrich et al. 2016); or the segment is divided into the pieces with
the largest sum of log probabilities (unigram: Kudo 2018).
"""

import string
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.models.sequences.unigram import Trie, most_probable, shifted

Tensor = Any  # a tensor of TensorFlow

FIRST = 2  # id of the first character; 0 is padding, 1 an unknown character
MAX_SEGMENT = 32  # characters; longer words are cut
LETTER, PUNCTUATION, SPACE, WHITE_SPACE = 1, 2, 3, 4  # kinds of characters; 0 is padding


@keras.saving.register_keras_serializable(package="dlcli")
class Subwords(keras.layers.Layer):  # type: ignore[misc]
    """Joins characters to pieces: int32 ``[batch, characters]`` -> int32 ``[batch, tokens]``, 0 after each text's end.

    Args:
        tokens: the characters, whose ids are the input, and the further pieces; the id of the i-th is ``FIRST + i``. An
            unknown character stays an unknown token.
        num_characters: how many of them are characters.
        merges: the ids of the pairs that are joined, and what they become, ``[left, right, id]`` each, in the order in
            which they were learned.
        scores: of the unigram model in place of merges: the log probability of each token.
    """

    def __init__(
        self,
        *,
        tokens: Sequence[str],
        num_characters: int,
        merges: Sequence[Sequence[int]] = (),
        scores: Sequence[float] = (),
        **keys: Any,
    ) -> None:
        super().__init__(**keys)
        self.tokens, self.num_characters = tuple(tokens), num_characters
        self.merges = np.array(merges, np.int64).reshape(-1, 3)
        self.scores = tuple(scores)
        self.trie = Trie(tokens, num_characters, scores) if scores else None
        self.kinds = kinds_of_characters(tokens[:num_characters])

    def get_config(self) -> dict[str, Any]:
        own = {"tokens": list(self.tokens), "num_characters": self.num_characters, "merges": self.merges.tolist()}
        return {**super().get_config(), **own, "scores": list(self.scores)}

    def get_vocabulary(self) -> list[str]:
        """Padding, the unknown token, and the tokens, as Keras's TextVectorization lists them."""
        return ["", "[UNK]", *self.tokens]

    def call(self, ids: Tensor) -> Tensor:
        ids = tf.cast(ids, tf.int32)
        segments, text_of_segment = segments_of(ids, self.kinds)
        unique, which = tf.raw_ops.UniqueV2(x=segments, axis=[0])
        pieces = merged(unique, self.merges) if self.trie is None else most_probable(unique, self.trie)
        found = tf.gather(pieces, which)
        is_piece = found > 0
        text_of_piece = tf.boolean_mask(tf.broadcast_to(text_of_segment[:, None], tf.shape(found)), is_piece)
        rows = tf.RaggedTensor.from_value_rowids(
            tf.boolean_mask(found, is_piece), text_of_piece, nrows=tf.shape(ids, tf.int64)[0]
        )
        return rows.to_tensor()

    def compute_output_spec(self, ids: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor((ids.shape[0], None), "int32")


def kinds_of_characters(characters: Sequence[str]) -> np.ndarray:
    """The kind of each id of a character, int32 ``[FIRST + characters]``."""

    def kind(character: str) -> int:
        if character == " ":
            return SPACE
        if character.isspace():
            return WHITE_SPACE
        return PUNCTUATION if character in string.punctuation else LETTER

    return np.array([0, LETTER, *map(kind, characters)], np.int32)


def segments_of(ids: Tensor, kinds: np.ndarray) -> tuple[Tensor, Tensor]:
    """The segments of texts, in order.

    Args:
        ids: of characters, int32 ``[batch, characters]``, 0 after each text's end.
        kinds: of `kinds_of_characters`.

    Returns:
        The ids of the characters of each, int32 ``[segments, characters]``, with at least one 0 after the end; and its
        text, int64 ``[segments]``.
    """
    kind = tf.gather(kinds, ids)
    before = tf.pad(kind[:, :-1], [[0, 0], [1, 0]])
    is_white = kind >= SPACE
    is_start = tf.logical_or(is_white, tf.logical_and(before != SPACE, before != kind))
    is_character = ids > 0
    text = tf.where(is_character)[:, 0]  # of each character
    flat, is_start = tf.boolean_mask(ids, is_character), tf.boolean_mask(is_start, is_character)
    position = tf.range(tf.size(flat))
    first = tf.boolean_mask(position, is_start)
    offset = position - tf.gather(first, tf.cumsum(tf.cast(is_start, tf.int32)) - 1)
    first = tf.where(offset % MAX_SEGMENT == 0)[:, 0]  # long words are cut
    segments = tf.RaggedTensor.from_row_starts(flat, first).to_tensor()
    return tf.pad(segments, [[0, 0], [0, 1]]), tf.gather(text, first)  # one column at least


def merged(segments: Tensor, merges: np.ndarray) -> Tensor:
    """Byte-pair encoding of segments: int32 ``[segments, characters]`` -> ``[segments, pieces]``, 0 after the end.

    Args:
        merges: ``[left, right, id]`` each, in the order in which they were learned, int64 ``[merges, 3]``.
    """
    if not len(merges):
        return segments
    num_ids = int(merges.max()) + 1
    keys = merges[:, 0] * num_ids + merges[:, 1]
    order = np.argsort(keys, kind="stable").astype(np.int32)
    ordered, num_merges, joined = keys[order], len(merges), merges[:, 2].astype(np.int32)

    def ranks(symbols: Tensor) -> Tensor:
        """The rank of each symbol with the next one, ``num_merges`` for unknown pairs: ``[segments, symbols]``."""
        found = tf.cast(symbols, tf.int64) * num_ids + tf.cast(shifted(symbols), tf.int64)
        at = tf.searchsorted(ordered, tf.reshape(found, [-1]))
        at = tf.reshape(tf.minimum(at, num_merges - 1), tf.shape(found))
        return tf.where(tf.gather(ordered, at) == found, tf.gather(order, at), num_merges)

    def join(symbols: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
        best = tf.reduce_min(rank, axis=1, keepdims=True)
        position = tf.range(tf.shape(symbols)[1])[None]
        at = tf.where(best < num_merges, tf.argmin(rank, axis=1, output_type=tf.int32)[:, None], tf.size(position))
        one = tf.gather(joined, tf.minimum(best, num_merges - 1))
        symbols = tf.where(position < at, symbols, tf.where(position == at, one, shifted(symbols)))
        return symbols, ranks(symbols)

    def is_known(_: Tensor, rank: Tensor) -> Tensor:
        return tf.reduce_any(rank < num_merges)

    return tf.while_loop(is_known, join, (segments, ranks(segments)), maximum_iterations=MAX_SEGMENT)[0]
