"""Confident learning against the paper's counts in loops, and on labels that are flipped."""

import numpy as np
import pytest

from dlcli.evaluation.label_errors import likely_label_errors


def problem(seed: int, *, samples: int = 400, classes: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, labels of which a tenth is wrong, and which are."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, samples)
    scores = rng.normal(size=(samples, classes)) + 4 * np.eye(classes)[true]
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    is_wrong = rng.random(samples) < 0.1
    return probabilities, np.where(is_wrong, (true + rng.integers(1, classes, samples)) % classes, true), is_wrong


@pytest.mark.parametrize("classes", [2, 5])
def test_the_suspects_are_off_the_diagonal_of_the_confident_joint(classes: int) -> None:
    p, labels, _ = problem(1, classes=classes)
    threshold = [np.mean([row[j] for row, label in zip(p, labels, strict=True) if label == j]) for j in range(classes)]
    expected = {}
    for i, (row, label) in enumerate(zip(p, labels, strict=True)):
        sure = [j for j in range(classes) if row[j] >= threshold[j]]
        counted = max(sure, key=lambda j: row[j], default=label)
        margin = max(row[j] for j in range(classes) if j != label) - row[label]
        if counted != label and margin > 0:
            expected[i] = (counted, margin)
    found = likely_label_errors(p, labels)
    assert found.index.tolist() == sorted(expected, key=lambda i: -expected[i][1])
    assert found.suggested.tolist() == [expected[i][0] for i in found.index]
    np.testing.assert_allclose(found.margins, [expected[i][1] for i in found.index])


def test_flipped_labels_are_found() -> None:
    p, labels, is_wrong = problem(2, samples=2000)
    found = likely_label_errors(p, labels).index
    assert is_wrong[found].mean() > 0.9
    assert is_wrong[found].sum() > 0.7 * is_wrong.sum()


def test_right_labels_and_absent_classes_are_no_errors() -> None:
    p = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0]])
    assert likely_label_errors(p, np.array([0, 1, 0])).index.tolist() == []
    assert likely_label_errors(p[:0], np.array([], np.int64)).index.tolist() == []


@pytest.mark.parametrize("seed", range(6))
def test_the_suspects_are_those_of_cleanlab(seed: int) -> None:
    cleanlab = pytest.importorskip("cleanlab.filter")
    p, labels, _ = problem(seed, classes=3 + seed % 3)
    expected = cleanlab.find_label_issues(
        labels, p, filter_by="confident_learning", return_indices_ranked_by="normalized_margin", n_jobs=1
    )
    assert len(expected) > 10
    assert likely_label_errors(p, labels).index.tolist() == expected.tolist()
