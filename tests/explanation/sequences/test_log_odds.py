"""The naive explanation of texts, against scikit-learn's naive Bayes."""

import numpy as np
from sklearn.naive_bayes import MultinomialNB

from dlcli.explanation.sequences.log_odds import log_odds_of_tokens, numbers_of_tokens


def test_log_odds_are_those_of_naive_bayes() -> None:
    generator = np.random.default_rng(0)
    texts = [generator.integers(1, 9, size).astype(np.int32) for size in generator.integers(1, 12, 40)]
    labels = generator.integers(0, 3, 40).astype(np.int32)
    counts = np.stack([np.bincount(ids, minlength=10) for ids in texts])
    found = log_odds_of_tokens(texts, labels, num_tokens=10, num_classes=3)
    for number in range(3):
        model = MultinomialNB(alpha=1.0).fit(counts, labels == number)
        np.testing.assert_allclose(found[:, number], model.feature_log_prob_[1] - model.feature_log_prob_[0])


def test_a_class_without_training_texts_is_finite() -> None:
    found = log_odds_of_tokens([np.array([1, 2], np.int32)], np.array([0]), num_tokens=3, num_classes=2)
    assert np.isfinite(found).all()
    assert found[1, 0] > found[0, 0]


def test_numbers_of_tokens_are_means_of_their_texts_and_one_more() -> None:
    texts = [np.array([1, 1, 2], np.int32), np.array([2], np.int32), np.array([3], np.int32)]
    found = numbers_of_tokens(texts, np.array([3.0, 6.0, 0.0]), num_tokens=5)
    np.testing.assert_allclose(found, [0, 0 / 2, (0 + 3) / 3, -3 / 2, 0])
