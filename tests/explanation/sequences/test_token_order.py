"""Areas below the curves of insertion and deletion of tokens, against sums in NumPy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from dlcli.explanation.sequences.scores import Scores
from dlcli.explanation.sequences.token_order import probability, recovered, token_areas

VALUES = np.float32([3.0, -1.0, 0.5, 2.0])
POINTS = VALUES[:, None]
SCORES = Scores(lambda points: tf.reduce_sum(points, axis=1)[:, None], 1, 1, is_class=False)
CHOICE = np.zeros(2, np.int32)


@pytest.mark.parametrize("is_number", [False, True])
def test_areas_are_those_of_the_sums_of_tokens(is_number: bool) -> None:
    is_free = np.array([True, True, False, True])  # the third token is never hidden
    measure = recovered(4.5, 2.0) if is_number else probability

    def expected(order: list[int], *, inserted: bool) -> float:
        curve = []
        for number in range(4):
            shown = order[:number] if inserted else order[number:]
            total = 0.5 + VALUES[shown].sum()
            curve.append(1 - abs(total - 4.5) / 2 if is_number else 1 / (1 + np.exp(-total)))
        return float(np.mean([(one + two) / 2 for one, two in itertools.pairwise(curve)]))

    for ranks, order in (([3.0, -1.0, 9.0, 2.0], [0, 3, 1]), ([-3.0, 1.0, 9.0, -2.0], [1, 3, 0])):
        found = token_areas(
            SCORES, POINTS, np.zeros_like(POINTS), CHOICE, np.array(ranks), is_free=is_free, measure=measure
        )
        assert found == pytest.approx((expected(order, inserted=True), expected(order, inserted=False)), abs=1e-5)
