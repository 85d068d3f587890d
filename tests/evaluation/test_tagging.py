"""Metrics of tagging: words as samples, whole sentences, and words that are not in the vocabulary."""

import numpy as np
import pytest

from dlcli.evaluation import classification, tagging
from dlcli.evaluation.class_predictions import score

CLASSES = ("noun", "verb", "other")
TAGS = np.array([0, 1, 2, 0, 1, 2], np.int32)
PREDICTED = np.array([0, 1, 0, 0, 2, 2])  # the third and the fifth word are wrong
SCORED = score(TAGS, 0.1 + 0.7 * np.eye(3)[PREDICTED])
LENGTHS = np.array([2, 1, 3])
KNOWN = np.array([True, False, True, True, False, True])


def test_words_are_the_samples_of_classification() -> None:
    found = tagging.metrics(SCORED, CLASSES, lengths=LENGTHS, is_known=KNOWN, loss=0.5)
    words = classification.metrics(SCORED, CLASSES, 0.5)
    assert {key: found[key] for key in words} == words
    assert found["accuracy"] == pytest.approx(4 / 6)


def test_a_sentence_counts_if_all_its_words_are_correct() -> None:
    found = tagging.metrics(SCORED, CLASSES, lengths=LENGTHS, is_known=KNOWN, loss=0.5)
    assert found["sentences"] == 3
    assert found["sentence_accuracy"] == pytest.approx(1 / 3)


def test_the_accuracy_on_unknown_words() -> None:
    found = tagging.metrics(SCORED, CLASSES, lengths=LENGTHS, is_known=KNOWN, loss=0.5)
    assert found["unknown_words"] == pytest.approx(2 / 6)
    assert found["unknown_accuracy"] == 0.5
    all_known = tagging.metrics(SCORED, CLASSES, lengths=LENGTHS, is_known=np.ones(6, bool), loss=0.5)
    assert all_known["unknown_words"] == 0.0
    assert "unknown_accuracy" not in all_known


def test_rows_of_predictions_name_sentence_and_position() -> None:
    words = [["the", "cat"], ["runs"], ["a", "b", "c"]]
    rows = list(tagging.predictions(["x", "y", "z"], words, SCORED, CLASSES, is_known=KNOWN))
    assert [(row["file"], row["word"], row["text"]) for row in rows] == [
        ("x", 1, "the"),
        ("x", 2, "cat"),
        ("y", 1, "runs"),
        ("z", 1, "a"),
        ("z", 2, "b"),
        ("z", 3, "c"),
    ]
    assert rows[2] == {
        "file": "y",
        "word": 1,
        "text": "runs",
        "label": "other",
        "predicted": "noun",
        "confidence": 0.8,
        "correct": False,
        "known": True,
    }
