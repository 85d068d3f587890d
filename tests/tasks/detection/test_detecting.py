"""Detections in pixels, and suppression in the model against the exact one."""

import numpy as np
import pytest
from detector_table import DETECT, detector_of, samples_of  # type: ignore[import-not-found]

from dlcli.runtime.console import Console
from dlcli.tasks.detection.detecting import detector

CANDIDATES = np.array([[[0.1, 0.2, 0.5, 0.6], [0.1, 0.2, 0.5, 0.58], [0.5, 0.5, 1.0, 1.0]]] * 3, np.float32)
SCORES = np.array([[0.9, 0.8, 0.7], [0.9, 0.8, 0.05], [0.0, 0.0, 0.0]], np.float32)
LABELS = np.array([[0, 0, 1], [0, 1, 1], [-1, -1, -1]], np.int32)
SIZES = [(100, 50), (200, 200), (10, 30)]


def test_boxes_are_in_the_pixels_of_each_image() -> None:
    model = detector_of(CANDIDATES, SCORES, LABELS)
    found = detector(model, samples_of([[]] * 3, SIZES), batch_size=2, console=Console(quiet=True))().detections
    assert found.offsets.tolist() == [0, 2, 4, 4]
    assert found.classes.tolist() == [0, 1, 0, 1]
    expected = [[10, 10, 50, 30], [50, 25, 100, 50], [20, 40, 100, 120], [20, 40, 100, 116]]
    np.testing.assert_array_equal(found.boxes, expected)
    np.testing.assert_array_equal(found.scores, SCORES[[0, 0, 1, 1], [0, 2, 0, 1]].astype(np.float64))


@pytest.mark.parametrize(
    ("final", "differs"), [(None, 0), ([[0, 2], [0, 1], [-1, -1]], 0), ([[0, 1], [0, 1], [-1, -1]], 1)]
)
def test_images_are_counted_in_which_suppression_differs(final: list[list[int]] | None, differs: int) -> None:
    model = detector_of(CANDIDATES, SCORES, LABELS, None if final is None else np.array(final))
    keys = {"batch_size": 2, "console": Console(quiet=True)}
    assert detector(model, samples_of([[]] * 3, SIZES), detect=DETECT, **keys)().nms_differs == differs
    soft = DETECT.model_copy(update={"nms": "soft"})
    assert detector(model, samples_of([[]] * 3, SIZES), detect=soft, **keys)().nms_differs is None


def test_a_detector_is_used_again() -> None:
    model = detector_of(CANDIDATES, SCORES, LABELS)
    detect = detector(model, samples_of([[]] * 3, SIZES), batch_size=3, console=Console(quiet=True))
    first, second = detect().detections, detect().detections
    np.testing.assert_array_equal(first.boxes, second.boxes)
