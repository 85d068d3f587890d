"""Metrics of regression against scikit-learn, and the baseline against its closed form."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from dlcli.errors import CheckFailed
from dlcli.evaluation import regression

RNG = np.random.default_rng(0)
TRUE = RNG.normal(3.0, 2.0, 50).astype(np.float32)
PREDICTED = TRUE + RNG.normal(0.0, 0.5, 50).astype(np.float32)


def test_errors_are_scikit_learns() -> None:
    found = regression.metrics(TRUE, PREDICTED, mean=2.5, variance=4.0)
    true, predicted = TRUE.astype(float), PREDICTED.astype(float)
    assert found == pytest.approx(
        {
            "samples": 50,
            "loss": mean_squared_error(true, predicted) / 4.0,
            "mse": mean_squared_error(true, predicted),
            "rmse": mean_squared_error(true, predicted) ** 0.5,
            "mae": mean_absolute_error(true, predicted),
            "r2": r2_score(true, predicted),
            "baseline_mse": mean_squared_error(true, np.full(50, 2.5)),
            "baseline_mae": mean_absolute_error(true, np.full(50, 2.5)),
        }
    )


def test_targets_that_are_all_the_same_have_no_r2() -> None:
    found = regression.metrics(np.full(3, 2.0), np.array([2.0, 3.0, 4.0]), mean=1.0, variance=1.0)
    assert "r2" not in found
    assert (found["mse"], found["baseline_mse"]) == (pytest.approx(5 / 3), 1.0)


def test_predictions_that_are_not_finite_are_counted() -> None:
    with pytest.raises(CheckFailed, match="2 of 3 predictions are not finite"):
        regression.metrics(np.zeros(3), np.array([np.nan, 0.0, np.inf]), mean=0.0, variance=1.0)


def test_rows_of_predictions() -> None:
    rows = regression.predictions(["a", "b"], np.array([1.0, 2.0]), np.array([1.5, 1.0]))
    assert rows == [
        {"file": "a", "target": 1.0, "predicted": 1.5, "error": 0.5},
        {"file": "b", "target": 2.0, "predicted": 1.0, "error": -1.0},
    ]
