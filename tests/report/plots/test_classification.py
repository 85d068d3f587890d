"""The confusion matrix: it follows the data, and fits any number of classes."""

import numpy as np
import pytest
from pixels import read  # type: ignore[import-not-found]

from dlcli.report.plots import classification as classification_plots
from dlcli.report.plots.classification import ClassCurve
from dlcli.report.plots.figure import DPI


def test_confusion_matrix_follows_the_data() -> None:
    classes = ("ant", "bee", "cat")
    counts = [[9, 1, 0], [0, 8, 2], [3, 0, 7]]
    pixels = read(classification_plots.confusion_matrix(counts, classes))
    for changed, names in (
        ([[9, 0, 1], *counts[1:]], classes),
        ([[90, 10, 0], *counts[1:]], classes),  # other counts of the same proportions
        (counts, ("ant", "bee", "dog")),
    ):
        other = read(classification_plots.confusion_matrix(changed, names))
        assert other.shape != pixels.shape or (other != pixels).any()


@pytest.mark.parametrize("num_classes", [2, 3, 10, pytest.param(100, marks=pytest.mark.slow), 250])
def test_confusion_matrix_of_any_size_is_bounded(num_classes) -> None:
    counts = 40 * np.eye(num_classes, dtype=int)
    pixels = read(
        classification_plots.confusion_matrix(counts.tolist(), [f"class number {i}" for i in range(num_classes)])
    )
    assert min(pixels.shape[:2]) > 2.6 * DPI
    # without the color bar, what is blue is the diagonal; two squares of it correlate by 0.75, many by nearly 1
    blue = pixels[:, : int(0.85 * pixels.shape[1])].astype(int)
    squares = np.argwhere((blue[..., 2] > 100) & (blue[..., 0] < 60))
    assert np.corrcoef(squares.T)[0, 1] > (0.6 if num_classes < 10 else 0.95)


@pytest.mark.parametrize(("num_classes", "count", "written"), [(4, 40, True), (20, 400, True), (60, 10**8, False)])
def test_counts_are_written_where_they_can_be_read(num_classes, count, written) -> None:
    def middle(count: int) -> np.ndarray:
        counts = count * np.eye(num_classes, dtype=int)
        pixels = read(classification_plots.confusion_matrix(counts.tolist(), ["x"] * num_classes))
        height, width, _ = pixels.shape
        return pixels[height // 4 : height // 2, width // 4 : width // 2]

    assert (middle(count) != middle(count + 1)).any() == written


@pytest.mark.parametrize("counts", [[[0, 0], [0, 0]], [[0, 0], [5, 0]], [[10**7, 3], [2, 10**7]]])
def test_confusion_matrix_of_unusual_counts(counts) -> None:
    read(classification_plots.confusion_matrix(counts, ("a", "b")))


def test_the_most_confused_of_many_classes_are_shown() -> None:
    """The shown part depends on its own counts and names, and on the support of its classes, not on other classes."""
    found = np.array([[1, 2, 5], [2, 2, 9], [3, 3, 4], [7, 9, 1]])
    names = [f"class {i}" for i in range(300)]

    def middle(found: np.ndarray) -> np.ndarray:
        pixels = read(classification_plots.confused_classes(found, [1, 2], names))
        return pixels[pixels.shape[0] // 4 : -pixels.shape[0] // 4]

    pixels = middle(found)
    assert (middle(np.array([*found[:2], [3, 3, 5], found[3]])) == pixels).all()
    for changed in ([[1, 2, 6], *found[1:]], [*found, [2, 8, 3]]):
        assert (middle(np.array(changed)) != pixels).any()
    read(classification_plots.confused_classes(found[1:3], [], names))  # no mistakes


def test_curves_follow_the_data() -> None:
    x, y = np.linspace(0, 1, 20), np.linspace(0, 1, 20) ** 0.5
    for plot in (classification_plots.roc, classification_plots.precision_recall):
        pixels = read(plot([ClassCurve("ant", x, y, 0.66), ClassCurve("bee", x, x, 0.5)]))
        assert (read(plot([ClassCurve("ant", x, y, 0.66), ClassCurve("bee", x, x**2, 0.33)])) != pixels).any()
    many = [ClassCurve(f"class {i}", x, x ** (1 / (i + 1)), i / 20) for i in range(20)]
    few = [*many[:7], *[ClassCurve("other", x, y, 1.0)] * 13]
    assert (read(classification_plots.roc(many)) == read(classification_plots.roc(few))).all()  # the smallest areas


def test_a_confusion_matrix_must_fit_its_classes() -> None:
    with pytest.raises(ValueError, match=r"of 3 classes must have the shape \[3, 3\]\. Received \[2, 2\]\."):
        classification_plots.confusion_matrix([[1, 0], [0, 1]], ("a", "b", "c"))
