"""The transformer encoder: positional encoding and heads."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.models.sequences import transformer

RNG = np.random.default_rng(0)
BATCH, STEPS, FEATURES, UNITS = 4, 7, 3, 5


TRANSFORMER: dict[str, Any] = {
    "units": 6,
    "heads": 2,
    "layers": 2,
    "feed_forward": 8,
    "causal": False,
    "dropout": 0.0,
}


def build(steps: Callable[..., Any], options: dict[str, Any], **changes: Any) -> keras.Model:
    """A model of values and their mask, with random weights everywhere, biases too."""
    keras.utils.set_random_seed(3)
    values, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    model = keras.Model([values, mask], steps(values, mask, **{**options, **changes}))
    model.set_weights([RNG.normal(size=weight.shape, scale=0.5) for weight in model.get_weights()])
    return model


def test_positions_are_the_papers_sines() -> None:
    x = np.zeros((2, 5, 6), np.float32)
    found = np.asarray(transformer.positions(keras.ops.convert_to_tensor(x)))
    waves = 10_000.0 ** (-np.arange(3) / 3)
    angles = np.arange(5)[:, None] * waves
    np.testing.assert_allclose(found[1], np.concatenate([np.sin(angles), np.cos(angles)], axis=-1), atol=1e-5)


def test_heads_must_divide_the_units() -> None:
    with pytest.raises(ValueError, match=r"units must be a multiple of heads\. Received 6 and 4\."):
        build(transformer.steps, TRANSFORMER, heads=4)
