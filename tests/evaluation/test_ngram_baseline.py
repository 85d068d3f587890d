"""N-grams: the formula of Witten and Bell in plain Python, sequences apart, and what a bigram model can learn."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from dlcli.evaluation.language import unigram_loss
from dlcli.evaluation.ngram_baseline import ngram_loss


def plain_loss(
    train: Sequence[Sequence[int]], predicted: Sequence[Sequence[int]], num_tokens: int, order: int
) -> float:
    """The same by dictionaries, token by token."""
    after: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for sequence in train:
        for place in range(1, len(sequence)):
            for length in range(min(order - 1, place) + 1):
                after[tuple(sequence[place - length : place])][sequence[place]] += 1

    def probability(token: int, context: tuple[int, ...]) -> float:
        lower = probability(token, context[1:]) if context else 1 / num_tokens
        counts = after[context]
        total = counts.total()
        return (counts[token] + len(counts) * lower) / (total + len(counts)) if total else lower

    nats = [
        -math.log(probability(sequence[place], tuple(sequence[max(0, place - order + 1) : place])))
        for sequence in predicted
        for place in range(1, len(sequence))
    ]
    return sum(nats) / len(nats)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_loss_is_that_of_the_formula(order: int) -> None:
    rng = np.random.default_rng(0)
    train = [rng.integers(0, 5, rng.integers(2, 30)).astype(np.int32) for _ in range(8)]
    predicted = [rng.integers(0, 6, rng.integers(2, 30)).astype(np.int32) for _ in range(5)]  # 5 is new
    expected = plain_loss([x.tolist() for x in train], [x.tolist() for x in predicted], 7, order)
    assert ngram_loss(train, predicted, num_tokens=7, order=order) == pytest.approx(expected, abs=1e-12)


def test_contexts_longer_than_every_training_sequence_change_nothing() -> None:
    train, predicted = [np.array([0, 1], np.int32)] * 3, [np.arange(6, dtype=np.int32)]
    losses = [ngram_loss(train, predicted, num_tokens=6, order=order) for order in (2, 5)]
    assert losses[0] == losses[1]


def test_a_cycle_is_learned_by_bigrams_only() -> None:
    cycle = np.arange(400, dtype=np.int32) % 4
    assert ngram_loss([cycle], [cycle[:50]], num_tokens=5, order=1) == pytest.approx(
        unigram_loss(cycle[1:], cycle[1:50], num_tokens=5), abs=0.02
    )
    assert ngram_loss([cycle], [cycle[:50]], num_tokens=5, order=2) < 0.05
