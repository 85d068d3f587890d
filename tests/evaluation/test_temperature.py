"""The temperature of probabilities, against SciPy's minimization of the log loss."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import log_loss

from dlcli.evaluation.temperature import BOUNDS, fit_temperature, scaled_probabilities


def overconfident(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits ``[n, 5]`` that are ``temperature`` times too large for their labels."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (800, 5))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)  # drawn from their softmax
    return (temperature * logits).astype(np.float32), labels


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_has_the_lowest_log_loss(temperature: float) -> None:
    logits, labels = overconfident(temperature)

    def loss(log_divisor: float) -> float:
        return float(log_loss(labels, softmax(logits.astype(np.float64) / np.exp(log_divisor), axis=1)))

    best = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-9})
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(np.exp(best.x), rel=1e-5)
    assert found == pytest.approx(temperature, rel=0.15)


def test_scaled_probabilities_are_a_softmax() -> None:
    logits = np.array([[1000.0, 998.0, -1000.0], [0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(scaled_probabilities(logits, 2.0), softmax(logits / 2, axis=1), rtol=1e-6)


def test_a_model_without_mistakes_gets_the_lowest_temperature() -> None:
    assert fit_temperature(np.eye(3)[[0, 1, 2]], np.arange(3)) == pytest.approx(BOUNDS[0], rel=1e-6)
