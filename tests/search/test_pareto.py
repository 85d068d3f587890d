"""The Pareto front, compared with its definition."""

import numpy as np

from dlcli.search.pareto import front


def test_points_that_no_other_dominates() -> None:
    assert front([(1, 5), (2, 4), (2, 3), (3, 1), (0, 5), (3, 1)]) == [0, 1, 3, 5]
    assert front([(0.5,), (0.7,), (0.6,)]) == [1]


def test_it_is_that_of_the_definition() -> None:
    points = np.random.default_rng(0).integers(0, 8, (60, 3))
    expected = [i for i, p in enumerate(points) if not any((q >= p).all() and (q > p).any() for q in points)]
    assert front(points.tolist()) == expected
