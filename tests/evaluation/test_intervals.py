"""Bootstrap intervals, against resampling the samples themselves with scikit-learn's metrics."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from dlcli.evaluation import intervals as module
from dlcli.evaluation.class_predictions import score
from dlcli.evaluation.intervals import intervals


def case() -> tuple[np.ndarray, np.ndarray]:
    """Labels of three classes, one of them rare, and predictions, some of a class that has no samples."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array([0, 2, 3], np.int32), [80, 60, 4])
    return labels, np.where(rng.random(144) < 0.7, labels, rng.integers(0, 5, 144))


def test_intervals_are_those_of_resampled_samples() -> None:
    labels, predicted = case()
    found = intervals(score(labels, np.eye(5)[predicted]).confusions)
    rng = np.random.default_rng(1)
    values: dict[str, list[float]] = {"accuracy": [], "balanced_accuracy": [], "macro_f1": []}
    for _ in range(150):
        index = rng.integers(0, 144, 144)
        options = {"labels": np.unique(labels[index]), "average": "macro", "zero_division": 0.0}
        values["accuracy"].append(accuracy_score(labels[index], predicted[index]))
        values["balanced_accuracy"].append(recall_score(labels[index], predicted[index], **options))
        values["macro_f1"].append(f1_score(labels[index], predicted[index], **options))
    for name, resampled in values.items():
        assert found[name] == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.05), name
    assert (found["level"], found["resamples"], found["seed"]) == (0.95, 1000, 0)


def test_intervals_are_the_same_each_time_and_contain_the_metric() -> None:
    labels, predicted = case()
    found = score(labels, np.eye(5)[predicted]).confusions
    assert intervals(found) == intervals(found)
    low, high = intervals(found)["accuracy"]
    assert low < np.mean(labels == predicted) < high


def test_a_large_confusion_matrix_has_the_interval_of_the_accuracy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, predicted = case()
    found = score(labels, np.eye(5)[predicted]).confusions
    whole = intervals(found)
    monkeypatch.setattr(module, "MAX_CELLS", len(found) - 1)
    few = intervals(found)
    assert "macro_f1" not in few
    assert few["accuracy"] == pytest.approx(whole["accuracy"], abs=0.02)


def test_resamples_that_are_drawn_in_parts_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, predicted = case()
    found = score(labels, np.eye(5)[predicted]).confusions
    whole = intervals(found)
    monkeypatch.setattr(module, "DRAWN", 7 * len(found))
    assert intervals(found) == whole
