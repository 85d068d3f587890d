"""The objective of several numbers: standardized by their variances, in their own units for the metric."""

import numpy as np
import pytest
import tensorflow as tf

from dlcli.training.objectives.regression import numbers


def test_the_loss_and_the_mean_absolute_error_of_several_numbers() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal([100.0, 0.0], [10.0, 0.1], (6, 2)).astype(np.float32)
    predicted = (true + rng.normal(0, 1, true.shape)).astype(np.float32)
    weight = np.array([1, 1, 1, 1, 1, 0], np.float32)  # the last is padding
    variance = [100.0, 0.01]
    objective = numbers(variance=variance)
    batch = {"y": {"value": tf.constant(true)}, "weight": tf.constant(weight)}
    outputs, weights = tf.constant(predicted), objective.weight(batch).numpy()
    loss = objective.loss(outputs, batch).numpy()
    assert loss.shape == weights.shape == (6, 2)
    sums = np.array([(weights * loss).sum(), weights.sum(), *objective.metric_sums(outputs, batch).numpy()], np.float64)
    results = objective.results(sums)
    squared = ((predicted - true)[:5].astype(np.float64) ** 2 / variance).mean()
    assert results["loss"] == pytest.approx(squared, rel=1e-5)
    assert results["mae"] == pytest.approx(np.abs(predicted - true)[:5].mean(), rel=1e-5)


def test_always_predicting_the_means_has_a_loss_of_one() -> None:
    true = np.random.default_rng(1).normal(5.0, [1.0, 30.0], (50, 2)).astype(np.float32)
    objective = numbers(variance=true.var(axis=0).tolist())
    outputs = tf.constant(np.tile(true.mean(axis=0), (50, 1)))
    loss = objective.loss(outputs, {"y": {"value": tf.constant(true)}, "weight": tf.ones(50)}).numpy()
    np.testing.assert_allclose(loss.mean(axis=0), 1.0, rtol=1e-5)
