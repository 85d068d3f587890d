"""Overlaps of masks, and average precision of masks against pycocotools."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import SIDE, scenes

from dlcli.evaluation.detection.average_precision import coco_scores
from dlcli.evaluation.detection.boxes import overlaps
from dlcli.evaluation.detection.masks import mask_areas, mask_iou, packed


def ellipses(boxes: np.ndarray) -> np.ndarray:
    """Masks [m, height, width] that fill the boxes but for their corners."""
    side = SIDE + 220
    y, x = np.mgrid[:side, :side] + 0.5
    return np.stack(
        [
            ((x - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1)) ** 2 <= 0.25
            for x1, y1, x2, y2 in boxes
        ]
    )


def test_hand_computed_overlaps_and_a_crowd() -> None:
    masks = np.zeros((2, 3, 5), bool)
    masks[0, 0, :4] = True
    masks[1, 2, 4] = True
    others = np.zeros((3, 3, 5), bool)
    others[0, 0, 2:5] = True
    others[1, 0, 2:5] = True
    found = mask_iou(packed(masks), packed(others), np.array([False, True, False]))
    np.testing.assert_allclose(found, [[2 / 5, 2 / 4, 0], [0, 0, 0]])
    np.testing.assert_array_equal(mask_areas(packed(masks)), [4, 1])
    assert mask_iou(packed(masks[:0]), packed(others)).shape == (0, 3)


@pytest.mark.parametrize("seed", range(2))
def test_random_masks_equal_pycocotools(seed: int) -> None:
    pytest.importorskip("pycocotools")
    from coco_oracle import evaluate_masks

    detections, truth = scenes(seed, num_images=5, num_classes=3, num_objects=6)
    own, true = ellipses(detections.boxes), ellipses(truth.boxes)
    detections = replace(detections, mask_areas=mask_areas(packed(own)))
    truth = replace(truth, areas=mask_areas(packed(true)))
    pairs = overlaps(
        *(detections, truth),
        least=0.5,
        iou_of_image=lambda image, i, j: mask_iou(packed(own[i]), packed(true[j]), truth.is_crowd[j]),
    )
    found = coco_scores(detections, truth, pairs, num_classes=3)
    expected = evaluate_masks(detections, truth, 3, own, true)
    np.testing.assert_array_equal(np.nan_to_num(found.precision, nan=-1.0), expected.eval["precision"])
    np.testing.assert_array_equal(np.nan_to_num(found.recall, nan=-1.0), expected.eval["recall"])
    assert 0 < found.ap() < 1
