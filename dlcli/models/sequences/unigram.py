"""Unigram subwords: the most probable division of words into pieces (Kudo 2018), by Viterbi's algorithm on a tree."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Tensor = Any  # a tensor of TensorFlow

UNKNOWN, FIRST = 1, 2  # ids; 0 is padding
UNKNOWN_PENALTY = (
    10.0  # an unknown character is so much less probable than the least probable piece, as in SentencePiece
)
NOWHERE = -1e9  # the score of what is not a piece


def shifted(x: Tensor) -> Tensor:
    """Each row moved to the left by one, with 0 at its end."""
    return tf.pad(x[:, 1:], [[0, 0], [0, 1]])


class Trie:
    """The pieces of a unigram model as a tree of characters, as arrays.

    Attributes:
        keys, following: ``node * num_ids + character``, sorted, and the node to which the edge leads.
        scores, tokens: of each node, `NOWHERE` and 0 if no piece ends there.
        depth: the number of characters of the longest piece.
    """

    def __init__(self, tokens: Sequence[str], num_characters: int, scores: Sequence[float]) -> None:
        self.num_ids = FIRST + num_characters
        id_of = {token: FIRST + i for i, token in enumerate(tokens[:num_characters])}
        edges: dict[tuple[int, int], int] = {}
        ends: dict[int, tuple[float, int]] = {}

        def add(characters: Sequence[int], score: float, token: int) -> None:
            node = 1  # the root; 0 is nowhere
            for character in characters:
                node = edges.setdefault((node, character), len(edges) + 2)
            ends[node] = (score, token)

        add([0], 0.0, 0)  # padding
        add([UNKNOWN], min(scores, default=0.0) - UNKNOWN_PENALTY, UNKNOWN)
        for number, (piece, score) in enumerate(zip(tokens, scores, strict=True), start=FIRST):
            add([id_of[character] for character in piece], score, number)
        self.depth = max((len(token) for token in tokens), default=1)
        keys = np.array([node * self.num_ids + character for node, character in edges], np.int64)
        order = np.argsort(keys)
        self.keys, self.following = keys[order], np.array(list(edges.values()), np.int64)[order]
        self.scores, self.tokens = np.full(len(edges) + 2, NOWHERE, np.float32), np.zeros(len(edges) + 2, np.int32)
        for node, (score, token) in ends.items():
            self.scores[node], self.tokens[node] = score, token


def most_probable(segments: Tensor, trie: Trie) -> Tensor:
    """The most probable division of segments by Viterbi's algorithm: int32 ``[segments, characters]`` -> the id of the
    piece that starts at each character, 0 within pieces."""
    node, character = tf.ones_like(segments, tf.int64), segments
    scores, tokens = [], []  # of the pieces of 1, 2, … characters from each position on
    for _ in range(trie.depth):
        key = node * trie.num_ids + tf.cast(character, tf.int64)
        at = tf.reshape(tf.searchsorted(trie.keys, tf.reshape(key, [-1])), tf.shape(key))
        at = tf.minimum(at, len(trie.keys) - 1)
        node = tf.where(tf.gather(trie.keys, at) == key, tf.gather(trie.following, at), 0)
        scores.append(tf.gather(trie.scores, node))
        tokens.append(tf.gather(trie.tokens, node))
        character = shifted(character)
    by_position = tf.transpose(tf.stack(scores, axis=-1), [1, 0, 2])  # [characters, segments, lengths]

    def best(carried: tuple[Tensor, Tensor], own: Tensor) -> tuple[Tensor, Tensor]:
        after, _ = carried  # the best scores from the next positions on, [segments, lengths]
        sums = own + after
        found = tf.concat([tf.reduce_max(sums, axis=1)[:, None], after[:, :-1]], axis=1)
        return found, tf.argmax(sums, axis=1, output_type=tf.int32)

    num_segments = tf.shape(segments)[0]
    end = tf.one_hot(tf.zeros(num_segments, tf.int32), trie.depth, 0.0, NOWHERE)
    _, longer = tf.scan(best, by_position, (end, tf.zeros(num_segments, tf.int32)), reverse=True)

    def walk(remaining: Tensor, own: Tensor) -> Tensor:
        return tf.where(remaining <= 0, own, remaining - 1)

    # within a piece: how many of its characters follow; where it starts, this is its length less one
    remaining = tf.scan(walk, longer, tf.zeros(num_segments, tf.int32))
    before = tf.concat([tf.zeros([1, num_segments], tf.int32), remaining[:-1]], axis=0)
    every = tf.gather(tf.stack(tokens, axis=-1), tf.transpose(longer), batch_dims=2)
    return tf.where(tf.transpose(before) == 0, every, 0)
