"""The objective of classifiers with an auxiliary classifier."""

import numpy as np
import tensorflow as tf

from dlcli.training.objectives.classification import classification


def test_an_auxiliary_classifier_adds_to_what_training_minimizes_alone() -> None:
    logits = tf.constant([[2.0, 0.0, -1.0], [0.5, 1.5, 0.0]])
    other = tf.constant([[0.0, 1.0, 0.0], [3.0, 0.0, 0.0]])
    batch = {"y": {"class": tf.constant([0, 1])}, "weight": tf.ones(2)}
    keys = {"num_classes": 3, "label_smoothing": 0.0, "class_weights": (1.0, 2.0, 1.0)}
    plain = classification(**keys)
    objective = classification(**keys, auxiliary=0.4)
    outputs = [logits, other]
    assert np.array_equal(objective.loss(outputs, batch), plain.loss(logits, batch))
    assert np.array_equal(objective.loss(logits, batch), plain.loss(logits, batch))
    assert np.array_equal(objective.metrics["accuracy"](outputs, batch), plain.metrics["accuracy"](logits, batch))
    expected = plain.minimized(logits, batch) + 0.4 * plain.minimized(other, batch)
    np.testing.assert_allclose(objective.minimized(outputs, batch), expected, rtol=1e-6)
