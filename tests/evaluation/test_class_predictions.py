"""What is kept of a classifier's probabilities, against NumPy's sorting."""

import numpy as np
import pytest

from dlcli.evaluation.class_predictions import MANY_CLASSES, NUM_TOP, RankedClasses, ScoredClasses, rank, score


def tied_case(num_samples: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities of which many are equal."""
    rng = np.random.default_rng(1)
    values = rng.integers(1, 5, (num_samples, num_classes)).astype(np.float32)
    labels = rng.integers(0, num_classes, num_samples).astype(np.int32)
    return labels, values / values.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("num_classes", [1, 3, NUM_TOP, 30, MANY_CLASSES + 1])
def test_classes_are_ranked_as_by_sorting_and_ties_go_to_the_first(num_classes: int) -> None:
    labels, probabilities = tied_case(50, num_classes)
    found = score(labels, probabilities)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    np.testing.assert_array_equal(found.top, order[:, :NUM_TOP])
    np.testing.assert_array_equal(found.predicted, probabilities.argmax(axis=1))
    np.testing.assert_array_equal(found.top_probabilities, np.take_along_axis(probabilities, found.top, axis=1))
    np.testing.assert_array_equal(found.label_rank, (order == labels[:, None]).argmax(axis=1))
    np.testing.assert_array_equal(found.label_probability, probabilities[np.arange(50), labels])
    np.testing.assert_array_equal(found.is_correct, probabilities.argmax(axis=1) == labels)
    assert found.confidence.dtype == np.float32
    np.testing.assert_array_equal(rank(probabilities, num_top=2).top, order[:, :2])


def test_a_class_that_was_predicted_with_others_comes_first() -> None:
    probabilities = np.array([[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]], np.float32)
    found = score(np.array([2, 2], np.int32), probabilities, predicted=np.array([2, 1]))
    assert found.top.tolist() == [[2, 0, 1], [1, 2, 0]]
    assert found.is_correct.tolist() == [True, False]
    assert found.label_rank.tolist() == [0, 1]
    np.testing.assert_array_equal(found.confidence, np.float32([0.3, 0.6]))
    np.testing.assert_array_equal(found.label_probability, np.float32([0.3, 0.3]))
    assert rank(probabilities, predicted=np.array([1, 0])).predicted.tolist() == [1, 0]


def test_all_probabilities_are_kept_up_to_many_classes() -> None:
    for num_classes, num_kept in ((MANY_CLASSES, MANY_CLASSES), (MANY_CLASSES + 1, 0)):
        found = score(*tied_case(7, num_classes))
        assert found.probabilities.shape == (7, num_kept)
        kept = [found.top, found.top_probabilities, found.label_rank, found.probabilities]
        assert sum(values.nbytes for values in kept if values.base is None) <= 7 * (num_kept * 4 + NUM_TOP * 12 + 8)
        assert all(values.base is None or values.base.size <= 7 * num_classes for values in kept)


def test_batches_in_any_order_are_joined() -> None:
    labels, probabilities = tied_case(20, 6)
    whole = score(labels, probabilities)
    index = np.random.default_rng(0).permutation(20)
    parts = [score(labels[part], probabilities[part]) for part in (index[:7], index[7:8], index[8:])]
    again = ScoredClasses.join(parts).take(np.argsort(index))
    for name, values in vars(whole).items():
        np.testing.assert_array_equal(getattr(again, name), values)
    assert len(again) == 20


def test_samples_that_are_not_finite_are_known() -> None:
    probabilities = np.full((3, 4), 0.25)
    probabilities[1, 2], probabilities[2, 0] = np.nan, np.inf
    found: RankedClasses = rank(probabilities)
    assert found.is_finite.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("labels", "num_samples", "message"),
    [([0, 1], 1, r"with 2 samples\. Received \[1, 3\]"), ([3], 1, "from 3 to 3"), ([-1], 1, "from -1 to -1")],
)
def test_what_does_not_fit_together_is_refused(labels: list[int], num_samples: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(np.array(labels, np.int32), np.full((num_samples, 3), 1 / 3))
