"""The most probable division of words into pieces, against all divisions."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.models.sequences.subwords import FIRST, Subwords
from dlcli.models.sequences.unigram import UNKNOWN_PENALTY, Trie, most_probable

TOKENS = ["a", "b", "c", " ", "ab", "abc", "bc", "ca", "aa", "bca", " a", "abcab"]
SCORES = [-2.0, -2.5, -3.0, -1.5, -3.0, -4.0, -3.5, -4.1, -3.2, -4.0, -2.9, -8.5]
NUM_CHARACTERS = 4


def divisions(text: str) -> Iterator[tuple[float, list[str]]]:
    """Every division of a text into pieces, with its score."""
    if not text:
        yield 0.0, []
    for piece, score in [*zip(TOKENS, SCORES, strict=True), ("?", min(SCORES) - UNKNOWN_PENALTY)]:
        if text.startswith(piece):
            for rest, pieces in divisions(text[len(piece) :]):
                yield score + rest, [piece, *pieces]


def ids_of(texts: list[str]) -> np.ndarray:
    width = max(map(len, texts)) + 1
    rows = [[FIRST + TOKENS.index(c) if c in TOKENS else 1 for c in text] for text in texts]
    return np.array([row + [0] * (width - len(row)) for row in rows], np.int32)


def test_it_is_the_best_of_all_divisions() -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abc?"), rng.integers(1, 11), p=[0.4, 0.3, 0.2, 0.1])) for _ in range(60)]
    found = most_probable(tf.constant(ids_of(texts)), Trie(TOKENS, NUM_CHARACTERS, SCORES)).numpy()
    names = ["", "?", *TOKENS]
    score_of = dict(zip([*TOKENS, "?"], [*SCORES, min(SCORES) - UNKNOWN_PENALTY], strict=True))
    for text, row in zip(texts, found, strict=True):
        pieces = [names[number] for number in row if number]
        assert "".join(pieces) == text
        assert sum(score_of[piece] for piece in pieces) == pytest.approx(max(divisions(text))[0])


def test_a_saved_layer_divides_as_before(tmp_path: Path) -> None:
    layer = Subwords(tokens=TOKENS, num_characters=NUM_CHARACTERS, scores=SCORES, name="tokens")
    ids = keras.Input((None,), dtype="int32")
    model = keras.Model(ids, layer(ids))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    texts = ids_of(["ab abca", "", "aa?"])
    found = again(texts).numpy()
    np.testing.assert_array_equal(found, model(texts))
    names = layer.get_vocabulary()
    assert [[names[number] for number in row if number] for row in found] == [
        ["ab", " a", "bca"],
        [],
        ["aa", "[UNK]"],
    ]
