"""Overlaps of boxes, and selections of detections."""

import numpy as np
import pytest
from scenes import one_image, scenes

from dlcli.evaluation.detection.boxes import box_iou, overlaps
from dlcli.evaluation.localization import intersection_over_union


def test_hand_computed_overlaps_and_a_crowd() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 40]], np.float64)
    others = np.array([[5, 5, 15, 15], [0, 0, 100, 100], [10, 0, 20, 10]], np.float64)
    found = box_iou(boxes, others, np.array([False, True, False]))
    np.testing.assert_allclose(found, [[25 / 175, 1, 0], [0, 1, 0]])
    np.testing.assert_allclose(box_iou(boxes, others)[:, 1], [0.01, 0.02])


def test_pairs_equal_those_of_localization() -> None:
    detections, truth = scenes(0, crowds=False)
    pairs = overlaps(detections, truth, least=0.3)
    assert (pairs.iou >= 0.3).all()
    np.testing.assert_array_equal(detections.images[pairs.detections], truth.images[pairs.objects])
    expected = intersection_over_union(detections.boxes[pairs.detections], truth.boxes[pairs.objects])
    np.testing.assert_allclose(pairs.iou, expected)
    same_image = detections.images[:, None] == truth.images
    assert len(pairs.iou) == (same_image & (box_iou(detections.boxes, truth.boxes) >= 0.3)).sum()


def test_overlaps_by_another_measure() -> None:
    detections, truth = one_image([(0, 0, 1, 1, 0.5, 0), (0, 0, 2, 2, 0.6, 0)], [(5, 5, 6, 6, 0)])
    pairs = overlaps(detections, truth, least=0.5, iou_of_image=lambda image, found, true: np.array([[0.4], [0.7]]))
    assert (pairs.detections.tolist(), pairs.objects.tolist(), pairs.iou.tolist()) == ([1], [0], [0.7])


def test_selected_detections_stay_in_their_images() -> None:
    detections, _ = scenes(1)
    kept = detections.where(detections.scores >= 0.5)
    np.testing.assert_array_equal(kept.images, detections.images[detections.scores >= 0.5])
    assert kept.num_images == detections.num_images
    assert kept.areas == pytest.approx(detections.areas[detections.scores >= 0.5])
