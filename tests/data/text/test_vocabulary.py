"""Vocabularies: fitted on the training texts; a saved model finds the same tokens in new texts as in training."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcli.data.text.vocabulary import FIRST, UNKNOWN, Vocabulary, encode, encode_words, fit_vocabulary
from dlcli.models.sequences.text_input import one_at_least, splitter, token_ids

TEXTS = ["The cat, the dog!", "the CAT sat", "a dog", "Élan and élan, ÉLAN", "don't"]


def split_by(unit: Any = "words", standardize: Any = "lower_and_strip_punctuation") -> Any:
    def split(forms: Sequence[str] | None) -> Any:
        return splitter(unit=unit, standardize=standardize, forms=forms)

    return split


def fitted(texts: Sequence[str] = TEXTS, **options: Any) -> Vocabulary:
    split = split_by(**{key: options.pop(key) for key in ("unit", "standardize") if key in options})
    known = {"lower": True, "max_vocabulary": 100, "min_count": 1, **options}
    return fit_vocabulary(texts, split=split, **known)


def test_tokens_are_sorted_by_frequency() -> None:
    assert fitted().tokens == ("the", "élan", "cat", "dog", "a", "and", "dont", "sat")
    assert fitted(max_vocabulary=3).tokens == ("the", "élan", "cat")
    assert fitted(min_count=2).tokens == ("the", "élan", "cat", "dog")
    plain = fitted(standardize="none", lower=False)
    assert {"The", "the", "cat,", "dog!", "don't", "ÉLAN", "Élan", "élan,"} <= set(plain.tokens)


def test_characters_as_tokens() -> None:
    vocabulary = fitted(["aab", "b a", "é"], unit="characters", standardize="none", lower=False)
    assert vocabulary.tokens == ("a", "b", " ", "é")
    found = encode(["ba", "", "äé "], vocabulary, split=split_by("characters", "none"), max_length=10)
    assert [found[i].tolist() for i in range(3)] == [[3, 2], [UNKNOWN], [UNKNOWN, 5, 4]]


def test_uppercase_letters_of_every_script_are_lowercased() -> None:
    vocabulary = fitted(["привет мир", "élan vital"])
    found = encode(["ПРИВЕТ Мир ÉLAN Vital МиР"], vocabulary, split=split_by(), max_length=10)
    number = {token: 2 + i for i, token in enumerate(vocabulary.tokens)}
    assert found[0].tolist() == [*(number[token] for token in ("привет", "мир", "élan", "vital")), UNKNOWN]


def test_unknown_tokens_and_empty_texts() -> None:
    vocabulary = fitted()
    found = encode(["", "zebra", "the zebra", "!!!", " \t\n"], vocabulary, split=split_by(), max_length=10)
    assert [found[i].tolist() for i in range(5)] == [[1], [1], [2, 1], [1], [1]]
    assert found.flat.dtype == np.int32


def test_reserved_words_are_unknown() -> None:
    vocabulary = fitted(["[UNK] a", "[UNK] b"], standardize="none", lower=False)
    assert vocabulary.tokens == ("a", "b")
    assert encode(["[UNK] a"], vocabulary, split=split_by(standardize="none"), max_length=9)[0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("unit", "standardize"),
    [
        ("words", "lower_and_strip_punctuation"),
        ("characters", "lower"),
        *(pytest.param("words", rule, marks=pytest.mark.slow) for rule in ("lower", "strip_punctuation", "none")),
        *(
            pytest.param("characters", rule, marks=pytest.mark.slow)
            for rule in ("lower_and_strip_punctuation", "strip_punctuation", "none")
        ),
    ],
)
@settings(max_examples=settings().max_examples * 15 // 100, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12), min_size=1, max_size=5)
)
def test_the_saved_model_finds_the_same_tokens(unit: Any, standardize: Any, texts: list[str]) -> None:
    lower = standardize.startswith("lower")
    vocabulary = fitted([*TEXTS, *texts[:2]], unit=unit, standardize=standardize, lower=lower, min_count=1)
    inputs = keras.Input((), dtype="string")
    ids = token_ids(
        inputs,
        unit=unit,
        standardize=standardize,
        forms=vocabulary.forms,
        token_of_form=vocabulary.token_of_form,
        max_length=6,
    )
    import tensorflow as tf

    found = np.asarray(keras.Model(inputs, one_at_least(ids))(tf.constant(texts)))
    expected = encode(texts, vocabulary, split=split_by(unit, standardize), max_length=6)
    for i, row in enumerate(found):
        length = int(expected.lengths[i])
        assert row[:length].tolist() == expected[i].tolist()
        assert not row[length:].any()


def test_words_with_the_ids_of_their_characters() -> None:
    vocabulary = Vocabulary(("see",), ("see",), (FIRST,), ("s", "e"))
    found = encode_words([("see", "zebras"), ()], vocabulary, max_length=5, num_characters=4)
    assert found.lengths.tolist() == [2, 1]
    assert found.flat.tolist() == [[2, 2, 3, 3, 0], [1, 1, 3, 1, 1], [1, 0, 0, 0, 0]]
    assert found.flat.dtype == np.int32
