"""Attribution for sequences: exact for linear networks, complete for others, independent of the other sequences."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.attribution import gradient_x_input, integrated_gradients, leave_one_out, left_out
from dlcli.explanation.sequences.scores import Scores

STEPS, WIDTH, CLASSES = 5, 3, 4
METHODS = [integrated_gradients(steps=None), gradient_x_input, leave_one_out]


@pytest.fixture
def weights() -> Any:
    return np.random.default_rng(0).normal(size=(STEPS, WIDTH, CLASSES)).astype(np.float32)


@pytest.fixture
def points() -> Any:
    return np.random.default_rng(1).normal(size=(3, STEPS, WIDTH)).astype(np.float32)


@pytest.fixture
def starts(points: Any) -> Any:
    return np.full_like(points, 0.25)


CHOICES = np.array([[0, 1], [0, 3], [0, 0]], np.int32)


def linear(weights: Any) -> Scores:
    return Scores(lambda x: tf.einsum("bsw,swc->bc", x, weights)[:, None] + 7.0, WIDTH, CLASSES, is_class=False)


def curved(weights: Any, *, is_class: bool = True) -> Scores:
    return Scores(lambda x: tf.einsum("bsw,swc->bc", tf.tanh(x), weights)[:, None], WIDTH, CLASSES, is_class=is_class)


@pytest.mark.parametrize("method", METHODS)
def test_shares_of_a_linear_network_are_exact(method: Any, weights: Any, points: Any, starts: Any) -> None:
    found = method(linear(weights), points, starts, CHOICES)
    parts = [(points[i] - starts[i]) * weights[..., CHOICES[i, 1]] for i in range(3)]
    np.testing.assert_allclose(found.of_steps, np.sum(parts, axis=-1), rtol=1e-4, atol=1e-5)


def test_integrated_gradients_are_complete(weights: Any, points: Any, starts: Any) -> None:
    scores = curved(weights)
    found = METHODS[0](scores, points, starts, CHOICES)
    differences = scores.scores(points, CHOICES) - scores.scores(starts, CHOICES)
    np.testing.assert_allclose(found.facts["difference"], differences, rtol=1e-5, atol=1e-6)
    errors = np.abs(found.shares.sum(axis=(1, 2)) - differences) / np.abs(differences)
    assert errors.max() <= 0.01
    np.testing.assert_allclose(found.facts["completeness_error"], errors, atol=1e-5)
    rough = integrated_gradients(steps=1)(scores, points, starts, CHOICES)
    assert (rough.facts["steps"] == 1).all()
    assert rough.facts["completeness_error"].max() > 0.01


def test_a_sequence_does_not_depend_on_the_others(weights: Any, points: Any, starts: Any) -> None:
    together = METHODS[0](curved(weights), points, starts, CHOICES)
    alone = METHODS[0](curved(weights), points[1:2], starts[1:2], CHOICES[1:2])
    np.testing.assert_allclose(together.shares[1:2], alone.shares, rtol=1e-4, atol=1e-6)
    assert together.facts["steps"][1] == alone.facts["steps"][0]


def test_the_score_of_a_class_is_its_log_odds(weights: Any, points: Any) -> None:
    scores = curved(weights)
    logits = scores.values(points)
    assert logits.shape == (3, 1, CLASSES)
    probabilities = np.asarray(keras.ops.softmax(logits[:, 0]))[np.arange(3), CHOICES[:, 1]]
    np.testing.assert_allclose(scores.scores(points, CHOICES), np.log(probabilities / (1 - probabilities)), rtol=1e-4)
    found, slopes = scores.gradients(points, CHOICES)
    np.testing.assert_allclose(found, scores.scores(points, CHOICES), rtol=1e-6)
    nudged = points.copy()
    nudged[:, 2, 1] += 1e-2
    np.testing.assert_allclose(slopes[:, 2, 1], (scores.scores(nudged, CHOICES) - found) / 1e-2, atol=2e-2)


def test_parts_that_are_left_out(weights: Any, points: Any, starts: Any) -> None:
    is_column = np.eye(WIDTH, dtype=bool)[:, None, :]
    found = left_out(linear(weights), points, starts, CHOICES, is_column)
    expected = [((points[i] - starts[i]) * weights[..., CHOICES[i, 1]]).sum(axis=0) for i in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_refused_networks(points: Any, starts: Any) -> None:
    with pytest.raises(NotExplainable, match="at least two classes to be explained"):
        Scores(lambda x: x[:, :1, :1], WIDTH, 1, is_class=True)
    rounded = Scores(lambda x: tf.round(tf.stop_gradient(x))[:, :1], WIDTH, WIDTH, is_class=False)
    with pytest.raises(NotExplainable, match="Use --method leave-one-out"):
        gradient_x_input(rounded, points, starts, CHOICES % WIDTH)
