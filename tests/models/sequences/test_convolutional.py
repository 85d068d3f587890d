"""Convolution over sequences: its receptive field."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dlcli.models.sequences import convolutional

RNG = np.random.default_rng(0)
BATCH, STEPS, FEATURES, UNITS = 4, 7, 3, 5
LENGTHS = np.array([7, 4, 1, 6])
MASK = np.arange(STEPS) < LENGTHS[:, None]
VALUES = RNG.normal(size=(BATCH, STEPS, FEATURES)).astype(np.float32)


CONVOLUTIONAL: dict[str, Any] = {
    "filters": UNITS,
    "kernel_size": 3,
    "dilations": (1, 2),
    "causal": False,
    "residual": True,
    "layer_norm": False,
    "dropout": 0.0,
}


def build(steps: Callable[..., Any], options: dict[str, Any], **changes: Any) -> keras.Model:
    """A model of values and their mask, with random weights everywhere, biases too."""
    keras.utils.set_random_seed(3)
    values, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    model = keras.Model([values, mask], steps(values, mask, **{**options, **changes}))
    model.set_weights([RNG.normal(size=weight.shape, scale=0.5) for weight in model.get_weights()])
    return model


def run(model: keras.Model, values: np.ndarray = VALUES, mask: np.ndarray = MASK, *, training: bool = False) -> Any:
    return np.asarray(model([values, mask], training=training))


def test_a_convolution_sees_what_its_docstring_says() -> None:
    model = build(convolutional.steps, CONVOLUTIONAL, causal=True, kernel_size=2, dilations=(1, 2))
    mask = np.ones((BATCH, STEPS), bool)
    seen = []
    for distance in range(STEPS):
        changed = VALUES.copy()
        changed[:, STEPS - 1 - distance] += 1
        seen.append(bool(np.abs(run(model, changed, mask)[:, -1] - run(model, mask=mask)[:, -1]).max() > 1e-6))
    assert sum(seen) <= 1 + 1 * 3
    assert seen[: 1 + 1 * 3] == [True] * 4
