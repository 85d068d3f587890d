"""The direction of every metric that training and evaluation write."""

import pytest

from dlcli.training.direction import lower_is_better


@pytest.mark.parametrize(
    "metric",
    [
        *("train_loss", "val_mse", "val_mae", "val_bits_wrong", "test_bits_wrong_at_20", "test_rmse", "test_mase"),
        *("test_log_loss", "test_calibration_error", "test_perplexity", "test_bits", "test_localization_error"),
    ],
)
def test_lower(metric: str) -> None:
    assert lower_is_better(metric)


@pytest.mark.parametrize(
    "metric", ["val_accuracy", "test_exact_at_20", "test_r2", "test_macro_f1", "test_mean_iou", "test_bleu"]
)
def test_higher(metric: str) -> None:
    assert not lower_is_better(metric)
