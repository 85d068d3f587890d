"""Counts by score against a matching of the detections from each score on."""

import numpy as np
import pytest
from scenes import one_image, scenes

from dlcli.evaluation.detection.boxes import overlaps
from dlcli.evaluation.detection.confidence import SCORES, confidence_curves
from dlcli.evaluation.detection.errors import assess


@pytest.mark.parametrize("seed", range(3))
def test_counts_equal_those_of_the_confusion_matrix(seed: int) -> None:
    detections, truth = scenes(seed, step=0.001)
    curves = confidence_curves(detections, truth, overlaps(detections, truth, least=0.5), num_classes=4)
    for place in (0, 137, 500, 900, 1000):
        kept = detections.where(detections.scores >= SCORES[place])
        matrix = assess(kept, truth, overlaps(kept, truth, least=0.1), num_classes=4).confusion
        np.testing.assert_array_equal(curves.true[:, place], np.diag(matrix)[:-1])
        np.testing.assert_array_equal(curves.counted[:, place], matrix.sum(axis=0)[:-1])
        np.testing.assert_array_equal(curves.objects, matrix.sum(axis=1)[:-1])
        expected = 2 * np.diag(matrix)[:3] / (matrix.sum(axis=0) + matrix.sum(axis=1))[:3]
        np.testing.assert_allclose(curves.f1[:3, place], expected)
        assert np.isnan(curves.f1[3, place])  # it has no object
        assert curves.mean_f1[place] == pytest.approx(expected.mean())


def test_the_best_score() -> None:
    objects = [(0, 0, 10, 10, 0), (50, 0, 60, 10, 0)]
    found = [(*objects[0][:4], 0.8, 0), (*objects[1][:4], 0.6, 0), (90, 90, 99, 99, 0.2, 0)]
    scene = one_image(found, objects)
    curves = confidence_curves(*scene, overlaps(*scene, least=0.5), num_classes=1)
    score, f1 = curves.best
    assert f1 == 1.0
    assert score == pytest.approx(0.4, abs=0.002)  # in the middle of those between 0.2 and 0.6


def test_without_objects_and_without_detections() -> None:
    scene = one_image([(0, 0, 10, 10, 0.8, 0)], [])
    assert confidence_curves(*scene, overlaps(*scene, least=0.5), num_classes=2).best[1] == 0.0
    scene = one_image([], [(0, 0, 10, 10, 0)])
    assert confidence_curves(*scene, overlaps(*scene, least=0.5), num_classes=1).mean_f1.max() == 0.0
