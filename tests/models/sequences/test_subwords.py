"""Subwords inside a model: segments, merges one by one, and what is saved."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.models.sequences.subwords import FIRST, MAX_SEGMENT, Subwords, kinds_of_characters, segments_of

TOKENS = ["e", "s", "t", " ", ".", "\n", "w", "es", "est", " w", "w.", "..", "ee"]
MERGES = [[2, 3, 9], [9, 4, 10], [5, 8, 11], [8, 6, 12], [6, 6, 13], [2, 2, 14]]
NUM_CHARACTERS = 7


def ids_of(texts: Sequence[str]) -> np.ndarray:
    width = max(map(len, texts))
    rows = [[FIRST + TOKENS.index(c) if c in TOKENS else 1 for c in text] for text in texts]
    return np.array([row + [0] * (width - len(row)) for row in rows], np.int32)


def layer() -> Subwords:
    return Subwords(tokens=TOKENS, num_characters=NUM_CHARACTERS, merges=MERGES, name="tokens")


def spelled(rows: np.ndarray) -> list[list[str]]:
    names = layer().get_vocabulary()
    return [[names[number] for number in row if number] for row in np.asarray(rows)]


def merged_one_by_one(text: str) -> list[str]:
    """The same, by the definition: the first merge that applies, at its leftmost place, again and again."""
    symbols = [FIRST + TOKENS.index(character) for character in text]
    while True:
        pairs = list(itertools.pairwise(symbols))
        for left, right, joined in MERGES:
            if (left, right) in pairs:
                at = pairs.index((left, right))
                symbols[at : at + 2] = [joined]
                break
        else:
            return [TOKENS[symbol - FIRST] for symbol in symbols]


def test_segments_are_words_with_a_space_before_punctuation_and_other_spaces() -> None:
    ids = ids_of(["west. w\n\nw  ..w", "", "w"])
    segments, texts = segments_of(tf.constant(ids), kinds_of_characters(TOKENS[:NUM_CHARACTERS]))
    found = ["".join(TOKENS[number - FIRST] for number in row if number) for row in segments.numpy()]
    assert found == ["west", ".", " w", "\n", "\n", "w", " ", " ..", "w", "w"]
    assert texts.numpy().tolist() == [0] * 9 + [2]


def test_pairs_are_joined_within_segments_in_the_order_of_the_merges() -> None:
    assert spelled(layer()(ids_of(["eest west", "w.w", "eee", "zes", ""]))) == [
        ["e", "est", " w", "est"],
        ["w", ".", "w"],  # a word and punctuation are segments of their own
        ["ee", "e"],
        ["[UNK]", "es"],
        [],
    ]


def test_it_is_what_merging_one_by_one_gives() -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("estw"), rng.integers(1, 20))) for _ in range(100)]
    assert spelled(layer()(ids_of(texts))) == [merged_one_by_one(text) for text in texts]


def test_a_word_is_cut_where_it_is_too_long() -> None:
    text = "e" * MAX_SEGMENT + "s"  # the last two would be joined first
    assert spelled(layer()(ids_of([text]))) == [["ee"] * (MAX_SEGMENT // 2) + ["s"]]


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (2, 3)])
def test_texts_without_characters_have_no_tokens(shape: tuple[int, int]) -> None:
    assert layer()(np.zeros(shape, np.int32)).shape == (shape[0], 0)


def test_a_saved_model_splits_as_before(tmp_path: Path) -> None:
    ids = keras.Input((None,), dtype="int32")
    model = keras.Model(ids, layer()(ids))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    texts = ids_of(["west. eest", "w..", ""])
    np.testing.assert_array_equal(again(texts), model(texts))
    assert again.get_layer("tokens").get_vocabulary() == ["", "[UNK]", *TOKENS]


def test_without_merges_characters_are_tokens() -> None:
    plain = Subwords(tokens=TOKENS[:NUM_CHARACTERS], num_characters=NUM_CHARACTERS, merges=[])
    ids = ids_of(["west", "e"])
    np.testing.assert_array_equal(plain(ids), ids)
