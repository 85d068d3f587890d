"""Sampling of the next token."""

from typing import Any

import numpy as np

from dlcli.tasks.language_model.generator import sample


def test_sampling_follows_temperature_and_top_k() -> None:
    logits = np.log(np.array([0.1, 0.2, 0.3, 0.4]))
    generator = np.random.default_rng(0)

    def shares(**keys: Any) -> np.ndarray:
        drawn = [sample(logits, generator, **({"temperature": 1.0, "top_k": None} | keys)) for _ in range(4000)]
        return np.bincount(drawn, minlength=4) / 4000

    np.testing.assert_allclose(shares(), [0.1, 0.2, 0.3, 0.4], atol=0.03)
    np.testing.assert_allclose(shares(top_k=2), [0, 0, 3 / 7, 4 / 7], atol=0.03)
    np.testing.assert_allclose(shares(temperature=0.5), np.array([1, 4, 9, 16]) / 30, atol=0.03)
    assert shares(temperature=0)[3] == 1
