"""Objectives of regression, tagging, step prediction and forecasting against NumPy and Keras."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from sklearn.metrics import mean_pinball_loss

from dlcli.training.objectives import sequences

RNG = np.random.default_rng(0)
WEIGHT = tf.constant([1.0, 2.0])


def batch(**y: Any) -> dict[str, Any]:
    return {"weight": WEIGHT, "y": {name: tf.constant(value) for name, value in y.items()}}


def means(sums: list[Any]) -> list[float]:
    """Weighted means of the metrics, from pairs of sum and weight."""
    return [float(total / weight) for total, weight in zip(sums[::2], sums[1::2], strict=True)]


def test_regression_is_the_squared_error_over_the_variance() -> None:
    goal = sequences.regression(variance=4.0)
    outputs, found = tf.constant([1.0, 5.0]), batch(value=[3.0, 4.0])
    np.testing.assert_allclose(goal.loss(outputs, found), [4 / 4, 1 / 4])
    assert goal.names == ("loss", "mse", "mae")
    assert means(goal.metric_sums(outputs, found)) == pytest.approx([(4 + 2 * 1) / 3, (2 + 2 * 1) / 3])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_tagging_is_keras_cross_entropy_over_the_unmasked_steps(smoothing: float) -> None:
    goal = sequences.tagging(label_smoothing=smoothing)
    logits = tf.constant(RNG.normal(size=(2, 3, 4)), tf.float32)
    tags = np.array([[0, 3, 1], [2, 2, 0]], np.int32)
    mask = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]], np.float32)
    found = batch(tags=tags, mask=mask)
    expected = keras.losses.categorical_crossentropy(
        tf.one_hot(tags, 4), logits, from_logits=True, label_smoothing=smoothing
    )
    np.testing.assert_allclose(goal.loss(logits, found), expected, rtol=1e-5)
    weights = np.array([0.5, 2.0, 1.0, 4.0], np.float32)
    weighted = sequences.tagging(label_smoothing=smoothing, class_weights=tuple(weights))
    np.testing.assert_allclose(weighted.minimized(logits, found), weights[tags] * expected, rtol=1e-5)
    np.testing.assert_array_equal(weighted.weight(found), goal.weight(found))
    np.testing.assert_array_equal(goal.weight(found), [[1.0, 1.0, 0.0], [2.0, 0.0, 0.0]])
    correct = np.argmax(logits, axis=-1) == tags
    assert means(goal.metric_sums(logits, found)) == pytest.approx(
        [(correct[0, 0] + correct[0, 1] + 2 * correct[1, 0]) / 4]
    )


def test_a_crf_is_the_negative_log_likelihood_of_the_sentence_per_word() -> None:
    """Against the scores of all four sequences of two tags for two words, and of both for one."""
    goal = sequences.crf()
    emissions = RNG.normal(size=(2, 2, 2))
    start, end, transitions = RNG.normal(size=2), RNG.normal(size=2), RNG.normal(size=(2, 2))
    two = start[:, None] + emissions[0, 0][:, None] + transitions + emissions[0, 1] + end
    one = start + emissions[1, 0] + end
    log_partition = np.array([np.log(np.exp(two).sum()), np.log(np.exp(one).sum())])
    scores = np.tile(np.stack([start, *transitions, end]), (2, 1, 1))
    most_probable = np.array([np.unravel_index(two.argmax(), two.shape), (one.argmax(), -1)], np.int32)
    outputs = [tf.constant(value, tf.float32) for value in (emissions, scores, log_partition)]
    outputs.append(tf.constant(most_probable))
    found = batch(tags=np.array([[1, 0], [1, 0]], np.int32), mask=np.array([[1.0, 1.0], [1.0, 0.0]], np.float32))
    expected = np.array([(log_partition[0] - two[1, 0]) / 2, log_partition[1] - one[1]])
    np.testing.assert_allclose(goal.loss(outputs, found), expected, rtol=1e-5)
    np.testing.assert_array_equal(goal.weight(found), [1 * 2, 2 * 1])  # the mean over words
    correct = [*(most_probable[0] == [1, 0]), most_probable[1, 0] == 1]
    assert means(goal.metric_sums(outputs, found)) == pytest.approx([np.average(correct, weights=[1, 1, 2])])


def test_bits_are_cross_entropy_per_bit_and_counted_where_they_are_asked() -> None:
    goal = sequences.bits()
    logits = tf.constant([[[2.0, -1.0], [-1.0, 3.0], [1.0, 1.0]], [[5.0, 5.0], [-1.0, -1.0], [1.0, -1.0]]])
    bits = np.array([[[1, 0], [1, 1], [0, 0]], [[0, 0], [0, 0], [1, 0]]], np.float32)
    asked = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]], np.float32)
    found = batch(bits=bits, asked=asked)
    probabilities = 1 / (1 + np.exp(-logits.numpy()))
    expected = -np.log(np.where(bits == 1, probabilities, 1 - probabilities)).mean(axis=-1)
    np.testing.assert_allclose(goal.loss(logits, found), expected, rtol=1e-5)
    np.testing.assert_array_equal(goal.weight(found), asked * WEIGHT.numpy()[:, None])
    # wrong bits where asked: 1 + 2 in the first sequence, none in the second
    assert goal.names == ("loss", "bits_wrong", "exact")
    assert means(goal.metric_sums(logits, found)) == pytest.approx([3 / 3, 2 / 3])


def test_forecasts_leave_missing_targets_out() -> None:
    goal = sequences.forecast(variance=2.0)
    outputs = tf.constant([[1.0, 2.0], [0.0, 9.0]])
    found = batch(future=[[3.0, 2.0], [1.0, 0.0]], known=[[1.0, 1.0], [1.0, 0.0]], scale=[1.0, 1.0])
    np.testing.assert_allclose(goal.loss(outputs, found), [[2.0, 0.0], [0.5, 40.5]])
    np.testing.assert_array_equal(goal.weight(found), [[1.0, 1.0], [2.0, 0.0]])
    assert means(goal.metric_sums(outputs, found)) == pytest.approx([(2 + 0 + 2 * 1) / 4])


def test_quantiles_are_learned_by_the_pinball_loss() -> None:
    levels, rng = (0.1, 0.5, 0.8), np.random.default_rng(0)
    true, outputs = rng.normal(size=(2, 4)), rng.normal(size=(2, 4, 3))
    goal = sequences.quantile_forecast(levels=levels, deviation=3.0)
    found = batch(future=true.astype(np.float32), scale=[1.0, 2.0], known=[[1.0, 1, 0, 1], [1, 1, 1, 1]])
    losses = [
        [
            np.mean([2 * mean_pinball_loss([true[i, j]], [outputs[i, j, k]], alpha=levels[k]) for k in range(3)]) / 3
            for j in range(4)
        ]
        for i in range(2)
    ]
    values = tf.constant(outputs, tf.float32)
    np.testing.assert_allclose(goal.loss(values, found), np.array(losses) / [[1.0], [2.0]], rtol=1e-5)
    np.testing.assert_allclose(goal.weight(found), np.array([[1.0, 1, 0, 1], [1, 1, 1, 1]]) * WEIGHT.numpy()[:, None])
    np.testing.assert_allclose(goal.metrics["mae"](values, found), np.abs(true - outputs[..., 1]), rtol=1e-5)


@pytest.mark.parametrize("freedom", [None, 4.0])
def test_distributions_are_learned_by_their_likelihood(freedom: float | None) -> None:
    standard, rng = stats.norm() if freedom is None else stats.t(freedom), np.random.default_rng(0)
    true, location, spread = rng.normal(size=(2, 4)), rng.normal(size=(2, 4)), np.exp(rng.normal(size=(2, 4)))
    goal = sequences.distribution_forecast(degrees_of_freedom=freedom, deviation=3.0)
    known = [[1.0, 1, 0, 1], [1, 1, 1, 1]]
    found = batch(future=true.astype(np.float32), scale=[1.0, 2.0], known=known)
    outputs = tf.constant(np.stack([location, spread], axis=-1), tf.float32)
    units = np.array([[3.0], [6.0]])  # of a value that is divided by them
    expected = -standard.logpdf((true - location) / spread) + np.log(spread / units)
    np.testing.assert_allclose(goal.loss(outputs, found), expected, rtol=1e-5)
    np.testing.assert_allclose(goal.weight(found), np.array(known) * WEIGHT.numpy()[:, None])
    np.testing.assert_allclose(goal.metrics["mae"](outputs, found), np.abs(true - location), rtol=1e-5)
