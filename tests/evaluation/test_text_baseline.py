"""The TF-IDF baseline: what it can tell apart by words, and what only by characters or pairs of words."""

import numpy as np
import pytest

from dlcli.evaluation.text_baseline import (
    MOST_CHARACTERS,
    better_unit,
    tf_idf_labels,
    tf_idf_numbers,
    tf_idf_predictions,
)


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_texts_are_told_apart_by_their_words(unit) -> None:
    train = ["good film", "good book", "bad film", "bad book"] * 3
    labels = np.array([4, 4, 7, 7] * 3)
    found = tf_idf_predictions(train, labels, ["a good day", "bad weather"], unit=unit)
    assert found.tolist() == [4, 7]


def test_pairs_of_words_tell_apart_what_single_words_cannot() -> None:
    train = ["not good but bad", "not bad but good"] * 5
    found = tf_idf_predictions(train, np.array([0, 1] * 5), ["is not good", "is not bad"], unit="words")
    assert found.tolist() == [0, 1]


def test_characters_see_the_inside_of_words_that_training_lacks() -> None:
    train = ["walking", "talking", "walked", "talked"] * 3
    labels = np.array([0, 0, 1, 1] * 3)
    texts = ["singing", "played"]
    assert tf_idf_predictions(train, labels, texts, unit="characters").tolist() == [0, 1]
    by_words = tf_idf_predictions(train, labels, texts, unit="words")
    assert by_words[0] == by_words[1]  # unknown words leave only the prior


def test_labels_are_predicted_one_by_one() -> None:
    train = ["good film", "good book", "bad film", "bad book"] * 3
    applies = np.array([[1, 1, 1, np.nan], [1, 0, 1, np.nan], [0, 1, 1, np.nan], [0, 0, np.nan, np.nan]] * 3)
    texts = ["good film", "bad book", "a"]
    scores, others = tf_idf_labels(train, applies, [texts, texts[:1]], unit="words")
    assert (scores[:2, :2] > 0.5).tolist() == [[True, True], [False, False]]
    np.testing.assert_array_equal(scores[:, 2:], [[1, 0]] * 3)  # always, and never known
    np.testing.assert_array_equal(others, scores[:1])


def test_numbers_follow_from_words() -> None:
    values = {"one": 1.0, "two": 2.0, "five": 5.0}
    train = [f"{word} x{i}" for i in range(30) for word in values]
    found = tf_idf_numbers(train, np.array([*values.values()] * 30) + 1e6, ["five x7", "one x3"], unit="words")
    np.testing.assert_allclose(found, [1e6 + 5, 1e6 + 1], atol=0.5)
    assert tf_idf_numbers(["a b", "c"], np.array([1.0, 3.0]), ["a b"], unit="words")[0] < 2


def test_the_unit_with_the_smaller_error_on_held_out_texts_is_taken() -> None:
    seen = []

    def error(fitted: np.ndarray, held: np.ndarray, unit: str) -> float:
        seen.append((fitted.tolist(), held.tolist(), unit))
        return {"words": 0.3, "characters": 0.2}[unit]

    assert better_unit(["a"] * 11, 2, error, usual="words") == "characters"
    assert seen[0] == ([0, 1, 2, 3, 5, 6, 7, 8, 10], [4, 9], "words")
    assert better_unit(["a"] * 11, 2, lambda *_: 0.1, usual="characters") == "characters"


def test_the_usual_unit_is_taken_where_a_comparison_says_nothing_or_takes_long() -> None:
    assert better_unit(["a"] * 4, 2, lambda *_: pytest.fail("compared"), usual="words") == "words"
    long = ["a" * (MOST_CHARACTERS // 10)] * 11
    assert better_unit(long, 2, lambda *_: pytest.fail("compared"), usual="words") == "words"
    number = []
    better_unit(["a"] * 9000, 18, lambda fitted, held, _: number.append(len(fitted) + len(held)) or 0.0, usual="words")
    assert number == [555, 555]
