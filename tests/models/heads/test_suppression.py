"""Non-maximum suppression against a plain loop."""

import keras
import numpy as np
import pytest
from detectors import greedy, iou_of, like_a_detectors  # type: ignore[import-not-found]

from dlcli.models.heads.suppression import SIGMA, earlier_overlaps, greedy_keep, pairwise_iou, soft_factors


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("iou", [0.3, 0.5, 0.7])
def test_the_boxes_of_greedy_suppression(iou: float, class_agnostic: bool) -> None:
    boxes, classes = like_a_detectors(25, 80, seed=int(iou * 10))
    keep = np.asarray(greedy_keep(earlier_overlaps(boxes, None if class_agnostic else classes), iou=iou))
    assert keep.dtype == np.float32
    for i in range(len(boxes)):
        expected = greedy(boxes[i], classes[i], iou=iou, class_agnostic=class_agnostic)
        np.testing.assert_array_equal(keep[i] == 1.0, expected)
    assert 0.05 < keep.mean() < 0.7


def test_a_chain_of_boxes() -> None:
    """Each removes the next one, so that every other one is kept: 2 more are exact in each round."""
    left = 0.04 * np.arange(16)
    boxes = np.stack([left, 0 * left, left + 0.1, 0 * left + 1], axis=1)[None].astype("float32")
    keep = np.asarray(greedy_keep(earlier_overlaps(boxes, None), iou=0.4))
    np.testing.assert_array_equal(keep[0], greedy(boxes[0], np.zeros(16), iou=0.4, class_agnostic=True))
    assert keep[0].tolist() == [1, 0] * 8


def test_overlaps_of_boxes_without_an_area_are_0() -> None:
    boxes = np.float32([[[0, 0, 0, 0], [0.2, 0.2, 0.2, 0.6], [0, 0, 1, 1], [0, 0, 1, 1]]])
    overlap = np.asarray(pairwise_iou(boxes))[0]
    assert overlap.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_overlaps_in_batches_of_any_size() -> None:
    boxes, _ = like_a_detectors(2, 9, seed=4)
    inputs = keras.Input((9, 4))
    model = keras.Model(inputs, pairwise_iou(inputs))
    for batch in (boxes, boxes[:1]):
        overlap = np.asarray(model(batch))
        for image, i, j in np.ndindex(overlap.shape):
            assert overlap[image, i, j] == pytest.approx(iou_of(batch[image, i], batch[image, j]), abs=1e-5)


def test_soft_suppression_is_matrix_nms() -> None:
    boxes, classes = like_a_detectors(5, 40, seed=9)
    factors = np.asarray(soft_factors(earlier_overlaps(boxes, classes)))
    for i in range(len(boxes)):
        overlap = np.array([[iou_of(a, b) for b in boxes[i]] for a in boxes[i]]) * (classes[i][:, None] == classes[i])
        largest = [max([overlap[k, j] for k in range(j)], default=0.0) for j in range(40)]
        for j in range(40):
            each = [np.exp(-(overlap[k, j] ** 2) / SIGMA) / np.exp(-(largest[k] ** 2) / SIGMA) for k in range(j)]
            assert factors[i, j] == pytest.approx(min([*each, 1.0]), rel=1e-4)
    assert factors.min() < 0.2
