"""Dice and Tversky losses against their definitions with hard and soft counts, and their gradients."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score

from dlcli.training.objectives.overlap_losses import Tversky, dice, overlap_loss, overlap_sums

RANDOM = np.random.default_rng(1)
LABELS = RANDOM.integers(0, 3, (4, 6, 5)).astype(np.int32)
LOGITS = RANDOM.normal(size=(4, 6, 5, 3))
WEIGHT = (RANDOM.random((4, 6, 5)) < 0.8).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def loss_of(
    probabilities: np.ndarray, *terms: Tversky, labels: np.ndarray = LABELS, per_image: bool = False
) -> np.ndarray:
    sums = overlap_sums(
        *(tf.constant(probabilities, tf.float32), tf.constant(labels), tf.constant(WEIGHT)), per_image=per_image
    )
    return np.asarray(overlap_loss(sums, terms))


def expected(p: np.ndarray, labels: np.ndarray, weight: np.ndarray, *, alpha: float, beta: float) -> float:
    """Equation 3 of Salehi et al. 2017 for each class with true pixels, one pixel after another."""
    losses = []
    for k in range(p.shape[-1]):
        g = (labels == k) * weight
        if g.sum() == 0:
            continue
        hit, extra, missed = (p[..., k] * g).sum(), (p[..., k] * (weight - g)).sum(), ((1 - p[..., k]) * g).sum()
        losses.append(1 - hit / (hit + alpha * extra + beta * missed))
    return float(np.mean(losses))


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7), (0.0, 1.0)])
def test_the_loss_of_a_batch_and_of_each_image_is_the_papers(alpha: float, beta: float) -> None:
    p = softmax(LOGITS)
    found = loss_of(p, Tversky(alpha, beta))
    assert float(found) == pytest.approx(expected(p, LABELS, WEIGHT, alpha=alpha, beta=beta), rel=1e-5)
    of_images = loss_of(p, Tversky(alpha, beta), per_image=True)
    assert of_images.tolist() == pytest.approx(
        [expected(p[i], LABELS[i], WEIGHT[i], alpha=alpha, beta=beta) for i in range(4)], rel=1e-5
    )
    both = loss_of(p, Tversky(alpha, beta, weight=2.0), dice(weight=0.5))
    assert float(both) == pytest.approx(2 * float(found) + 0.5 * float(loss_of(p, dice())), rel=1e-5)


def test_the_dice_loss_of_certain_predictions_is_that_of_scikit_learns_f1() -> None:
    predicted = RANDOM.integers(0, 3, LABELS.shape)
    f1 = f1_score(LABELS[WEIGHT > 0], predicted[WEIGHT > 0], average="macro")
    assert float(loss_of(np.eye(3)[predicted], dice())) == pytest.approx(1 - f1, rel=1e-5)
    assert float(loss_of(np.eye(3)[LABELS], dice())) == 0.0


def test_classes_without_true_pixels_are_left_out_and_no_pixels_have_no_loss() -> None:
    labels, p = np.minimum(LABELS, 1), softmax(LOGITS)
    found = loss_of(p, dice(), labels=labels)
    assert float(found) == pytest.approx(expected(p, labels, WEIGHT, alpha=0.5, beta=0.5), rel=1e-5)
    with tf.GradientTape() as tape:
        sums = tf.zeros((2, 3, 4))
        tape.watch(sums)
        loss = overlap_loss(sums, [dice(), Tversky(0.3, 0.7)])
    assert loss.numpy().tolist() == [0.0, 0.0]
    assert np.isfinite(tape.gradient(loss, sums)).all()


@pytest.mark.parametrize("term", [dice(), Tversky(0.3, 0.7)])
@pytest.mark.parametrize("per_image", [False, True])
def test_the_gradient_is_that_of_finite_differences(term: Tversky, per_image: bool) -> None:
    logits = tf.constant(LOGITS, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        sums = overlap_sums(tf.nn.softmax(logits), tf.constant(LABELS), tf.constant(WEIGHT), per_image=per_image)
        loss = tf.reduce_sum(overlap_loss(sums, [term]))
    gradient = tape.gradient(loss, logits).numpy()

    def value(logits: np.ndarray) -> float:
        p = softmax(logits)
        keys = {"alpha": term.alpha, "beta": term.beta}
        if not per_image:
            return expected(p, LABELS, WEIGHT, **keys)
        return sum(expected(p[i], LABELS[i], WEIGHT[i], **keys) for i in range(len(p)))

    for place in [(0, 0, 0, 0), (1, 2, 3, 1), (3, 5, 4, 2), (2, 3, 1, 0)]:
        step = np.zeros_like(LOGITS)
        step[place] = 1e-5
        slope = (value(LOGITS + step) - value(LOGITS - step)) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-3, abs=1e-7)
    assert (gradient[WEIGHT == 0] == 0).all()
