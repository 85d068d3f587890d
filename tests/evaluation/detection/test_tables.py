"""Rows of images, errors and detections."""

import json

import numpy as np
import pytest
from scenes import one_image, scenes

from dlcli.evaluation.detection.metrics import assess_from
from dlcli.evaluation.detection.tables import (
    ERROR_COLUMNS,
    coco_results,
    confusion_rows,
    error_rows,
    image_quality,
    per_image,
)

OBJECTS = [(0, 0, 10, 10, 0), (50, 0, 60, 10, 0), (100, 0, 110, 10, 1)]
FOUND = [(0, 0, 10, 10, 0.9, 0), (50, 0, 60, 8, 0.8, 0), (200, 0, 210, 10, 0.7, 1), (300, 0, 310, 10, 0.1, 1)]


def test_the_row_of_an_image() -> None:
    detections, truth = one_image(FOUND, OBJECTS)
    kept, assessment = assess_from(detections, truth, 0.5, num_classes=2)
    (row,) = per_image(kept, truth, assessment)
    assert row == {
        "objects": 3,
        "detections": 3,
        "matched": 2,
        "false": 1,
        "missed": 1,
        "f1": pytest.approx(4 / 6),
        "mean_iou": pytest.approx((1 + 0.8) / 2),
    }
    assert image_quality([row]) == pytest.approx([4 / 6 * 0.9])


def test_images_without_objects_or_detections() -> None:
    detections, truth = scenes(3)
    kept, assessment = assess_from(detections, truth, 0.5, num_classes=4)
    rows = per_image(kept, truth, assessment)
    assert sum(row["matched"] for row in rows) == np.diag(assessment.confusion).sum()
    assert sum(row["objects"] for row in rows) == truth.counts(4).sum()
    empty = [row for row in rows if row["objects"] == row["detections"] == 0]
    assert empty
    assert all(row["f1"] is None for row in empty)
    quality = image_quality(rows)
    assert np.isnan(quality).sum() == len(empty)
    assert np.nanmax(quality) <= 1


def test_rows_of_errors() -> None:
    kept, assessment = assess_from(*(scene := one_image(FOUND, OBJECTS)), 0.5, num_classes=2)
    rows = list(error_rows(kept, scene[1], assessment, names=["a.png"], classes=["cat", "dog"]))
    assert all(tuple(row) == ERROR_COLUMNS for row in rows)
    assert [tuple(row.values()) for row in rows] == [
        ("a.png", "background", "dog", 0.7, 200, 0, 210, 10, None, None),
        ("a.png", "missed", "dog", None, 100, 0, 110, 10, "dog", None),
    ]


def test_errors_are_listed_image_by_image() -> None:
    detections, truth = scenes(4)
    kept, assessment = assess_from(detections, truth, 0.2, num_classes=4)
    names = [f"{i:02}.png" for i in range(truth.num_images)]
    rows = list(error_rows(kept, truth, assessment, names=names, classes=list("abcd")))
    assert [row["file"] for row in rows] == sorted(row["file"] for row in rows)
    assert len(rows) == len(assessment.errors)
    assert {row["kind"] for row in rows} >= {"background", "missed", "localization", "duplicate", "class"}


def test_cocos_results_are_the_detections() -> None:
    detections, _ = scenes(5)
    rows = json.loads(json.dumps(list(coco_results(detections))))
    assert len(rows) == len(detections)
    assert [row["image_id"] - 1 for row in rows] == detections.images.tolist()
    assert [row["category_id"] - 1 for row in rows] == detections.classes.tolist()
    boxes = np.array([row["bbox"] for row in rows])
    np.testing.assert_array_equal(boxes[:, :2], detections.boxes[:, :2])
    np.testing.assert_array_equal(boxes[:, :2] + boxes[:, 2:], detections.boxes[:, 2:])
    np.testing.assert_allclose([row["score"] for row in rows], detections.scores, rtol=1e-7)


def test_a_confusion_matrix_without_its_zeros() -> None:
    rows = confusion_rows(np.array([[3, 0, 1], [0, 0, 0], [0, 2, 0]]), ["cat", "dog"])
    assert rows == [("cat", "cat", 3), ("cat", "background", 1), ("background", "dog", 2)]
