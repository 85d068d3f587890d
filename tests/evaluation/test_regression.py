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
            "baseline_rmse": mean_squared_error(true, np.full(50, 2.5)) ** 0.5,
            "baseline_mae": mean_absolute_error(true, np.full(50, 2.5)),
        }
    )


def test_several_targets_have_errors_of_their_own_and_their_means() -> None:
    true, predicted = TRUE.reshape(25, 2).astype(float), PREDICTED.reshape(25, 2).astype(float)
    mean, variance = [2.5, 3.0], [4.0, 2.0]
    found = regression.metrics(true, predicted, mean=mean, variance=variance)
    usual = np.tile(mean, (25, 1))
    each = {"multioutput": "raw_values"}
    mse, baseline_mse = (mean_squared_error(true, values, **each) for values in (predicted, usual))
    mae, baseline_mae = (mean_absolute_error(true, values, **each) for values in (predicted, usual))
    r2 = r2_score(true, predicted, **each)
    assert found == pytest.approx(
        {
            "samples": 25,
            "loss": np.mean(mse / variance),
            "mse": np.mean(mse),
            "rmse": np.mean(mse**0.5),
            "mae": np.mean(mae),
            "r2": np.mean(r2),
            "baseline_mse": np.mean(baseline_mse),
            "baseline_rmse": np.mean(baseline_mse**0.5),
            "baseline_mae": np.mean(baseline_mae),
        }
    )
    rows = regression.per_target(true, predicted, ["x", "y"], mean=mean, variance=variance)
    for i, row in enumerate(rows):
        expected = (mse[i] ** 0.5, mae[i], r2[i], baseline_mse[i] ** 0.5, baseline_mae[i])
        assert list(row) == ["target", "rmse", "mae", "r2", "baseline_rmse", "baseline_mae"]
        assert list(row.values())[1:] == pytest.approx(expected)
    assert [row["target"] for row in rows] == ["x", "y"]


def test_a_target_without_spread_is_left_out_of_the_mean_r2() -> None:
    true, predicted = np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([[1.0, 0.0], [2.0, 1.0]])
    keys = {"mean": [0.0, 0.0], "variance": [1.0, 1.0]}
    assert regression.metrics(true, predicted, **keys)["r2"] == pytest.approx(0.5)
    assert [row["r2"] for row in regression.per_target(true, predicted, ["x", "y"], **keys)] == [None, 0.5]


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
    both = regression.predictions(["a"], np.array([[1.0, 2.0]]), np.array([[1.5, 1.0]]), ["x", "y"])
    assert both == [
        {"file": "a", "target_x": 1.0, "predicted_x": 1.5, "error_x": 0.5}
        | {"target_y": 2.0, "predicted_y": 1.0, "error_y": -1.0}
    ]
    assert regression.predictions(["a", "b"], np.array([[1.0], [2.0]]), np.array([[1.5], [1.0]]), ["x"]) == rows
