"""Permutation importance, against the closed form for a linear prediction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dlcli.explanation.sequences.permutation import block_parts, column_parts, permutation_importance

WEIGHTS = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 3.0]])


def squared_errors(series: Sequence[Any]) -> Any:
    """Of the prediction ``sum(WEIGHTS * values)`` for a target that it meets exactly."""
    return np.array([((WEIGHTS * values).sum() - target) ** 2 for values, target in zip(series, TARGETS, strict=True)])


SERIES = list(np.random.default_rng(0).normal(size=(1000, 2, 3)).astype(np.float32))
TARGETS = [(WEIGHTS * values).sum() for values in SERIES]


def test_the_importance_of_a_column_is_twice_its_variance_in_the_prediction() -> None:
    steps: list[tuple[int, int]] = []
    parts = column_parts(["a", "b", "c"]) | dict(zip(("first", "last"), block_parts(2), strict=True))
    found = permutation_importance(
        squared_errors, SERIES, parts, repeats=2, progress=lambda done, of: steps.append((done, of))
    )
    assert list(found) == ["a", "b", "c", "first", "last"]
    assert not found["b"].any()
    means = {name: values.mean() for name, values in found.items()}
    # E (w (x - x'))^2 = 2 w^2 for independent values of variance 1, summed over the steps
    expected = {"a": 2 * 4, "b": 0, "c": 2 * (1 + 9), "first": 2 * (4 + 1), "last": 2 * 9}
    assert means == pytest.approx(expected, rel=0.12)
    assert steps == [(number, 10) for number in range(1, 11)]


def test_series_of_other_lengths_lack_steps() -> None:
    seen: list[Any] = []

    def errors(series: Sequence[Any]) -> Any:
        seen.append(series)
        return np.zeros(len(series))

    series = [np.full((length, 2), length, np.float32) for length in (2, 5)]
    column = {"first": column_parts(["first"])["first"]}
    permutation_importance(errors, series, column, repeats=8, progress=lambda *_: None)
    swapped = next(mixed for mixed in seen[1:] if mixed[0][0, 0] == 5)
    np.testing.assert_array_equal(swapped[0], [[5, 2], [5, 2]])
    np.testing.assert_array_equal(swapped[1], [[2, 5], [2, 5], *[[np.nan, 5]] * 3])


@pytest.mark.parametrize(("length", "number"), [(24, 8), (10, 8), (3, 8), (1, 2)])
def test_blocks_cover_each_step_once(length: int, number: int) -> None:
    values = np.zeros((length, 2))
    assert (sum(part(values).astype(int) for part in block_parts(number)) == 1).all()
