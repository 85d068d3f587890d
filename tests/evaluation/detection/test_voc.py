"""VOC's average precision against a loop over detections as in its devkit."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import one_image, scenes

from dlcli.evaluation.detection.boxes import Detections, GroundTruth, box_iou, overlaps
from dlcli.evaluation.detection.voc import voc_ap50


def by_loop(detections: Detections, truth: GroundTruth, label: int) -> float:
    taken: set[int] = set()
    true, false = [], []
    for i in np.argsort(-detections.scores, kind="stable"):
        if detections.classes[i] != label:
            continue
        best, highest = -1, -np.inf
        for j in range(truth.offsets[detections.images[i]], truth.offsets[detections.images[i] + 1]):
            iou = box_iou(detections.boxes[[i]], truth.boxes[[j]])[0, 0]
            if truth.classes[j] == label and iou > highest:
                best, highest = j, iou
        is_hit = highest >= 0.5
        if is_hit and truth.is_difficult[best]:
            continue
        true.append(is_hit and best not in taken)
        false.append(not true[-1])
        if is_hit:
            taken.add(best)
    num = ((truth.classes == label) & ~truth.is_difficult).sum()
    recall = np.concatenate([[0], np.cumsum(true) / num, [1]])
    precision = np.concatenate([[0], np.cumsum(true) / np.maximum(np.cumsum(true) + np.cumsum(false), 1), [0]])
    for k in range(len(precision) - 2, -1, -1):
        precision[k] = max(precision[k], precision[k + 1])
    steps = np.flatnonzero(recall[1:] != recall[:-1])
    return float(((recall[steps + 1] - recall[steps]) * precision[steps + 1]).sum())


@pytest.mark.parametrize("seed", range(6))
def test_random_scenes(seed: int) -> None:
    detections, truth = scenes(seed, crowds=False)
    truth = replace(truth, is_difficult=np.arange(len(truth)) % 4 == seed % 4)
    found = voc_ap50(detections, truth, overlaps(detections, truth, least=0.1), num_classes=4)
    assert found[:3] == pytest.approx([by_loop(detections, truth, label) for label in range(3)])
    assert np.isnan(found[3])  # it has no object


def test_a_detection_of_a_taken_object_is_false_even_if_another_is_free() -> None:
    objects = [(0, 0, 10, 10, 0), (3, 0, 13, 10, 0)]
    found = [(0, 0, 10, 10, 0.9, 0), (1, 0, 11, 10, 0.8, 0)]  # the second overlaps the first object more
    (ap,) = voc_ap50(*(scene := one_image(found, objects)), overlaps(*scene, least=0.5), num_classes=1)
    assert ap == pytest.approx(0.5)


def test_detections_in_a_crowd_do_not_count() -> None:
    objects = [(0, 0, 100, 100, 0), (200, 0, 210, 10, 0)]
    found = [(10, 10, 20, 20, 0.9, 0), (200, 0, 210, 10, 0.8, 0)]
    detections, truth = one_image(found, objects, is_crowd=[True, False])
    (ap,) = voc_ap50(detections, truth, overlaps(detections, truth, least=0.5), num_classes=1)
    assert ap == pytest.approx(1.0)
