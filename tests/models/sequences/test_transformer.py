"""The transformer encoder: positional encoding and heads."""

import keras
import numpy as np
import pytest
from small_steps import TRANSFORMER, build  # type: ignore[import-not-found]

from dlcli.models.sequences import transformer


def test_positions_are_the_papers_sines() -> None:
    x = np.zeros((2, 5, 6), np.float32)
    found = np.asarray(transformer.positions(keras.ops.convert_to_tensor(x)))
    waves = 10_000.0 ** (-np.arange(3) / 3)
    angles = np.arange(5)[:, None] * waves
    np.testing.assert_allclose(found[1], np.concatenate([np.sin(angles), np.cos(angles)], axis=-1), atol=1e-5)


def test_heads_must_divide_the_units() -> None:
    with pytest.raises(ValueError, match=r"units must be a multiple of heads\. Received 6 and 4\."):
        build(transformer.steps, TRANSFORMER, heads=4)
