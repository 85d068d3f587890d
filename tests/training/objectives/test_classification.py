"""Cross-entropy of classifiers: label smoothing, mixed labels and class weights."""

import keras
import numpy as np
import tensorflow as tf
from small_problem import make_objective  # type: ignore[import-not-found]


def test_label_smoothing_equals_keras() -> None:
    logits = tf.constant(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
    labels = tf.constant([0, 1, 2, 1, 0])
    ours = make_objective(label_smoothing=0.1).loss(logits, {"y": {"class": labels}})
    keras_loss = keras.losses.categorical_crossentropy(
        tf.one_hot(labels, 3), logits, from_logits=True, label_smoothing=0.1
    )
    np.testing.assert_allclose(ours, keras_loss, rtol=1e-5)


def test_labels_of_mixed_samples() -> None:
    """One-hot labels give what whole ones give; a mixture gives the weighted mean of what its classes give."""
    logits = tf.constant(np.random.default_rng(0).normal(size=(4, 3)), tf.float32)
    whole = {"weight": tf.ones(4), "y": {"class": tf.constant([0, 2, 1, 1])}}
    other = {"weight": tf.ones(4), "y": {"class": tf.constant([1, 2, 0, 2])}}
    one_hot = {**whole, "y": {"class": tf.one_hot(whole["y"]["class"], 3)}}
    mixed = {**whole, "y": {"class": 0.7 * one_hot["y"]["class"] + 0.3 * tf.one_hot(other["y"]["class"], 3)}}
    for smoothing in (0.0, 0.1):
        goal = make_objective(label_smoothing=smoothing, class_weights=(1.0, 2.0, 5.0))
        for value in (goal.loss, goal.metrics["accuracy"]):
            np.testing.assert_allclose(value(logits, one_hot), value(logits, whole), rtol=1e-5)
        np.testing.assert_allclose(goal.loss_weight(one_hot), goal.loss_weight(whole), rtol=1e-6)
        expected = 0.7 * goal.loss(logits, whole) + 0.3 * goal.loss(logits, other)
        np.testing.assert_allclose(goal.loss(logits, mixed), expected, rtol=1e-5)
        np.testing.assert_allclose(goal.metrics["accuracy"](logits, mixed), goal.metrics["accuracy"](logits, whole))
        weights = 0.7 * goal.loss_weight(whole) + 0.3 * goal.loss_weight(other)
        np.testing.assert_allclose(goal.loss_weight(mixed), weights, rtol=1e-6)
