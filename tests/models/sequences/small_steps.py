"""Small sequences of unequal lengths, and small networks of every kind that read them."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

BATCH, STEPS, FEATURES, UNITS = 4, 7, 3, 5
LENGTHS = np.array([7, 4, 1, 6])
MASK = np.arange(STEPS) < LENGTHS[:, None]
VALUES = np.random.default_rng(0).normal(size=(BATCH, STEPS, FEATURES)).astype(np.float32)

RECURRENT: dict[str, Any] = {
    "cell": "lstm",
    "units": UNITS,
    "layers": 1,
    "bidirectional": False,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "residual": False,
    "layer_norm": False,
    "recurrent_initializer": "orthogonal",
    "forget_bias": True,
    "decay": 0.9,
    "learn_decay": False,
    "last_only": False,
}
CONVOLUTIONAL: dict[str, Any] = {
    "filters": UNITS,
    "kernel_size": 3,
    "dilations": (1, 2),
    "causal": False,
    "residual": True,
    "layer_norm": False,
    "dropout": 0.0,
}
TRANSFORMER: dict[str, Any] = {
    "units": 6,
    "heads": 2,
    "layers": 2,
    "feed_forward": 8,
    "causal": False,
    "dropout": 0.0,
}
INCEPTION: dict[str, Any] = {
    "filters": 2,
    "kernel_sizes": (4, 2),
    "bottleneck": 2,
    "modules": 3,
    "residual": True,
}


def build(steps: Callable[..., Any], options: dict[str, Any], **changes: Any) -> keras.Model:
    """A model of values and their mask, with random weights everywhere, biases too."""
    keras.utils.set_random_seed(3)
    values, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    model = keras.Model([values, mask], steps(values, mask, **{**options, **changes}))
    rng = np.random.default_rng(3)
    for weight in model.weights:
        values = rng.normal(size=weight.shape, scale=0.5)
        weight.assign(np.abs(values) if weight.path.endswith("moving_variance") else values)
    return model


def run(model: keras.Model, values: np.ndarray = VALUES, mask: np.ndarray = MASK, *, training: bool = False) -> Any:
    return np.asarray(model([values, mask], training=training))
