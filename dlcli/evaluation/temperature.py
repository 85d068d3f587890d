"""Temperature scaling: one number that makes a classifier's probabilities as confident as it is accurate."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BOUNDS = (0.05, 20.0)  # of temperatures
NUM_HALVINGS = 40


def scaled_probabilities(logits: Array, temperature: float) -> npt.NDArray[np.float32]:
    """The softmax of logits ``[n, k]`` divided by a temperature, computed in float64."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    powers = np.exp(scaled)
    probabilities: npt.NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def fit_temperature(logits: Array, labels: Array) -> float:
    """The temperature in [0.05, 20] with the lowest log loss (Guo et al. 2017, section 4.2).

    The log loss is convex in the inverse of the temperature, so that its slope has one zero, found by bisection. A
    model that makes no mistake has none, and gets the lowest temperature.

    Args:
        logits: ``[n, k]``, finite.
        labels: int ``[n]``.
    """
    logits = logits.astype(np.float64)
    of_label = logits[np.arange(len(labels)), labels]
    low, high = (np.log(1 / bound) for bound in reversed(BOUNDS))
    for _ in range(NUM_HALVINGS):
        middle = (low + high) / 2
        probabilities = scaled_probabilities(logits, float(np.exp(-middle)))
        slope = np.mean((probabilities * logits).sum(axis=1) - of_label)
        low, high = (low, middle) if slope > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))
