"""Metrics of several labels against scikit-learn, thresholds against a search, unknown and absent labels."""

import itertools

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from dlcli.errors import CheckFailed
from dlcli.evaluation import multilabel

RANDOM = np.random.default_rng(4)
LABELS = ["cat", "dog", "tree"]
TRUE = (RANDOM.random((80, 3)) < [0.5, 0.2, 0.7]).astype(np.float32)
SCORES = np.clip(0.5 * TRUE + RANDOM.random((80, 3)) * 0.6, 0, 1).round(2).astype(np.float32)  # with ties
THRESHOLDS = np.array([0.5, 0.4, 0.6])
FREQUENCIES = np.array([0.4, 0.1, 0.8])


def test_metrics_are_scikit_learns() -> None:
    found = multilabel.metrics(TRUE, SCORES, THRESHOLDS, LABELS, loss=0.25, frequencies=FREQUENCIES)
    predicted = (SCORES.astype(float) >= THRESHOLDS).astype(int)
    expected = {"samples": 80, "loss": 0.25}
    for average in ("micro", "macro"):
        for name in ("precision", "recall", "f1"):
            function = getattr(sklearn_metrics, f"{name}_score")
            expected[f"{average}_{name}"] = function(TRUE, predicted, average=average)
        expected[f"baseline_{average}_f1"] = sklearn_metrics.f1_score(TRUE, np.ones((80, 3)), average=average)
    usual = np.tile([0, 0, 1], (80, 1))
    expected |= {
        "mean_average_precision": sklearn_metrics.average_precision_score(TRUE, SCORES, average="macro"),
        "exact_match": sklearn_metrics.accuracy_score(TRUE, predicted),
        "hamming_loss": sklearn_metrics.hamming_loss(TRUE, predicted),
        "baseline_exact_match": sklearn_metrics.accuracy_score(TRUE, usual),
        "baseline_hamming_loss": sklearn_metrics.hamming_loss(TRUE, usual),
        "baseline_mean_average_precision": sklearn_metrics.average_precision_score(TRUE, np.zeros((80, 3))),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert set(found) - set(expected) == {"absent_labels", "thresholds", "labels"}
    assert (found["absent_labels"], found["thresholds"], found["labels"]) == ([], THRESHOLDS.tolist(), LABELS)


def test_rows_of_labels_are_scikit_learns() -> None:
    predicted = SCORES.astype(float) >= THRESHOLDS
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(TRUE, predicted)
    for i, row in enumerate(multilabel.per_label(TRUE, SCORES, THRESHOLDS, LABELS)):
        own, scores = TRUE[:, i], SCORES[:, i]
        assert row == pytest.approx(
            {
                "label": LABELS[i],
                "support": support[i],
                "predicted": predicted[:, i].sum(),
                "threshold": THRESHOLDS[i],
                "precision": precision[i],
                "recall": recall[i],
                "f1": f1[i],
                "average_precision": sklearn_metrics.average_precision_score(own, scores),
                "roc_auc": sklearn_metrics.roc_auc_score(own, scores),
                "baseline_f1": sklearn_metrics.f1_score(own, np.ones(80)),
            }
        )


def test_the_chosen_threshold_has_the_highest_f1_of_all() -> None:
    for i, threshold in enumerate(multilabel.choose_thresholds(TRUE, SCORES)):
        own = TRUE[:, i]
        best = max(sklearn_metrics.f1_score(own, SCORES[:, i] >= value) for value in np.unique(SCORES[:, i]))
        assert sklearn_metrics.f1_score(own, SCORES[:, i] >= threshold) == pytest.approx(best)


def test_of_equal_thresholds_the_one_nearest_to_a_half_is_chosen_then_the_highest() -> None:
    true = np.array([[1.0], [0.0], [0.0], [1.0]])
    # an F1 of 2/3 both by the first sample alone and by all four
    for scores, expected in (([0.875, 0.625, 0.375, 0.125], 0.75), ([0.875, 0.625, 0.5625, 0.5], 0.75)):
        assert multilabel.choose_thresholds(true, np.array(scores)[:, None]).tolist() == [expected]
    low = np.array([[0.25], [0.125], [0.0625], [0.03125]])
    assert multilabel.choose_thresholds(true, low).tolist() == [0.1875]
    assert multilabel.choose_thresholds(true, 1 - low[::-1]).tolist() == [0.375]  # halfway to 0, nearer than 0.94


def test_a_label_without_positives_has_the_usual_threshold_and_a_certain_one_lies_between() -> None:
    scores = np.array([[0.9, 0.3], [0.2, 0.4]])
    found = multilabel.choose_thresholds(np.array([[1.0, 0.0], [0.0, 0.0]]), scores)
    assert found.tolist() == [pytest.approx(0.55), 0.5]


def test_unknown_labels_are_left_out() -> None:
    is_known = RANDOM.random(TRUE.shape) < 0.7
    true = np.where(is_known, TRUE, np.nan)
    other = np.where(is_known, SCORES, 1 - SCORES)
    keys = {"loss": 0.0, "frequencies": FREQUENCIES}
    found = multilabel.metrics(true, SCORES, THRESHOLDS, LABELS, **keys)
    assert multilabel.metrics(true, other, THRESHOLDS, LABELS, **keys) == found
    predicted = SCORES >= THRESHOLDS
    assert found["hamming_loss"] == pytest.approx(np.mean((predicted != TRUE)[is_known]))
    assert found["micro_f1"] == pytest.approx(sklearn_metrics.f1_score(TRUE[is_known], predicted[is_known]))
    assert found["exact_match"] == pytest.approx(np.mean(((predicted == TRUE) | ~is_known).all(axis=1)))
    np.testing.assert_array_equal(multilabel.choose_thresholds(true, SCORES), multilabel.choose_thresholds(true, other))


def test_labels_without_positives_are_named_and_those_of_every_sample_are_certain() -> None:
    true = np.stack([np.ones(4), np.zeros(4), [1.0, 0.0, 0.0, 1.0]], axis=1)
    scores = np.stack([[0.9, 0.2, 0.6, 0.7], [0.9, 0.1, 0.1, 0.1], [0.8, 0.1, 0.7, 0.9]], axis=1)
    found = multilabel.metrics(true, scores, np.full(3, 0.5), LABELS, loss=0.0, frequencies=FREQUENCIES)
    assert found["absent_labels"] == ["dog"]
    assert found["macro_f1"] == pytest.approx((6 / 7 + 4 / 5) / 2)
    assert found["mean_average_precision"] == 1.0
    cat, dog, _ = multilabel.per_label(true, scores, np.full(3, 0.5), LABELS)
    assert (cat["average_precision"], cat["roc_auc"], cat["baseline_f1"]) == (1.0, None, 1.0)
    assert [dog[name] for name in ("precision", "recall", "f1", "average_precision", "roc_auc")] == [None] * 5
    assert (dog["support"], dog["predicted"]) == (0, 1)


def test_rows_of_predictions() -> None:
    true, scores = np.array([[1.0, 0.0, 1.0], [0.0, np.nan, 0.0]]), np.array([[0.9, 0.6, 0.2], [0.1, 0.7, 1 / 3]])
    rows = list(multilabel.predictions(["a.png", "b.png"], true, scores, np.full(3, 0.5), LABELS, between="|"))
    assert rows == [
        {"file": "a.png", "labels": "cat|tree", "predicted": "cat|dog", "correct": False}
        | {"p_cat": 0.9, "p_dog": 0.6, "p_tree": 0.2},
        {"file": "b.png", "labels": "", "predicted": "dog", "correct": True}
        | {"p_cat": 0.1, "p_dog": 0.7, "p_tree": 0.333333},
    ]


def test_scores_that_are_not_finite_are_counted() -> None:
    scores = np.where(np.arange(80)[:, None] < 2, np.nan, SCORES)
    with pytest.raises(CheckFailed, match="not for 2 of 80 samples"):
        multilabel.metrics(TRUE, scores, THRESHOLDS, LABELS, loss=0.0, frequencies=FREQUENCIES)


def test_the_most_frequent_labels_are_the_best_constant_prediction() -> None:
    rng = np.random.default_rng(3)
    for frequencies in ((0.9, 0.1, 0.5), (0.05, 0.05, 0.05), (0.3, 0.31, 0.02)):
        true = (rng.random((200, 3)) < frequencies).astype(np.float64)
        found = multilabel.frequent_labels(true)
        every = [np.array(bits, bool) for bits in itertools.product((False, True), repeat=3) if any(bits)]
        scores = [multilabel.counted(true, np.broadcast_to(row, true.shape))["micro_f1"] for row in every]
        own = multilabel.counted(true, np.broadcast_to(found, true.shape))["micro_f1"]
        assert own == max(scores)
