"""The objective of multilabel classification against Keras and scikit-learn, and its unknown labels."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score

from dlcli.training.objectives.multilabel import LabelCrossEntropy, LabelFocal, micro_and_macro_f1, multilabel
from dlcli.training.objectives.objective import Objective

RANDOM = np.random.default_rng(5)
LOGITS = tf.constant(RANDOM.normal(size=(6, 3)), tf.float32)
LABELS = RANDOM.integers(0, 2, (6, 3)).astype(np.float32)
WEIGHTS = (2.0, 1.0, 5.0)


def make_objective(**keys: Any) -> Objective:
    return multilabel(**{"num_labels": 3, "positive_weights": None, **keys})


def batch_of(labels: np.ndarray) -> dict[str, Any]:
    return {"y": {"labels": tf.constant(labels)}, "weight": tf.ones(len(labels))}


def test_the_losses_equal_keras() -> None:
    entries, logits = LABELS.reshape(-1, 1), tf.reshape(LOGITS, [-1, 1])
    cross_entropy = keras.losses.binary_crossentropy(entries, logits, from_logits=True)
    found = make_objective().loss(LOGITS, batch_of(LABELS))
    np.testing.assert_allclose(tf.reshape(found, [-1]), cross_entropy, rtol=1e-5)
    focal = keras.losses.binary_focal_crossentropy(
        *(entries, logits), from_logits=True, apply_class_balancing=True, alpha=0.25, gamma=2.0
    )
    found = make_objective(terms=[LabelFocal(2.0, 0.25)]).loss(LOGITS, batch_of(LABELS))
    np.testing.assert_allclose(tf.reshape(found, [-1]), focal, rtol=1e-5)
    both = make_objective(terms=[LabelCrossEntropy(weight=2.0), LabelFocal(2.0, 0.25, weight=3.0)])
    expected = tf.reshape(2 * cross_entropy + 3 * focal, [6, 3])
    np.testing.assert_allclose(both.loss(LOGITS, batch_of(LABELS)), expected, rtol=1e-5)


@pytest.mark.parametrize("term", [LabelCrossEntropy(), LabelFocal(2.0, 0.25)])
def test_weights_multiply_the_loss_of_positives_in_training_alone(term: Any) -> None:
    goal, batch = make_objective(positive_weights=WEIGHTS, terms=[term]), batch_of(LABELS)
    plain = make_objective(terms=[term]).loss(LOGITS, batch)
    np.testing.assert_array_equal(goal.loss(LOGITS, batch), plain)
    factor = np.where(LABELS == 1, WEIGHTS, 1.0)
    np.testing.assert_allclose(goal.minimized(LOGITS, batch), factor * plain, rtol=1e-5)
    mixed = batch_of(0.25 * LABELS + 0.75 * (1 - LABELS))
    opposite = goal.minimized(LOGITS, batch_of(1 - LABELS))
    expected = 0.25 * goal.minimized(LOGITS, batch) + 0.75 * opposite
    np.testing.assert_allclose(goal.minimized(LOGITS, mixed), expected, rtol=1e-5)
    assert goal.weight(batch).numpy().tolist() == np.ones((6, 3)).tolist()


def test_unknown_labels_change_nothing_and_do_not_count() -> None:
    goal = make_objective(positive_weights=WEIGHTS, terms=[LabelCrossEntropy(), LabelFocal(0.5, 0.25)])
    is_known = RANDOM.random(LABELS.shape) < 0.6
    batch = batch_of(np.where(is_known, LABELS, np.nan).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(LOGITS)
        loss = tf.reduce_sum(goal.weight(batch) * goal.minimized(LOGITS, batch))
    gradient = tape.gradient(loss, LOGITS).numpy()
    assert (gradient[~is_known] == 0).all()
    assert (gradient[is_known] != 0).all()
    assert float(loss) == pytest.approx(goal.minimized(LOGITS, batch_of(LABELS)).numpy()[is_known].sum(), rel=1e-5)
    assert float(tf.reduce_sum(goal.weight(batch))) == is_known.sum()


def test_f1_is_that_of_the_counts_of_an_epoch() -> None:
    goal, predicted = make_objective(), LOGITS.numpy() >= 0
    sums = sum(goal.metric_sums(LOGITS[part], batch_of(LABELS[part])).numpy() for part in (slice(4), slice(4, None)))
    found = goal.results(np.concatenate([[3.0, 6.0], sums]))
    expected = {f"{name}_f1": f1_score(LABELS, predicted, average=name) for name in ("micro", "macro")}
    assert found == pytest.approx({"loss": 0.5, **expected})
    assert micro_and_macro_f1(np.array([2.0, 0, 3, 1, 4, 0.0])) == pytest.approx((4 / 8, 4 / 7))
    assert micro_and_macro_f1(np.zeros(6)) == (0.0, 0.0)


def test_the_focal_gradient_is_finite_where_the_network_is_certain() -> None:
    for gamma in (0.0, 0.5, 2.0):
        logits = tf.constant([[200.0, -200.0]])
        goal = make_objective(num_labels=2, terms=[LabelFocal(gamma, 0.25)])
        for labels in ([[1.0, 0.0]], [[0.0, 1.0]]):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                loss = goal.loss(logits, batch_of(np.array(labels, np.float32)))
            assert np.isfinite(loss).all()
            assert np.isfinite(tape.gradient(loss, logits)).all()


def test_there_must_be_a_weight_for_each_label() -> None:
    with pytest.raises(ValueError, match=r"one weight for each of 3 labels\. Received 1"):
        make_objective(positive_weights=(1.0,))
