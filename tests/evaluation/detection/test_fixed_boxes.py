"""The baseline of fixed boxes, of data whose best boxes are known."""

import numpy as np
import pytest

from dlcli.evaluation.detection.average_precision import coco_scores
from dlcli.evaluation.detection.boxes import GroundTruth, box_iou, overlaps
from dlcli.evaluation.detection.fixed_boxes import MAX_OBJECTS, NUM_BOXES, fixed_boxes

CORNER = [0.0, 0.0, 0.4, 0.4]
MIDDLE = [0.3, 0.3, 0.7, 0.7]


def test_the_boxes_that_find_the_most_objects_come_first() -> None:
    # class 0: in the middle of 3 of 4 images, and in the corner of 1; class 1: in the corner of 2; class 2: nowhere
    boxes = np.array([MIDDLE, MIDDLE, CORNER, MIDDLE, CORNER, CORNER])
    classes = np.array([0, 0, 0, 0, 1, 1])
    images = np.array([0, 1, 1, 2, 2, 3])
    found = fixed_boxes(boxes, classes, images, num_images=4, num_classes=3)
    np.testing.assert_array_equal(found.boxes, [MIDDLE, CORNER, CORNER])
    np.testing.assert_array_equal(found.scores, [0.75, 0.25, 0.5])
    np.testing.assert_array_equal(found.classes, [0, 0, 1])


def test_two_objects_at_one_place_need_two_boxes() -> None:
    boxes = np.array([MIDDLE, [0.31, 0.3, 0.7, 0.7]])
    found = fixed_boxes(boxes, np.array([0, 0]), np.array([0, 0]), num_images=1, num_classes=1)
    assert len(found.boxes) == 2


def test_scaled_to_images_of_different_sizes() -> None:
    boxes = np.array([MIDDLE, CORNER])
    found = fixed_boxes(boxes, np.array([0, 0]), np.array([0, 1]), num_images=2, num_classes=1)
    sizes = np.array([[200, 100], [10, 40]])
    detections = found.detections(sizes)
    assert detections.offsets.tolist() == [0, 2, 4]
    np.testing.assert_allclose(detections.boxes[0], [60, 30, 140, 70])
    truth_boxes = np.array([MIDDLE * np.tile(sizes[0], 2), CORNER * np.tile(sizes[1], 2)])
    truth = GroundTruth(
        *(truth_boxes, np.zeros(2, np.int32), np.zeros(2, bool), np.zeros(2, bool), np.full(2, 99.0)),
        offsets=np.array([0, 1, 2]),
    )
    scores = coco_scores(detections, truth, overlaps(detections, truth, least=0.5), num_classes=1)
    # equal scores: true, false, false, true
    assert scores.ap(iou=0.5) == pytest.approx((51 * 1 + 50 * 0.5) / 101)


def test_bounded_numbers_of_boxes_and_candidates() -> None:
    rng = np.random.default_rng(0)
    num = MAX_OBJECTS + 1_000
    corners = rng.random((num, 2)) * 0.7
    boxes = np.concatenate([corners, corners + 0.02 + rng.random((num, 2)) * 0.28], axis=1)
    classes, images = np.zeros(num, np.int32), np.sort(rng.integers(0, 900, num))
    found = fixed_boxes(boxes, classes, images, num_images=900, num_classes=2)
    assert found.classes.tolist() == [0] * (NUM_BOXES // 2)
    assert (np.diff(found.scores) <= 0).all()
    # the first one: its score is the proportion of the images, of all objects, in which it finds one
    is_found = box_iou(found.boxes[:1], boxes)[0] >= 0.5
    assert found.scores[0] == pytest.approx(len(np.unique(images[is_found])) / 900, rel=0.15)
