"""Plots of detection: boxes are drawn where they are, with any class name, and curves follow the data."""

import numpy as np
import pytest
from pixels import LONG, STRANGE_NAMES, decoded, plain, read, where  # type: ignore[import-not-found]

from dlcli.report.plots.detections import MarkedBox, comparison, confusion_matrix, f1_curves
from dlcli.report.plots.figure import BLUE, GREEN, LINE_COLORS, VERMILION

BOX = np.array([0.2, 0.3, 0.6, 0.8])
SCORES = np.linspace(0, 1, 101)


def compared(true: list[MarkedBox], predicted: list[MarkedBox], num: int = 1) -> np.ndarray:
    return decoded(
        comparison(
            plain(num, 80, 120),
            [true] * num,
            [predicted] * num,
            titles=[f"best: 0.{i}" for i in range(num)],
            names=["cat.png"] * num,
            threshold=0.25,
        )
    )


def test_boxes_are_drawn_in_the_colors_of_what_they_are() -> None:
    pixels = compared([MarkedBox(BOX, "cat", is_matched=True)], [MarkedBox(BOX, "cat 0.90", is_matched=False)])
    middle = pixels.shape[1] / 2
    true, predicted = where(pixels, GREEN), where(pixels, VERMILION)
    assert true is not None
    assert predicted is not None
    assert true[2] < middle < predicted[0]
    assert where(pixels, BLUE) is None
    pixels = compared([MarkedBox(BOX, "cat", is_matched=False)], [MarkedBox(BOX, "cat 0.90", is_matched=True)])
    true, predicted = where(pixels, VERMILION), where(pixels, BLUE)
    assert true is not None
    assert predicted is not None
    assert true[2] < middle < predicted[0]
    assert where(pixels, GREEN) is None
    pixels = compared([MarkedBox(BOX, "cat", is_matched=None)], [MarkedBox(BOX, "cat 0.90", is_matched=None)])
    assert [where(pixels, color) for color in (GREEN, BLUE, VERMILION)] == [None] * 3


def test_any_names_and_many_boxes_and_none() -> None:
    boxes = [MarkedBox(BOX, name, is_matched=True) for name in STRANGE_NAMES]
    assert compared(boxes * 5, [], num=4).size
    file = comparison(plain(1), [[]], [boxes], titles=["best"], names=[LONG], threshold=0.5)
    read(file)
    read(comparison(plain(0), [], [], titles=[], names=[], threshold=0.5))


def test_of_many_detections_the_best_are_drawn() -> None:
    right = MarkedBox(BOX, "cat", is_matched=True)
    wrong = MarkedBox(np.array([0.7, 0.1, 0.9, 0.2]), "cat", is_matched=False)
    assert where(compared([right] * 6, [right] * 11 + [wrong]), VERMILION) is not None
    assert where(compared([right] * 5, [right] * 10 + [wrong]), VERMILION) is None


@pytest.mark.parametrize("num_classes", [1, 3, 30])
def test_f1_curves_of_few_and_many_classes(num_classes: int) -> None:
    f1 = np.linspace(0.2, 0.9, num_classes)[:, None] * (1 - SCORES)
    names = [(*STRANGE_NAMES, LONG)[i % len(STRANGE_NAMES)] for i in range(num_classes)]
    pixels = read(f1_curves(SCORES, f1, f1.mean(axis=0), names, threshold=0.3))
    for color in LINE_COLORS[: min(num_classes, len(LINE_COLORS) - 1)]:
        assert where(pixels, color) is not None


def test_the_curve_of_a_class_without_objects_is_left_out() -> None:
    f1 = np.stack([np.full(101, np.nan), 1 - SCORES])
    pixels = decoded(f1_curves(SCORES, f1, 1 - SCORES, ["cat", "dog"], threshold=0.3))
    assert where(pixels, LINE_COLORS[0]) is not None
    assert where(pixels, LINE_COLORS[1]) is None


@pytest.mark.parametrize("num_classes", [1, 2, 40])
def test_confusion_matrices_with_the_background(num_classes: int) -> None:
    matrix = np.eye(num_classes + 1, dtype=int) * 7
    names = [f"class {i}" for i in range(num_classes)]
    read(confusion_matrix(matrix.tolist(), names, threshold=0.123, chosen_on="these images"))
