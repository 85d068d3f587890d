"""Rows of robustness.csv and samples.csv, counted by hand."""

import numpy as np
import pytest

from dlcli.evaluation import robustness
from dlcli.evaluation.robustness import Clean, Outcome

LABELS = np.array([0, 1, 2, 0])
CLEAN = Clean(np.array([0, 1, 0, 0]), np.array([0.9, 0.7, 0.6, 0.5]))  # the third one is wrong
ATTACKED = np.array([[0.1, 0.8, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8], [0.2, 0.1, 0.7]])
ROUNDED = np.array([[0.6, 0.3, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8], [0.2, 0.1, 0.7]])


def made() -> Outcome:
    zeros = np.zeros(len(LABELS))
    predicted, confidence, rounded = ATTACKED.argmax(axis=1), ATTACKED.max(axis=1), ROUNDED.argmax(axis=1)
    return Outcome(predicted, confidence, rounded, zeros, zeros + 0.5, np.array([0.0, 0.1, 0.2, 0.5]))


def test_norms_are_numpys() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (3, 4, 5, 1)).astype(np.float32)
    adversarial = x.copy()
    adversarial[1, 0, 0, 0] += 51.0
    adversarial[2] += rng.normal(size=(4, 5, 1)).astype(np.float32)
    found = robustness.outcome(x, adversarial, ATTACKED[:3], ROUNDED[:3], pixel_range=255.0)
    change = (adversarial.astype(float) - x).reshape(3, -1)
    np.testing.assert_allclose(found.l0, [0.0, 1 / 20, 1.0])
    np.testing.assert_allclose(found.l2, np.sqrt((change**2).sum(axis=1)) / 255)
    np.testing.assert_allclose(found.linf, np.abs(change).max(axis=1) / 255)
    assert found.linf[1] == pytest.approx(0.2)
    assert found.predicted.tolist() == [1, 1, 2]
    assert found.confidence.tolist() == [0.8, 0.6, 0.8]
    assert found.predicted_rounded.tolist() == [0, 1, 2]


def test_a_sample_that_is_wrong_without_an_attack_is_never_robust() -> None:
    row = robustness.summary(LABELS, CLEAN, made(), eps=0.1, num_zero_gradients=2)
    assert (row["samples"], row["eps"], row["zero_gradients"]) == (4, 0.1, 2)
    assert row["clean_accuracy"] == 0.75
    assert row["robust_accuracy"] == 0.25  # the second; the attack repaired the third, which does not count
    assert row["success_rate"] == pytest.approx(2 / 3)
    assert row["robust_accuracy_8bit"] == 0.5
    assert row["success_rate_8bit"] == pytest.approx(1 / 3)
    assert (row["mean_linf"], row["median_linf"]) == (pytest.approx(0.2), pytest.approx(0.15))
    assert row["confidence_before"] == pytest.approx((0.9 + 0.7 + 0.6 + 0.5) / 4)
    assert row["confidence_after"] == pytest.approx((0.8 + 0.6 + 0.8 + 0.7) / 4)


def test_a_targeted_attack_succeeds_where_the_target_is_predicted() -> None:
    row = robustness.summary(LABELS, CLEAN, made(), eps=0.1, num_zero_gradients=0, target=1)
    # correct and of another class than 1: the first, led to 1, and the fourth, led to 2
    assert row["success_rate"] == 0.5
    assert row["robust_accuracy"] == 0.25


def test_without_a_sample_to_attack_no_attack_succeeds() -> None:
    wrong = Clean((LABELS + 1) % 3, np.ones(4))
    row = robustness.summary(LABELS, wrong, made(), eps=0.1, num_zero_gradients=0)
    assert (row["clean_accuracy"], row["robust_accuracy"], row["success_rate"]) == (0.0, 0.0, 0.0)


def test_outcomes_of_batches_are_concatenated() -> None:
    whole = made()
    names = ("predicted", "confidence", "predicted_rounded", "l0", "l2", "linf")
    parts = [Outcome(*(getattr(whole, name)[part] for name in names)) for part in (slice(0, 3), slice(3, 4))]
    again = robustness.joined(parts)
    for name in names:
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


def test_rows_of_samples() -> None:
    rows = robustness.per_sample(["a", "b", "c", "d"], LABELS, CLEAN, made(), ("x", "y", "z"), eps=0.1)
    assert rows[0] == {
        "eps": 0.1,
        "file": "a",
        "label": "x",
        "predicted_clean": "x",
        "confidence_clean": 0.9,
        "predicted": "y",
        "confidence": 0.8,
        "predicted_8bit": "x",
        "l0": 0.0,
        "l2": 0.5,
        "linf": 0.0,
    }
    assert [row["predicted"] for row in rows] == ["y", "y", "z", "z"]
