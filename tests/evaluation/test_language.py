"""Metrics of language models against their definitions, and the unigram baseline against a count by hand."""

import math

import numpy as np
import pytest

from dlcli.evaluation import language


def test_metrics_are_their_definitions() -> None:
    found = language.metrics(nats=20 * math.log(2), correct=3, num_tokens=10, num_characters=40, by_words=False)
    assert found == pytest.approx(
        {"tokens": 10, "loss": 2 * math.log(2), "bits": 2.0, "perplexity": 4.0, "accuracy": 0.3}
    )


def test_words_have_nats_and_bits_per_character_too() -> None:
    found = language.metrics(nats=20 * math.log(2), correct=3, num_tokens=10, num_characters=40, by_words=True)
    assert found["bits_per_character"] == pytest.approx(0.5)
    assert found["nats_per_character"] == pytest.approx(0.5 * math.log(2))
    empty = language.metrics(nats=3.0, correct=0, num_tokens=1, num_characters=0, by_words=True)
    assert empty["nats_per_character"] == 3.0


def test_the_perplexity_of_a_huge_loss_is_finite() -> None:
    found = language.metrics(nats=1e6, correct=0, num_tokens=1, num_characters=1, by_words=False)
    assert found["loss"] == 1e6
    assert math.isfinite(found["perplexity"])


def test_the_unigram_loss_counts_each_token_once_more() -> None:
    train, predicted = np.array([2, 2, 2, 0], np.int32), np.array([2, 1], np.int32)
    # counts with one added: 2, 1, 4, 1 of 8
    expected = (math.log(8 / 4) + math.log(8 / 1)) / 2
    assert language.unigram_loss(train, predicted, num_tokens=4) == pytest.approx(expected)


def test_the_unigram_loss_of_tokens_that_are_all_alike_is_that_of_a_uniform_guess() -> None:
    tokens = np.arange(50, dtype=np.int32)
    assert language.unigram_loss(tokens, tokens[:7], num_tokens=50) == pytest.approx(math.log(50))


def test_bits_per_byte_charge_the_bytes_of_unknown_tokens() -> None:
    known = language.bits_per_byte(16 * math.log(2), unknown=np.array([], np.int64), num_bytes=8)
    assert known == pytest.approx(2.0)
    spelled = language.bits_per_byte(16 * math.log(2), unknown=np.array([3, 1]), num_bytes=8)
    assert spelled == pytest.approx((16 + (4 + 2) * math.log2(257)) / 8)
