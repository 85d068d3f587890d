"""Metrics of segmentation against scikit-learn, absent classes, and ignored pixels."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from dlcli.evaluation import segmentation

RANDOM = np.random.default_rng(0)
CLASSES = ["sky", "road", "car", "pole"]
TRUE = RANDOM.integers(0, 4, (5, 12, 9)).astype(np.uint8)
TRUE[RANDOM.random(TRUE.shape) < 0.1] = 255
PREDICTED = np.where(RANDOM.random(TRUE.shape) < 0.6, TRUE % 4, RANDOM.integers(0, 4, TRUE.shape)).astype(np.uint8)
COUNTS = TRUE != 255


def matrix_of(true: Any, predicted: Any, num_classes: int = 4) -> np.ndarray:
    return sum(segmentation.confusion_matrix(t, p, num_classes) for t, p in zip(true, predicted, strict=True))


def test_the_matrix_of_all_images_is_scikit_learns_and_their_metrics_too() -> None:
    matrix, true, predicted = matrix_of(TRUE, PREDICTED), TRUE[COUNTS], PREDICTED[COUNTS]
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, sklearn_metrics.confusion_matrix(true, predicted))
    np.testing.assert_array_equal(matrix, segmentation.confusion_matrix(TRUE, PREDICTED, 4))
    found = segmentation.metrics(matrix, CLASSES)
    expected = {
        "mean_iou": sklearn_metrics.jaccard_score(true, predicted, average="macro"),
        "mean_dice": sklearn_metrics.f1_score(true, predicted, average="macro"),
        "pixel_accuracy": sklearn_metrics.accuracy_score(true, predicted),
        "mean_class_accuracy": sklearn_metrics.balanced_accuracy_score(true, predicted),
        "frequency_weighted_iou": sklearn_metrics.jaccard_score(true, predicted, average="weighted"),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert (found["pixels"], found["absent_classes"], found["classes"]) == (COUNTS.sum(), [], CLASSES)
    rows = segmentation.per_class(matrix, CLASSES)
    for column, function in (
        ("iou", sklearn_metrics.jaccard_score),
        ("dice", sklearn_metrics.f1_score),
        ("precision", sklearn_metrics.precision_score),
        ("recall", sklearn_metrics.recall_score),
    ):
        assert [row[column] for row in rows] == pytest.approx(function(true, predicted, average=None))
    assert [row["pixels"] for row in rows] == np.bincount(true).tolist()
    assert [row["predicted_pixels"] for row in rows] == np.bincount(predicted).tolist()


def test_classes_without_true_pixels_are_named_and_left_out_of_the_means() -> None:
    true, predicted = np.array([[0, 0, 1, 1]]), np.array([[0, 2, 1, 0]])
    matrix = segmentation.confusion_matrix(true, predicted, 4)
    found = segmentation.metrics(matrix, CLASSES)
    assert found["mean_iou"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert found["mean_dice"] == pytest.approx((2 / 4 + 2 / 3) / 2)
    assert found["absent_classes"] == ["car", "pole"]
    car = segmentation.per_class(matrix, CLASSES)[2]
    assert (car["pixels"], car["predicted_pixels"]) == (0, 1)
    assert [car[name] for name in ("iou", "dice", "precision", "recall")] == [None] * 4
    never = segmentation.per_class(segmentation.confusion_matrix(true, true * 0, 4), CLASSES)[1]
    assert (never["iou"], never["precision"], never["recall"]) == (0.0, None, 0.0)


def test_ignored_pixels_change_nothing() -> None:
    other = np.where(COUNTS, PREDICTED, 3 - PREDICTED)
    np.testing.assert_array_equal(matrix_of(TRUE, PREDICTED), matrix_of(TRUE, other))
    nothing = segmentation.confusion_matrix(np.full((2, 2), 255), np.zeros((2, 2), int), 4)
    assert segmentation.metrics(nothing, CLASSES) == {"pixels": 0, "classes": CLASSES}
    assert segmentation.image_scores(nothing) == {"pixel_accuracy": None, "mean_iou": None}


def test_scores_of_an_image_are_over_its_own_classes() -> None:
    matrix = segmentation.confusion_matrix(np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 3]]), 4)
    assert segmentation.image_scores(matrix) == pytest.approx({"pixel_accuracy": 2 / 3, "mean_iou": 0.5})


def test_columns_of_boundaries_and_the_baseline() -> None:
    matrix = matrix_of(TRUE, PREDICTED)
    boundary = np.array([[0.5, np.nan, np.nan, 0.0], [1.0, 0.25, np.nan, 0.5]])
    assert segmentation.metrics(matrix, CLASSES, boundary=boundary)["mean_boundary_f1"] == pytest.approx(1.25 / 3)
    rows = segmentation.per_class(matrix, CLASSES, boundary=boundary, baseline=matrix_of(TRUE, TRUE * 0))
    assert [row["boundary_f1"] for row in rows] == [0.75, 0.25, None, 0.25]
    assert [row["baseline_iou"] for row in rows] == pytest.approx([np.mean(TRUE[COUNTS] == 0), 0.0, 0.0, 0.0])


def test_classes_with_an_iou_of_0_are_named() -> None:
    matrix = segmentation.confusion_matrix(np.array([[0, 0, 0, 1]]), np.zeros((1, 4), int), 4)
    found = segmentation.metrics(matrix, CLASSES)
    text = segmentation.neglect(found, segmentation.per_class(matrix, CLASSES))
    assert text == "1 class has an IoU of 0, whereas pixel accuracy is 0.75: 'road'"
    perfect = matrix_of(TRUE, TRUE)
    assert segmentation.neglect(segmentation.metrics(perfect, CLASSES), segmentation.per_class(perfect, CLASSES)) == ""


def test_labels_that_are_not_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"true labels must be classes from 0 to 2\. Received values from 0 to 7"):
        segmentation.confusion_matrix(np.array([[0, 7]]), np.array([[0, 0]]), 3)
    with pytest.raises(ValueError, match=r"predicted labels must be classes from 0 to 2"):
        segmentation.confusion_matrix(np.array([[0, 1]]), np.array([[0, 3]]), 3)
    with pytest.raises(ValueError, match="same shape"):
        segmentation.confusion_matrix(np.zeros((2, 2), int), np.zeros((2, 3), int), 3)
