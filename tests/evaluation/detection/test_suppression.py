"""Greedy suppression against a loop."""

import numpy as np
import pytest

from dlcli.evaluation.detection.boxes import box_iou
from dlcli.evaluation.detection.suppression import greedy_nms


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_random_boxes(class_agnostic: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        corners = rng.integers(0, 40, (60, 2))
        boxes = np.concatenate([corners, corners + rng.integers(5, 30, (60, 2))], axis=1).astype(np.float64)
        scores, classes = rng.integers(0, 20, 60) / 20, rng.integers(0, 3, 60)
        kept: list[int] = []
        for i in sorted(range(60), key=lambda i: -scores[i]):
            near = [j for j in kept if class_agnostic or classes[i] == classes[j]]
            if scores[i] >= 0.1 and all(box_iou(boxes[[i]], boxes[[j]])[0, 0] <= 0.5 for j in near):
                kept.append(i)
        found = greedy_nms(boxes, scores, classes, score=0.1, iou=0.5, max_boxes=15, class_agnostic=class_agnostic)
        assert found.tolist() == kept[:15]


def test_no_box_reaches_the_score() -> None:
    assert greedy_nms(np.zeros((1, 4)), np.zeros(1), np.zeros(1), score=0.1, iou=0.5, max_boxes=3).size == 0
