"""Token ids inside the model: splitting, standardization, truncation, start tokens, empty texts."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.models.sequences import text_input


def ids_of(texts: list[str], **changes: Any) -> np.ndarray:
    options: dict[str, Any] = {
        "unit": "words",
        "standardize": "lower_and_strip_punctuation",
        "forms": ["the", "cat", "cats"],
        "token_of_form": [2, 3, 4],
        "max_length": None,
    }
    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, text_input.token_ids(inputs, **{**options, **changes}))
    found = model(tf.constant(texts))
    assert found.dtype == tf.int32
    return np.asarray(found)


def test_words_are_standardized_and_padded_and_unknown_ones_are_1() -> None:
    assert ids_of(["The, CAT!", "a cat", ""]).tolist() == [[2, 3], [1, 3], [0, 0]]
    assert ids_of(["The cat"], standardize="none").tolist() == [[1, 3]]


def test_several_spellings_can_be_one_token() -> None:
    assert ids_of(["the cats cat"], token_of_form=[2, 3, 3]).tolist() == [[2, 3, 3]]


def test_texts_are_truncated() -> None:
    assert ids_of(["the cat the", "cat"], max_length=2).tolist() == [[2, 3], [3, 0]]


def test_characters() -> None:
    found = ids_of(["aba", "b c"], unit="characters", forms=["a", "b"], token_of_form=[2, 3], standardize="none")
    assert found.tolist() == [[2, 3, 2], [3, 1, 1]]


@pytest.mark.parametrize("token_of_form", [[2, 3, 4], [2, 3, 3]])
def test_sentences_that_are_split_into_words_already(token_of_form: list[int]) -> None:
    inputs = keras.Input((None,), dtype="string")
    ids = text_input.word_ids(inputs, forms=["the", "cat", "cats"], token_of_form=token_of_form, max_length=3)
    words = tf.constant([["the", "dog", "cats", "the"], ["cat", "", "", ""]])
    found = np.asarray(keras.Model(inputs, ids)(words))
    assert found.tolist() == [[2, 1, token_of_form[2]], [3, 0, 0]]


def test_the_start_token_is_that_of_the_class() -> None:
    ids = keras.Input((None,), dtype="int32")
    alone = keras.Model(ids, text_input.begun(ids, None, ["x"], first=7))
    values = np.array([[2, 3], [4, 0]], np.int32)
    assert np.asarray(alone(values)).tolist() == [[7, 2, 3], [7, 4, 0]]
    label = keras.Input((), dtype="string")
    model = keras.Model([ids, label], text_input.begun(ids, label, ["x", "y"], first=7))
    assert np.asarray(model([tf.constant(values), tf.constant(["y", "x"])])).tolist() == [[8, 2, 3], [7, 4, 0]]


def test_an_empty_text_gets_one_unknown_token() -> None:
    ids = keras.Input((None,), dtype="int32")
    model = keras.Model(ids, text_input.one_at_least(ids))
    assert np.asarray(model(np.array([[2, 3], [0, 0]], np.int32))).tolist() == [[2, 3, 0], [1, 0, 0]]
    assert np.asarray(model(np.zeros((2, 0), np.int32))).tolist() == [[1], [1]]
