"""The numbers of an evaluation, against cases worked out by hand and against scikit-learn."""

import json

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
    top_k_accuracy_score,
)

from dlcli.errors import CheckFailed
from dlcli.evaluation.class_predictions import MANY_CLASSES, NUM_TOP, score
from dlcli.evaluation.classification import (
    calibration_error,
    metrics,
    most_confused,
    neglect,
    per_class,
    predictions,
)

# Three classes, of which "dog" is absent and "eel" is never predicted.
CLASSES = ("cat", "dog", "eel")
LABELS = np.array([0, 0, 0, 2], np.int32)
COLUMNS = ("precision", "recall", "f1", "mean_confidence", "roc_auc", "average_precision")
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.6, 0.0, 0.4]])


def random_case(num_samples: int, num_classes: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(num_samples, num_classes))
    labels = rng.integers(0, num_classes, num_samples).astype(np.int32)
    logits[np.arange(num_samples), labels] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probabilities, tuple(f"class {i:02}" for i in range(num_classes))


def test_a_case_by_hand() -> None:
    result = metrics(score(LABELS, PROBABILITIES), CLASSES, loss=0.25)
    # cat: 2 of 3 predicted cats are cats, 2 of 3 cats are found; eel: nothing; dog: absent
    assert result.pop("intervals")["accuracy"] == [0.0, 1.0]
    assert result == {
        "samples": 4,
        "loss": 0.25,
        "accuracy": 0.5,
        "macro_precision": pytest.approx((2 / 3 + 0) / 2),
        "macro_recall": pytest.approx((2 / 3 + 0) / 2),
        "macro_f1": pytest.approx((2 / 3 + 0) / 2),
        "weighted_precision": pytest.approx(3 / 4 * 2 / 3),
        "weighted_recall": pytest.approx(3 / 4 * 2 / 3),
        "weighted_f1": pytest.approx(3 / 4 * 2 / 3),
        "log_loss": pytest.approx(-np.log([0.7, 0.5, 0.1, 0.4]).mean()),
        # each of the four stands alone in its bin: |0.7 - 1|, |0.5 - 1|, |0.8 - 0|, |0.6 - 0|
        "calibration_error": pytest.approx((0.3 + 0.5 + 0.8 + 0.6) / 4),
        "brier_score": pytest.approx((0.14 + 0.38 + 1.46 + 0.72) / 4),
        "balanced_accuracy": pytest.approx((2 / 3 + 0) / 2),
        "matthews_correlation": pytest.approx((2 * 4 - 3 * 3) / np.sqrt((16 - 10) * (16 - 10))),
        # cat: (0.7, 0.5, 0.1) against (0.6): one pair of three is in order; eel: (0.4) against (0.1, 0.2, 0.1)
        "roc_auc": pytest.approx((1 / 3 + 1) / 2),
        "average_precision": pytest.approx(((1 + 2 / 3 + 3 / 4) / 3 + 1) / 2),
        "confusion_matrix": [[2, 1, 0], [0, 0, 0], [1, 0, 0]],
        "classes": ["cat", "dog", "eel"],
    }
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_agrees_with_scikit_learn() -> None:
    labels, probabilities, classes = random_case(500, 12)
    predicted = probabilities.argmax(axis=1)
    result = metrics(score(labels, probabilities), classes, loss=1.0)
    assert result["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert result["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5))
    assert result["log_loss"] == pytest.approx(log_loss(labels, probabilities))
    for average in ("macro", "weighted"):
        for name, expected in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
            assert result[f"{average}_{name}"] == pytest.approx(expected(labels, predicted, average=average))
    assert result["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert result["matthews_correlation"] == pytest.approx(matthews_corrcoef(labels, predicted))
    assert result["brier_score"] == pytest.approx(np.square(probabilities - np.eye(12)[labels]).sum(axis=1).mean())
    assert result["roc_auc"] == pytest.approx(roc_auc_score(labels, probabilities, multi_class="ovr"))
    one_hot = np.eye(12)[labels]
    assert result["average_precision"] == pytest.approx(average_precision_score(one_hot, probabilities))
    for i, row in enumerate(per_class(score(labels, probabilities), classes)):
        assert row["roc_auc"] == pytest.approx(roc_auc_score(one_hot[:, i], probabilities[:, i]))
        assert row["average_precision"] == pytest.approx(average_precision_score(one_hot[:, i], probabilities[:, i]))
    matrix = np.array(result["confusion_matrix"])
    assert matrix.sum(axis=1).tolist() == np.bincount(labels, minlength=12).tolist()
    assert matrix.sum(axis=0).tolist() == np.bincount(predicted, minlength=12).tolist()


def test_two_classes_agree_with_scikit_learn() -> None:
    labels, probabilities, _ = random_case(300, 2)
    labels[:150] = 0
    predicted, positive = probabilities.argmax(axis=1), probabilities[:, 1]
    result = metrics(score(labels, probabilities), ("well", "ill"), loss=1.0)
    assert result["positive_class"] == "ill"
    assert result["sensitivity"] == pytest.approx(recall_score(labels, predicted))
    assert result["specificity"] == pytest.approx(recall_score(labels, predicted, pos_label=0))
    assert result["roc_auc"] == pytest.approx(roc_auc_score(labels, positive))
    assert result["average_precision"] == pytest.approx(average_precision_score(labels, positive))
    assert result["brier_score"] == pytest.approx(brier_score_loss(labels, positive))
    assert result["matthews_correlation"] == pytest.approx(matthews_corrcoef(labels, predicted))


def test_measures_of_a_single_class_here_are_left_out() -> None:
    result = metrics(score(np.zeros(3, np.int32), np.full((3, 2), 0.5)), ("a", "b"), loss=1.0)
    assert {"roc_auc", "average_precision", "sensitivity"}.isdisjoint(result)
    assert (result["specificity"], result["matthews_correlation"]) == (1.0, 0.0)
    assert metrics(score(np.zeros(3, np.int32), np.ones((3, 1))), ("a",), loss=0.0)["accuracy"] == 1.0


def test_one_class_has_no_scores_that_are_always_1() -> None:
    scored = score(np.zeros(3, np.int32), np.ones((3, 1)))
    assert metrics(scored, ("cat",), loss=0.5, top_k=(3,)) == {
        "samples": 3,
        "loss": 0.5,
        "accuracy": 1.0,
        "confusion_matrix": [[3]],
        "classes": ["cat"],
    }
    assert neglect(metrics(scored, ("cat",), loss=0.5), scored, ("cat",)) == ""


def test_any_number_of_most_probable_classes() -> None:
    labels, probabilities, classes = random_case(100, 12)
    result = metrics(score(labels, probabilities), classes, loss=1.0, top_k=(1, 3, 11, 99))
    for k in (3, 11):
        assert result[f"top_{k}_accuracy"] == pytest.approx(top_k_accuracy_score(labels, probabilities, k=k))
    assert result["top_1_accuracy"] == result["accuracy"]
    assert result["top_99_accuracy"] == 1.0


def test_what_a_high_accuracy_hides() -> None:
    def found(labels: list[int], predicted: list[int]) -> str:
        scored = score(np.array(labels, np.int32), np.eye(4)[predicted])
        return neglect(metrics(scored, tuple("abcd"), loss=1.0), scored, tuple("abcd"))

    assert found([0, 0, 1, 2], [0, 1, 1, 2]) == ""  # d has no samples
    assert found([0, 0, 1, 3], [0, 0, 0, 3]) == "1 class is never predicted: 'b'"
    assert found([0, 1, 2, 3], [0, 0, 0, 0]) == "3 classes are never predicted: 'b', 'c', 'd'"
    rare = found([0] * 97 + [1, 2, 3], [0] * 94 + [1, 2, 3] + [0] * 3)
    assert rare.startswith("macro recall, 0.24, is below half of accuracy, 0.94")


@pytest.mark.parametrize("num_classes", [2, 5, 6])
def test_top_5_is_for_more_than_five_classes(num_classes) -> None:
    labels, probabilities, classes = random_case(20, num_classes)
    assert ("top_5_accuracy" in metrics(score(labels, probabilities), classes, loss=1.0)) == (num_classes > 5)


def test_ties_go_to_the_first_classes_in_accuracy_and_top_5_alike() -> None:
    labels = np.arange(8, dtype=np.int32)
    result = metrics(score(labels, np.full((8, 8), 1 / 8)), tuple("abcdefgh"), loss=2.0)
    assert (result["accuracy"], result["top_5_accuracy"]) == (1 / 8, 5 / 8)
    assert result["confusion_matrix"] == [[1] + [0] * 7] * 8


def test_calibration_error_by_hand() -> None:
    # Bins of width 1/15: 0.62 and 0.65 share ((9/15, 10/15]); 10/15 is the edge that closes it; 0.9 and 1 stand apart.
    confidence = np.array([0.62, 0.65, 10 / 15, 0.9, 1.0])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.array([0, 1, 1, 0, 0], np.int32)
    shared = abs((0.62 + 0.65 + 10 / 15) / 3 - 1 / 3)
    expected = 3 / 5 * shared + 1 / 5 * abs(0.9 - 1) + 1 / 5 * 0
    assert calibration_error(score(labels, probabilities)) == pytest.approx(expected)


def test_calibration_error_of_a_model_that_knows_what_it_knows() -> None:
    confidence = np.full(10, 0.8)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.array([0] * 8 + [1] * 2, np.int32)
    assert calibration_error(score(labels, probabilities)) == pytest.approx(0.0, abs=1e-12)
    assert calibration_error(score(1 - labels, probabilities)) == pytest.approx(0.6)


def test_a_certain_mistake_has_a_finite_log_loss() -> None:
    result = metrics(score(np.array([1], np.int32), np.array([[1.0, 0.0]])), ("a", "b"), loss=80.0)
    assert result["log_loss"] == pytest.approx(-np.log(np.finfo(np.float64).eps))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_from_float32_are_taken_as_they_are(dtype) -> None:
    """Their rows add up to 1 within 1e-7 only, which scikit-learn's log_loss would warn of."""
    labels, probabilities, classes = random_case(1000, 7)
    rounded = probabilities.astype(np.float32).astype(dtype)
    result = metrics(score(labels, rounded), classes, 1.0)
    assert result["log_loss"] == pytest.approx(log_loss(labels, probabilities), rel=1e-6)
    assert result == metrics(score(labels, rounded.astype(np.float64)), classes, 1.0)
    assert json.loads(json.dumps(result)) == result


def test_rows_of_the_classes() -> None:
    assert per_class(score(LABELS, PROBABILITIES), CLASSES) == [
        {
            "class": "cat",
            "support": 3,
            "precision": pytest.approx(2 / 3),
            "recall": pytest.approx(2 / 3),
            "f1": pytest.approx(2 / 3),
            "mean_confidence": pytest.approx((0.7 + 0.5 + 0.8) / 3),
            "roc_auc": pytest.approx(1 / 3),
            "average_precision": pytest.approx((1 + 2 / 3 + 3 / 4) / 3),
        },
        {"class": "dog", "support": 0, **dict.fromkeys(COLUMNS)},
        {"class": "eel", "support": 1, **dict(zip(COLUMNS, (0.0, 0.0, 0.0, 0.6, 1.0, 1.0), strict=True))},
    ]


def test_rows_of_the_samples() -> None:
    rows = list(predictions(["a/1.png", "a/2.png", "b.png", "c.png"], score(LABELS, PROBABILITIES), CLASSES))
    assert rows[2] == {
        "file": "b.png",
        "label": "cat",
        "predicted": "dog",
        "confidence": 0.8,
        "correct": False,
        "p_cat": 0.1,
        "p_dog": 0.8,
        "p_eel": 0.1,
    }
    assert list(rows[0]) == ["file", "label", "predicted", "confidence", "correct", "p_cat", "p_dog", "p_eel"]
    assert [row["correct"] for row in rows] == [True, True, False, False]


def test_rows_of_samples_without_a_file_have_their_index() -> None:
    rows = list(predictions(np.array([7, 3, 9, 1], np.int64), score(LABELS, PROBABILITIES / 3 * 3), CLASSES))
    assert [row["index"] for row in rows] == [7, 3, 9, 1]
    assert json.loads(json.dumps(rows)) == rows


def test_small_probabilities_keep_their_digits() -> None:
    scored = score(np.array([0], np.int32), np.array([[1 - 1.23456789e-12, 1.23456789e-12]]))
    row = next(predictions(["x"], scored, ("a", "b")))
    assert (row["p_a"], row["p_b"]) == (1.0, 1.23457e-12)


def test_an_evaluation_of_no_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        metrics(score(np.zeros(0, np.int32), np.zeros((0, 3))), CLASSES, loss=1.0)


def test_outputs_that_are_not_finite_are_counted() -> None:
    probabilities = PROBABILITIES.copy()
    probabilities[1] = np.nan
    for function in (lambda *args: metrics(*args, loss=1.0), per_class):
        with pytest.raises(CheckFailed, match="not for 1 of 4 samples"):
            function(score(LABELS, probabilities), CLASSES)


# Many classes ---------------------------------------------------------------------------------------------------------


def test_many_classes_have_the_same_numbers_without_a_matrix() -> None:
    labels, probabilities, classes = random_case(300, MANY_CLASSES + 1)
    result = metrics(score(labels, probabilities), classes, loss=1.0)
    assert "confusion_matrix" not in result
    assert "confusion_matrix" in metrics(score(*random_case(9, MANY_CLASSES)[:2]), classes[:-1], loss=1.0)
    predicted = probabilities.argmax(axis=1)
    present = sorted(set(labels.tolist()))
    assert result["accuracy"] == accuracy_score(labels, predicted)
    assert result["top_5_accuracy"] == pytest.approx(
        top_k_accuracy_score(labels, probabilities, k=5, labels=np.arange(len(classes)))
    )
    assert result["macro_recall"] == pytest.approx(recall_score(labels, predicted, labels=present, average="macro"))


def test_confusions_are_the_entries_of_the_matrix() -> None:
    labels, probabilities, _ = random_case(300, MANY_CLASSES + 1)
    found = score(labels, probabilities).confusions
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), labels=np.arange(MANY_CLASSES + 1))
    assert [tuple(row) for row in found] == [(i, j, matrix[i, j]) for i, j in np.argwhere(matrix)]


def test_the_most_confused_classes_are_those_of_the_most_frequent_mistakes() -> None:
    found = np.array([[0, 0, 99], [1, 2, 5], [3, 4, 7], [4, 3, 1], [5, 6, 2]])
    assert most_confused(found, 4) == [1, 2, 3, 4]
    assert most_confused(found, 5) == [1, 2, 3, 4]
    assert most_confused(found[:1], 4) == []


def test_rows_of_the_samples_of_many_classes_have_the_most_probable_ones() -> None:
    labels, probabilities, classes = random_case(40, MANY_CLASSES + 1)
    rows = list(predictions([f"{i}.png" for i in range(40)], score(labels, probabilities), classes))
    order = np.argsort(-probabilities, axis=1, kind="stable")
    top = [name for place in range(1, NUM_TOP + 1) for name in (f"top_{place}", f"p_{place}")]
    common = ["file", "label", "predicted", "confidence", "correct", "label_probability", "label_rank"]
    for i, row in enumerate(rows):
        assert list(row) == [*common, *top]
        assert [row[f"top_{place + 1}"] for place in range(NUM_TOP)] == [classes[k] for k in order[i, :NUM_TOP]]
        assert row["p_3"] == float(f"{probabilities[i, order[i, 2]]:.6g}")
        assert row["label_rank"] == order[i].tolist().index(labels[i]) + 1
        assert row["label_probability"] == float(f"{probabilities[i, labels[i]]:.6g}")
