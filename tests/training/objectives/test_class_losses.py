"""Losses of classes: cross-entropy and focal loss with label smoothing, mixed labels and class weights."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_problem import make_objective  # type: ignore[import-not-found]

from dlcli.training.objectives.class_losses import CrossEntropy, Focal, Term, class_loss

LOGITS = tf.constant(np.random.default_rng(0).normal(size=(5, 3)), tf.float32)
LABELS = np.array([0, 1, 2, 1, 0], np.int32)
OTHER = np.array([1, 1, 0, 2, 2], np.int32)
WEIGHTS = np.array([1.0, 2.0, 5.0], np.float32)


def loss_of(label: Any, *terms: Term, smoothing: float = 0.0, weights: np.ndarray | None = None) -> np.ndarray:
    found = class_loss(
        *(LOGITS, tf.constant(label)),
        terms=terms,
        label_smoothing=smoothing,
        class_weights=None if weights is None else tf.constant(weights),
    )
    return np.asarray(found)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_losses_equal_keras(smoothing: float) -> None:
    one_hot = np.eye(3, dtype=np.float32)[LABELS]
    cross_entropy = keras.losses.categorical_crossentropy(one_hot, LOGITS, from_logits=True, label_smoothing=smoothing)
    np.testing.assert_allclose(loss_of(LABELS, CrossEntropy(), smoothing=smoothing), cross_entropy, rtol=1e-5)
    for gamma, alpha in ((2.0, 0.25), (0.5, 1.0)):
        expected = keras.losses.categorical_focal_crossentropy(
            one_hot, LOGITS, alpha=alpha, gamma=gamma, from_logits=True, label_smoothing=smoothing
        )
        np.testing.assert_allclose(loss_of(LABELS, Focal(gamma, alpha), smoothing=smoothing), expected, rtol=1e-5)


def test_focal_loss_without_gamma_is_cross_entropy_and_terms_are_added_by_their_weights() -> None:
    cross_entropy = loss_of(LABELS, CrossEntropy())
    np.testing.assert_allclose(loss_of(LABELS, Focal(0.0, 0.5)), 0.5 * cross_entropy, rtol=1e-6)
    both = loss_of(LABELS, CrossEntropy(weight=3.0), Focal(2.0, 0.25, weight=0.5))
    np.testing.assert_allclose(both, 3.0 * cross_entropy + 0.5 * loss_of(LABELS, Focal(2.0, 0.25)), rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("term", [CrossEntropy(), Focal(2.0, 0.25)])
def test_class_weights_weigh_samples_and_each_class_of_a_mixed_sample(term: Term, smoothing: float) -> None:
    whole, other = (loss_of(label, term, smoothing=smoothing) for label in (LABELS, OTHER))
    weighted = loss_of(LABELS, term, smoothing=smoothing, weights=WEIGHTS)
    np.testing.assert_allclose(weighted, WEIGHTS[LABELS] * whole, rtol=1e-5)
    one_hot = np.eye(3, dtype=np.float32)
    np.testing.assert_allclose(loss_of(one_hot[LABELS], term, smoothing=smoothing), whole, rtol=1e-5)
    mixed = 0.7 * one_hot[LABELS] + 0.3 * one_hot[OTHER]
    np.testing.assert_allclose(loss_of(mixed, term, smoothing=smoothing), 0.7 * whole + 0.3 * other, rtol=1e-5)
    expected = 0.7 * WEIGHTS[LABELS] * whole + 0.3 * WEIGHTS[OTHER] * other
    np.testing.assert_allclose(loss_of(mixed, term, smoothing=smoothing, weights=WEIGHTS), expected, rtol=1e-5)


def test_the_gradient_is_finite_where_the_network_is_certain() -> None:
    for gamma in (0.0, 0.5, 2.0):
        logits = tf.constant([[200.0, 0.0], [0.0, 200.0]])
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = class_loss(logits, tf.constant([0, 0]), terms=[Focal(gamma, 0.25)], label_smoothing=0.0)
        assert np.isfinite(tape.gradient(loss, logits)).all()
        assert np.isfinite(loss).all()


def test_the_accuracy_of_a_mixed_sample_is_that_of_its_dominant_class() -> None:
    goal, one_hot = make_objective(), np.eye(3, dtype=np.float32)
    mixed = 0.7 * one_hot[LABELS] + 0.3 * one_hot[OTHER]
    expected = np.argmax(LOGITS, axis=1) == LABELS
    for label in (LABELS, mixed):
        np.testing.assert_array_equal(goal.metrics["accuracy"](LOGITS, {"y": {"class": tf.constant(label)}}), expected)


def test_class_weights_change_what_is_minimized_and_not_the_loss() -> None:
    goal, batch = make_objective(class_weights=tuple(WEIGHTS)), {"y": {"class": tf.constant(LABELS)}}
    np.testing.assert_array_equal(goal.loss(LOGITS, batch), make_objective().loss(LOGITS, batch))
    np.testing.assert_allclose(goal.minimized(LOGITS, batch), WEIGHTS[LABELS] * goal.loss(LOGITS, batch), rtol=1e-6)
    with pytest.raises(ValueError, match=r"one weight for each of 3 classes\. Received 2"):
        make_objective(class_weights=(1.0, 2.0))
