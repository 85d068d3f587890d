"""DeepFool on a linear network, where the nearest boundary is known."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.attacks.deepfool import deepfool

BOUNDS = (0.0, 255.0)
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(12, 3)).astype(np.float32)


def linear(x: Any) -> Any:
    return tf.matmul(tf.reshape(x, [-1, 12]), WEIGHTS) / 255


def gray(number: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels far from the bounds, labels, numbers."""
    x = RNG.uniform(100, 150, (number, 3, 4, 1)).astype(np.float32)
    return x, np.asarray(linear(x)).argmax(1).astype(np.int32), np.arange(number)


def test_deepfool_on_a_linear_network_goes_straight_to_the_nearest_boundary() -> None:
    x, y, _ = gray()
    found = deepfool(linear, bounds=BOUNDS, overshoot=0.02)(x, y)
    z = np.asarray(linear(x), np.float64)
    for i in range(len(x)):
        distances = [
            (z[i, y[i]] - z[i, k]) / np.linalg.norm((WEIGHTS[:, k] - WEIGHTS[:, y[i]]) / 255)
            for k in range(3)
            if k != y[i]
        ]
        assert np.linalg.norm(found[i] - x[i]) == pytest.approx(1.005 * 1.02 * min(distances), rel=1e-3)
    assert (np.asarray(linear(found)).argmax(1) != y).all()
