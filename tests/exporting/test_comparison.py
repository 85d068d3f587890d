"""How outputs are compared: against values that are known."""

import math

import numpy as np
import pytest

from dlcli.exporting.comparison import compare_objects, compare_outputs, compare_sequences
from dlcli.exporting.formats import Bound


def test_numbers_differ_in_fractions_of_their_range() -> None:
    ours = [{"value": np.array([0.0, 2.0])}, {"value": np.array([10.0])}]
    theirs = [{"value": np.array([0.0, 2.5])}, {"value": np.array([10.0])}]
    found = compare_outputs(ours, theirs)
    assert (found.difference, found.agreement, found.of_outputs) == (0.05, None, {"value": 0.5})
    assert found.mean == pytest.approx(0.05 / 3)  # of three samples
    assert found.is_within(Bound(0.05, 0.05 / 3 + 1e-9, 1.0))
    assert not found.is_within(Bound(0.05, 0.016, 1.0))
    assert not found.is_within(Bound(0.04, 0.04, 0.0))


def test_a_constant_differs_in_its_own_unit() -> None:
    found = compare_outputs([{"value": np.full(3, 7.0)}], [{"value": np.full(3, 7.25)}])
    assert found.difference == 0.25


def test_classes_agree_by_the_largest_value_and_labels_by_the_half() -> None:
    ours = [{"p": np.array([[0.6, 0.4], [0.3, 0.7]])}]
    theirs = [{"p": np.array([[0.55, 0.45], [0.51, 0.49]])}]
    found = compare_outputs(ours, theirs, decided="p")
    assert found.difference == pytest.approx(0.21)
    assert found.agreement == 0.5
    assert compare_outputs(ours, theirs, decided="p", decision="labels").agreement == 0.5
    assert not found.is_within(Bound(1.0, 1.0, 0.95))


def test_numbers_that_are_not_finite_are_within_no_bound() -> None:
    found = compare_outputs([{"value": np.array([1.0])}], [{"value": np.array([math.nan])}])
    assert not found.is_finite
    assert not found.is_within(Bound(1.0, 1.0, 0.0))
    assert found.to_dict()["largest_difference"] is None
    same = compare_outputs([{"value": np.array([1.0, math.nan])}], [{"value": np.array([1.0, math.nan])}])
    assert same.difference == 0.0


def objects(boxes: list[list[float]], scores: list[float], classes: list[int]) -> list[dict[str, np.ndarray]]:
    return [{"boxes": np.array([boxes]), "scores": np.array([scores]), "classes": np.array([classes])}]


def test_objects_have_partners_in_any_order() -> None:
    one, two, none = [0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0], [0.0] * 4
    ours = objects([one, two, none], [0.9, 0.8, 0.0], [1, 0, -1])
    theirs = objects([two, one, none], [0.85, 0.84, 0.0], [0, 1, -1])
    found = compare_objects(ours, theirs, score=0.1)
    assert found.agreement == 1.0
    assert found.of_outputs == {"boxes": 0.0, "scores": pytest.approx(0.06)}


def test_an_object_of_another_class_or_place_is_no_partner() -> None:
    one, moved = [0.0, 0.0, 0.5, 0.5], [0.1, 0.0, 0.6, 0.5]  # an intersection over union of 2/3
    assert compare_objects(objects([one], [0.9], [1]), objects([one], [0.9], [0]), score=0.1).agreement == 0.0
    assert compare_objects(objects([one], [0.9], [1]), objects([moved], [0.9], [1]), score=0.1).agreement == 0.0
    unlikely = compare_objects(objects([one], [0.05], [1]), objects([moved], [0.05], [1]), score=0.1)
    assert unlikely.agreement == 1.0  # neither needs a partner


def test_the_mean_is_of_the_largest_difference_of_each_sample() -> None:
    ours = [{"p": np.array([[0.5, 0.5], [1.0, 0.0]]), "box": np.array([[0.0, 10.0], [5.0, 5.0]])}]
    theirs = [{"p": np.array([[0.4, 0.6], [1.0, 0.0]]), "box": np.array([[0.0, 9.0], [7.0, 5.0]])}]
    found = compare_outputs(ours, theirs, decided="p")
    assert (found.difference, found.mean) == (pytest.approx(0.2), pytest.approx(0.15))  # 0.1 of p, 0.2 of boxes


def test_sequences_of_tags_agree_up_to_their_end() -> None:
    p = np.full((1, 3, 2), 0.5)
    ours = [{"probabilities": p, "tags": np.array([[0, 1, -1]])}]
    theirs = [{"probabilities": p + 0.01, "tags": np.array([[0, 0, 1]])}]
    found = compare_sequences(ours, theirs)
    assert (found.difference, found.agreement, found.decision) == (pytest.approx(0.01), 0.5, "tags")
