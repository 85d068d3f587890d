"""COCO's average precision against pycocotools, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import one_image, scenes

from dlcli.evaluation.detection.average_precision import AREAS, LIMITS, CocoScores, coco_scores
from dlcli.evaluation.detection.boxes import Detections, GroundTruth, overlaps

STATS = (
    *[("ap", {}), ("ap", {"iou": 0.5}), ("ap", {"iou": 0.75})],
    *[("ap", {"area": area}) for area in list(AREAS)[1:]],
    *[("ar", {"limit": limit}) for limit in LIMITS],
    *[("ar", {"area": area}) for area in list(AREAS)[1:]],
)
"""The twelve numbers of COCOeval.summarize, in their order."""


def scores_of(detections: Detections, truth: GroundTruth, num_classes: int) -> CocoScores:
    return coco_scores(detections, truth, overlaps(detections, truth, least=0.5), num_classes=num_classes)


def assert_equal(detections: Detections, truth: GroundTruth, num_classes: int) -> CocoScores:
    pytest.importorskip("pycocotools")
    from coco_oracle import evaluate

    expected = evaluate(detections, truth, num_classes)
    found = scores_of(detections, truth, num_classes)
    np.testing.assert_array_equal(np.nan_to_num(found.precision, nan=-1.0), expected.eval["precision"])
    np.testing.assert_array_equal(np.nan_to_num(found.recall, nan=-1.0), expected.eval["recall"])
    stats = [getattr(found, name)(**arguments) for name, arguments in STATS]
    np.testing.assert_array_equal(np.nan_to_num(stats, nan=-1.0), expected.stats)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_random_scenes_equal_pycocotools(seed: int) -> None:
    num_classes = 1 + seed % 5
    detections, truth = scenes(seed, num_classes=num_classes, step=[0.001, 0.05, 0.5][seed % 3])
    found = assert_equal(detections, truth, num_classes)
    assert 0 < found.ap() < 1


@pytest.mark.parametrize("seed", range(2))
def test_more_detections_than_count(seed: int) -> None:
    detections, truth = scenes(seed, num_images=3, num_classes=1, num_objects=250, step=0.1)
    assert np.diff(detections.offsets).max() > 200
    found = assert_equal(detections, truth, 1)
    assert found.ar(limit=1) < found.ar(limit=10) < found.ar()


def test_difficult_objects_are_ignored_like_those_outside_an_area_range() -> None:
    detections, truth = scenes(5)
    is_difficult = np.arange(len(truth)) % 3 == 0
    changed = assert_equal(detections, replace(truth, is_difficult=is_difficult), 4)
    assert changed.ap() != scores_of(detections, truth, 4).ap()


def test_coordinates_that_binary_fractions_do_not_hold() -> None:
    detections, truth = scenes(6)
    assert_equal(replace(detections, boxes=detections.boxes / 3 + 0.1), replace(truth, boxes=truth.boxes / 3 + 0.1), 4)


def test_without_detections_and_without_objects() -> None:
    detections, truth = scenes(7)
    nothing = detections.where(np.zeros(len(detections), bool))
    found = scores_of(nothing, truth, 4)
    assert found.ap() == found.ar() == 0.0
    empty = one_image([(0, 0, 9, 9, 0.5, 0)], [])
    assert np.isnan(scores_of(*empty, 1).ap())
    assert np.isnan(scores_of(*one_image([], []), 1).ar())


def test_a_closed_form() -> None:
    # descending scores: true, false, true; 2 of 4 objects: precision 1 up to recall 1/4, then 2/3 up to 2/4
    objects = [(100 * i, 0, 100 * i + 50, 50, 0) for i in range(4)]
    found = [(*objects[0][:4], 0.9, 0), (500, 0, 550, 50, 0.8, 0), (*objects[1][:4], 0.7, 0)]
    scores = scores_of(*one_image(found, objects), 1)
    assert scores.ap(iou=0.5) == pytest.approx((26 * 1 + 25 * 2 / 3) / 101)
    assert scores.ap() == scores.ap(label=0) == pytest.approx(scores.ap(iou=0.95))
    assert scores.ar() == 0.5
    assert scores.ar(limit=1) == 0.25


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 400))
def test_many_random_scenes_equal_pycocotools(seed: int) -> None:
    num_classes = 1 + seed % 7
    detections, truth = scenes(
        seed, num_classes=num_classes, num_objects=5 + seed % 40, step=[0.001, 0.05, 0.5][seed % 3]
    )
    assert_equal(detections, truth, num_classes)
