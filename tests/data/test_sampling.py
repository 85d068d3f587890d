"""Balanced sampling: classes equally often, a function of (seed, epoch)."""

import numpy as np

from dlcli.data.sampling import draw_balanced

LABELS = np.array([0] * 90 + [3] * 9 + [1] * 2, np.int32)  # no sample has class 2


def test_each_class_is_drawn_equally_often() -> None:
    rest = set()
    for epoch in range(8):
        order = draw_balanced(LABELS, seed=1, epoch=epoch)
        assert order.dtype == np.int64
        counts = np.bincount(LABELS[order])
        assert counts.sum() == len(LABELS)
        assert sorted(counts[[0, 1, 3]]) == [33, 34, 34]
        rest.add(int(np.argmin(counts[[0, 1, 3]])))
        assert len(set(LABELS[order[:30]])) == 3  # in random order
    assert len(rest) > 1  # no class has the rest in every epoch


def test_each_sample_of_a_class_is_equally_probable() -> None:
    drawn = np.concatenate([draw_balanced(LABELS, seed=1, epoch=epoch) for epoch in range(400)])
    counts = np.bincount(drawn, minlength=len(LABELS))
    for label in (0, 1, 3):
        of_class = counts[label == LABELS]
        expected = of_class.mean()
        assert np.abs(of_class - expected).max() < 5 * np.sqrt(expected)


def test_a_draw_is_a_function_of_seed_and_epoch() -> None:
    one = draw_balanced(LABELS, seed=1, epoch=2)
    np.testing.assert_array_equal(one, draw_balanced(LABELS, seed=1, epoch=2))
    assert not np.array_equal(one, draw_balanced(LABELS, seed=1, epoch=3))
    assert not np.array_equal(one, draw_balanced(LABELS, seed=2, epoch=2))
