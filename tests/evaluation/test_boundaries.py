"""Boundary F1 against closed forms and an independent computation by distance transforms."""

import numpy as np
import pytest
import scipy.ndimage

from dlcli.evaluation.boundaries import boundary_f1, tolerance_in_pixels

RANDOM = np.random.default_rng(2)


def square(left: int, *, side: int = 20, size: int = 100) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[40 : 40 + side, left : left + side] = 1
    return mask


def test_a_shift_within_the_tolerance_costs_nothing_and_a_large_one_everything() -> None:
    assert tolerance_in_pixels(100, 100) == 2  # 0.75% of 141.4 is 1.06
    true = square(20)
    assert boundary_f1(true, true, 2).tolist() == [1.0, 1.0]
    assert boundary_f1(true, square(22), 2).tolist() == [1.0, 1.0]
    assert boundary_f1(true, square(70), 2).tolist() == [0.0, 0.0]


def test_a_shift_along_two_sides_has_a_closed_form() -> None:
    found = boundary_f1(square(20), square(26), 2)
    # of the 20 pixels of the upper side, and of the lower one, the 4 leftmost are too far; of the left side all are; of
    # the right side, between the other square's sides, the 2 at each end are not
    assert found[1] == pytest.approx((16 + 16 + 4) / 76)


def blobs(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(3, 60, 83))
    return scipy.ndimage.gaussian_filter(noise, (0, 4, 4)).argmax(0).astype(np.uint8)


def by_distance_transform(true: np.ndarray, predicted: np.ndarray, label: int, distance: int) -> float:
    cross = scipy.ndimage.generate_binary_structure(2, 1)
    edges = []
    for labels in (true, predicted):
        others = scipy.ndimage.binary_dilation((labels != label) & (true != 255), cross)
        edges.append((labels == label) & others & (true != 255))
    own, found = edges
    precision = (scipy.ndimage.distance_transform_edt(~own)[found] <= distance).mean()
    recall = (scipy.ndimage.distance_transform_edt(~found)[own] <= distance).mean()
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("tolerance", [0.0075, 0.03])
def test_scores_are_those_of_distance_transforms(tolerance: float) -> None:
    true, predicted = blobs(0), np.where(RANDOM.random((60, 83)) < 0.02, 1, np.roll(blobs(0), 2, axis=1))
    true = np.where(scipy.ndimage.gaussian_filter(RANDOM.normal(size=true.shape), 3) > 0.1, 255, true)
    distance = tolerance_in_pixels(60, 83, tolerance=tolerance)
    found = boundary_f1(true, predicted, 3, tolerance=tolerance)
    expected = [by_distance_transform(true, predicted, label, distance) for label in range(3)]
    assert found.tolist() == pytest.approx(expected)
    assert 0.1 < found.min() < found.max() < 1.0
    np.testing.assert_array_equal(boundary_f1(true, np.where(true == 255, 0, predicted), 3, tolerance=tolerance), found)


def test_classes_without_true_pixels_and_without_boundaries() -> None:
    full, true = np.zeros((10, 10), np.uint8), square(2, side=4, size=60)
    found = boundary_f1(full, full, 3)
    assert found[0] == 1.0
    assert np.isnan(found[1:]).all()
    assert boundary_f1(full, full + 1, 3)[0] == 0.0
    assert boundary_f1(true, np.zeros_like(true), 3).tolist()[:2] == [0.0, 0.0]


def test_the_number_of_classes_has_no_bound() -> None:
    true, predicted = square(20) * 40, square(24) * 40  # more than the bits that are computed at once
    found = boundary_f1(true, predicted, 41)
    few = boundary_f1(true // 40, predicted // 40, 2)
    assert 0 < few[1] < 1
    assert found[[0, 40]].tolist() == few.tolist()


def test_images_smaller_than_the_tolerance() -> None:
    true, predicted = np.array([[0, 1, 1]]), np.array([[0, 0, 1]])
    assert boundary_f1(true, predicted, 2, tolerance=3.0).tolist() == [1.0, 1.0]
    assert boundary_f1(true.T, predicted.T, 2, tolerance=3.0).tolist() == [1.0, 1.0]
