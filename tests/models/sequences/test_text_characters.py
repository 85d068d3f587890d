"""The characters of a text's words, found within the network, against Python's own splitting."""

import string

import keras
import numpy as np
import pytest

from dlcli.models.sequences.text_input import one_at_least, token_ids
from dlcli.models.sequences.word_characters import SPACES, characters_of_texts

CHARACTERS = (*SPACES, *"abcé☃.", "A")
TEXTS = ["a cab", "  bé\tA-\n\x0bcaaaab \r", "", "☃", "zz . a", " - "]


def expected(text: str, standardize: str, width: int, num_words: int) -> np.ndarray:
    if standardize.startswith("lower"):
        text = "".join(c.lower() if c.isascii() else c for c in text)
    if standardize.endswith("punctuation"):
        text = text.translate(str.maketrans("", "", string.punctuation))
    found = np.zeros((num_words, width), np.int32)
    for row, word in zip(found, text.split(), strict=False):
        ids = [CHARACTERS.index(c) + 2 if c in CHARACTERS else 1 for c in word[:width]]
        row[: len(ids)] = ids
    return found


@pytest.mark.parametrize("standardize", ["lower_and_strip_punctuation", "none"])
def test_characters_are_those_of_the_words(standardize: str) -> None:
    text = keras.Input((), dtype="string")
    ids = token_ids(text, unit="words", standardize=standardize, forms=["a"], token_of_form=[2], max_length=3)  # type: ignore[arg-type]
    ids = one_at_least(ids)
    found = characters_of_texts(text, ids, standardize=standardize, characters=CHARACTERS, max_length=4)  # type: ignore[arg-type]
    model = keras.Model(text, [ids, found])
    for texts in (TEXTS, TEXTS[2:3], TEXTS[3:4], TEXTS[:1]):
        words, characters = (np.asarray(part) for part in model(keras.ops.convert_to_tensor(texts)))
        assert characters.shape == (*words.shape, 4)
        for text_of, row in zip(texts, characters, strict=True):
            np.testing.assert_array_equal(row[:3], expected(text_of, standardize, 4, min(3, len(row))))
