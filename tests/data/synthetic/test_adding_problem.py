"""The adding problem: its samples, its baseline and its fingerprint."""

from typing import Any

import numpy as np
import pytest

from dlcli.data.synthetic.adding_problem import make_adding
from dlcli.errors import InputError

COMMON: dict[str, Any] = {"validation": 0.0, "test": 0.0, "split_seed": 0, "limit": None, "allow_leakage": False}


def test_the_adding_problem() -> None:
    dataset = make_adding(length=20, num_samples=2000, seed=1, **COMMON)
    samples = dataset.splits["train"]
    assert samples.values is not None
    assert samples.targets is not None
    x = samples.values.flat.reshape(2000, 20, 2)
    numbers, marks = x[..., 0], x[..., 1]
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert (marks[:, :10].sum(axis=1) == 1).all()
    assert (marks[:, 10:].sum(axis=1) == 1).all()
    np.testing.assert_allclose((numbers * marks).sum(axis=1), samples.targets, rtol=1e-6)
    assert np.mean((samples.targets - 1) ** 2) == pytest.approx(1 / 6, abs=0.01)
    again = make_adding(length=20, num_samples=2000, seed=1, **COMMON)
    assert again.fingerprint() == dataset.fingerprint()
    assert make_adding(length=20, num_samples=2000, seed=2, **COMMON).fingerprint() != dataset.fingerprint()


def test_too_many_numbers_for_the_memory() -> None:
    with pytest.raises(InputError, match=r"need more than half of this machine's memory"):
        make_adding(length=10**9, num_samples=10**9, seed=0, **COMMON)
