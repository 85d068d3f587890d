"""Labels of boxes are placed where they do not cover each other, if there is room."""

import itertools

import numpy as np
import pytest
from pixels import decoded, plain, where  # type: ignore[import-not-found]

from dlcli.report.plots.box_labels import Corners, place_labels
from dlcli.report.plots.detections import MarkedBox, comparison
from dlcli.report.plots.figure import BLUE, VERMILION

AREA = (0.0, 0.0, 300.0, 200.0)
SIZE = (50.0, 10.0)


def covered(places: list[tuple[float, float]]) -> float:
    """The area that labels have in common, in pairs."""
    return sum(
        max(0.0, SIZE[0] - abs(a - c)) * max(0.0, SIZE[1] - abs(b - d))
        for (a, b), (c, d) in itertools.combinations(places, 2)
    )


@pytest.mark.parametrize(
    ("box", "place"),
    [
        ((60, 80, 220, 170), (60, 70)),  # above
        ((60, 2, 220, 170), (60, 2)),  # inside, where there is no room above
        ((60, 2, 80, 12), (60, 12)),  # below a small box, which it would cover
        ((290, 80, 300, 120), (250, 70)),  # moved into the image
        ((0, 0, 300, 200), (0, 0)),
        ((-50, -50, 400, 300), (0, 0)),
        ((300, 200, 300, 200), (250, 190)),
    ],
)
def test_where_the_label_of_one_box_is(box: Corners, place: tuple[float, float]) -> None:
    assert place_labels([box], [SIZE], AREA) == [place]


def test_labels_of_overlapping_boxes_do_not_cover_each_other() -> None:
    same: list[Corners] = [(60, 80, 220, 170)] * 8
    assert covered(place_labels(same, [SIZE] * 8, AREA)) == 0
    near: list[Corners] = [(60 + 9 * i, 80 + 4 * i, 120 + 9 * i, 130 + 4 * i) for i in range(8)]
    assert covered(place_labels(near, [SIZE] * 8, AREA)) == 0
    assert covered([(x1, y1 - 10) for x1, y1, _, _ in near]) > 0  # as they would be above each box
    assert place_labels(near, [SIZE] * 8, AREA)[0] == (60, 70)  # the first stays


def test_labels_stay_in_the_image_where_there_is_no_room() -> None:
    places = place_labels([(0, 0, 300, 200)] * 200, [SIZE] * 200, AREA)
    assert all(0 <= x <= 250 and 0 <= y <= 190 for x, y in places)
    assert place_labels([(0, 0, 3, 3)], [SIZE], (0, 0, 3, 3)) == [(0, 0)]  # a label wider than the image


def test_labels_in_a_plot_are_separate_where_boxes_are_the_same() -> None:
    box = np.array([0.2, 0.5, 0.8, 0.9])
    marked = [MarkedBox(box, "cat 0.90", is_matched=True), MarkedBox(box, "dog 0.80", is_matched=False)]
    file = comparison(plain(1, 200, 200), [[]], [marked], titles=["best"], names=["a"], threshold=0.5)
    pixels = decoded(file)
    label = where(pixels, VERMILION)  # of the second one: its outline is below that of the first
    assert label is not None
    left, top, right, bottom = label
    assert right - left > 2 * (bottom - top) > 10
    assert where(pixels[top:bottom, left:right], BLUE) is None
