"""The bars of classes: they follow the scores and the baseline, and fit any number of classes."""

import numpy as np
import pytest
from pixels import read  # type: ignore[import-not-found]

from dlcli.report.plots.class_scores import MAX_SHOWN, class_scores
from dlcli.report.plots.figure import DPI

CLASSES = ["sky", "road", "pole"]
BLUE, VERMILION = (0, 114, 178), (213, 94, 0)


def count(pixels: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((pixels[..., :3] == color).all(axis=-1).sum())


def test_the_bars_follow_the_scores_and_an_absent_class_has_none() -> None:
    one = read(class_scores(CLASSES, [0.8, 0.4, None], measure="IoU"))
    other = read(class_scores(CLASSES, [0.8, 0.8, None], measure="IoU"))
    assert count(other, BLUE) == pytest.approx(count(one, BLUE) * 1.6 / 1.2, rel=0.03)
    assert count(one, VERMILION) == 0


def test_each_class_has_a_mark_of_the_baseline_and_the_mean_a_line() -> None:
    scores = [0.8, 0.4, None]
    two = read(class_scores(CLASSES, scores, measure="IoU", baseline=[0.3, 0.6, None], baseline_name=" "))
    one = read(class_scores(CLASSES, scores, measure="IoU", baseline=[0.3, None, None], baseline_name=" "))
    assert count(two, VERMILION) > 1.3 * count(one, VERMILION) > 0
    plain = read(class_scores(CLASSES, scores, measure="IoU"))
    for mean in (0.5, 0.6):
        pixels = read(class_scores(CLASSES, scores, measure="IoU", mean=mean))
        assert pixels.shape != plain.shape or (pixels != plain).any()


@pytest.mark.parametrize("num_classes", [1, 3, 500])
def test_any_number_of_classes_is_bounded_and_the_lowest_are_shown(num_classes: int) -> None:
    names, scores = [f"class number {i}" for i in range(num_classes)], np.linspace(1, 0, num_classes).tolist()
    pixels = read(class_scores(names, scores, measure="IoU"))
    assert 1.2 * DPI < pixels.shape[0] < (0.3 * MAX_SHOWN + 2) * DPI
    if num_classes > MAX_SHOWN:
        higher = [*np.linspace(1, 0.5, num_classes - MAX_SHOWN), *scores[-MAX_SHOWN:]]
        np.testing.assert_array_equal(read(class_scores(names, higher, measure="IoU")), pixels)


def test_each_class_must_have_a_score() -> None:
    with pytest.raises(ValueError, match=r"3 classes must have as many scores\. Received 2"):
        class_scores(CLASSES, [0.1, 0.2], measure="IoU")
