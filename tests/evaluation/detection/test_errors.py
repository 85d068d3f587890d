"""Kinds of errors and the confusion matrix with background, of scenes whose errors are known."""

import numpy as np
import pytest
from scenes import one_image, scenes

from dlcli.evaluation.detection.boxes import overlaps
from dlcli.evaluation.detection.errors import KINDS, Assessment, assess

CAT, DOG = 0, 1


def assessed(found: list[tuple[float, ...]], true: list[tuple[float, ...]], **flags: list[bool]) -> Assessment:
    scene = one_image(found, true, **flags)
    return assess(*scene, overlaps(*scene, least=0.1), num_classes=2)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ((1, 0, 11, 10, 0.5, CAT), "duplicate"),
        ((100, 0, 110, 10, 0.5, CAT), "class"),
        ((0, 6, 10, 16, 0.5, CAT), "localization"),
        ((100, 6, 110, 16, 0.5, CAT), "both"),
        ((50, 50, 60, 60, 0.5, CAT), "background"),
    ],
)
def test_kinds_of_false_detections(found: tuple[float, ...], kind: str) -> None:
    objects = [(0, 0, 10, 10, CAT), (100, 0, 110, 10, DOG)]
    right = (0, 0, 10, 10, 0.9, CAT)
    assessment = assessed([right, found], objects)
    assert [error.kind for error in assessment.errors if error.detection == 1] == [kind]
    is_explained = kind == "class"
    assert assessment.kinds == {name: int(name == kind or (name == "missed" and not is_explained)) for name in KINDS}
    # the dog is confused with a cat, or missed
    expected = [[1, 0, 0], [1, 0, 0], [0, 0, 0]] if is_explained else [[1, 0, 0], [0, 0, 1], [1, 0, 0]]
    np.testing.assert_array_equal(assessment.confusion, expected)


def test_an_object_with_a_localization_error_is_not_missed_twice() -> None:
    assessment = assessed([(0, 6, 10, 16, 0.5, CAT)], [(0, 0, 10, 10, CAT)])
    (error,) = assessment.errors
    assert (error.kind, error.object) == ("localization", 0)
    assert error.iou == pytest.approx(40 / 160)
    np.testing.assert_array_equal(assessment.confusion, [[0, 0, 1], [0, 0, 0], [1, 0, 0]])


def test_crowds_and_difficult_objects_are_neither_right_nor_wrong() -> None:
    objects = [(0, 0, 100, 100, CAT), (200, 0, 210, 10, CAT), (300, 0, 310, 10, DOG)]
    found = [(5, 5, 9, 9, 0.9, CAT), (50, 50, 60, 60, 0.8, CAT), (200, 0, 210, 10, 0.7, CAT)]
    assessment = assessed(found, objects, is_crowd=[True, False, False], is_difficult=[False, True, False])
    assert assessment.is_ignored.all()
    assert [(error.kind, error.object) for error in assessment.errors] == [("missed", 2)]
    np.testing.assert_array_equal(assessment.confusion, [[0, 0, 0], [0, 0, 1], [0, 0, 0]])


def test_the_detection_of_the_right_class_finds_the_object() -> None:
    """A detection of another class with a higher score and a higher IoU is the one in error."""
    assessment = assessed([(0, 0, 10, 10, 0.9, DOG), (1, 0, 11, 10, 0.8, CAT)], [(0, 0, 10, 10, CAT)])
    np.testing.assert_array_equal(assessment.confusion, [[1, 0, 0], [0, 0, 0], [0, 1, 0]])
    assert [error.kind for error in assessment.errors] == ["class"]
    np.testing.assert_array_equal(assessment.objects, [-1, 0])
    np.testing.assert_allclose(assessment.iou, [np.nan, 90 / 110])


@pytest.mark.parametrize("seed", range(4))
def test_every_detection_and_object_is_counted_once(seed: int) -> None:
    detections, truth = scenes(seed)
    assessment = assess(detections, truth, overlaps(detections, truth, least=0.1), num_classes=4)
    matrix = assessment.confusion
    np.testing.assert_array_equal(matrix.sum(axis=1)[:-1], truth.counts(4))
    counted = np.bincount(detections.classes[~assessment.is_ignored], minlength=4)
    np.testing.assert_array_equal(matrix.sum(axis=0)[:-1], counted)
    false = [error.detection for error in assessment.errors if error.kind != "missed"]
    assert false == np.flatnonzero((assessment.objects < 0) & ~assessment.is_ignored).tolist()
    assert np.diag(matrix).sum() == (assessment.objects >= 0).sum()


def test_nothing_at_all() -> None:
    assessment = assessed([], [])
    assert not assessment.errors
    assert assessment.confusion.sum() == 0
