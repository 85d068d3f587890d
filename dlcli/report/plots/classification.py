"""Plots of classification: the confusion matrix, and the curves of each class against all others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from dlcli.report.plots.figure import GRAY, LINE_COLORS, new_figure, png, printable, size_of, style


def confusion_matrix(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> bytes:
    """The confusion matrix, colored by the proportion of each true class, with counts if they fit.

    Args:
        matrix: counts, with a row for each true class and a column for each predicted class.
        classes: names in the same order.

    Raises:
        ValueError: the matrix does not have a row and a column for each class.
    """
    counts = np.array(matrix)
    num_classes = len(classes)
    if counts.shape != (num_classes, num_classes):
        raise ValueError(
            f"a confusion matrix of {num_classes} classes must have the shape [{num_classes}, {num_classes}]. "
            f"Received {list(counts.shape)}."
        )
    correct, total = int(np.trace(counts)), int(counts.sum())
    percent = f" ({100 * correct / total:.1f}%)" if total else ""
    return matrix_of(counts, counts.sum(axis=1), classes, f"{correct:,} of {total:,} correct{percent}")


def confused_classes(found: npt.NDArray[np.int64], shown: Sequence[int], classes: Sequence[str]) -> bytes:
    """The part of a large confusion matrix for some classes, colored by the proportion of each true class.

    Args:
        found: rows of true class, predicted class and count, ``[m, 3]``.
        shown: the classes to show; if there are none, all predictions are correct, and the first class is shown.
        classes: names of all classes.
    """
    shown = shown or [0]
    place = np.full(len(classes), -1)
    place[np.array(shown)] = np.arange(len(shown))
    label, predicted, count = found.T
    support = np.bincount(label, weights=count, minlength=len(classes))[np.array(shown)]
    is_shown = (place[label] >= 0) & (place[predicted] >= 0)
    counts = np.zeros((len(shown), len(shown)), np.int64)
    counts[place[label[is_shown]], place[predicted[is_shown]]] = count[is_shown]
    correct, total = int(count[label == predicted].sum()), int(count.sum())
    title = f"{correct:,} of {total:,} correct ({100 * correct / total:.1f}%)"
    names = [classes[i] for i in shown]
    return matrix_of(counts, support, names, f"{title}\n{len(shown)} of {len(classes):,} classes: the most confused")


@dataclass(frozen=True)
class ClassCurve:
    """A curve of one class against all others.

    Attributes:
        name: of the class.
        x, y: in [0, 1], ``[n]``.
        area: below it.
    """

    name: str
    x: npt.NDArray[Any]
    y: npt.NDArray[Any]
    area: float


def roc(curves: Sequence[ClassCurve]) -> bytes:
    """ROC curves, next to the diagonal of chance; with many classes, those of the smallest areas."""
    return _curves(curves, title="ROC", x="false positive rate", y="true positive rate", has_chance=True)


def precision_recall(curves: Sequence[ClassCurve], *, title: str = "precision and recall") -> bytes:
    """Precision-recall curves; with many classes, those of the smallest areas."""
    return _curves(curves, title=title, x="recall", y="precision", has_chance=False)


def _curves(curves: Sequence[ClassCurve], *, title: str, x: str, y: str, has_chance: bool) -> bytes:
    shown = sorted(curves, key=lambda curve: curve.area)[: len(LINE_COLORS)]
    with style():
        figure = new_figure(6.9, 4.6)
        axes = figure.add_axes((0.09, 0.11, 0.58, 0.8))
        if has_chance:
            axes.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8, linestyle=":")
        for curve, color in zip(shown, LINE_COLORS, strict=False):
            axes.plot(curve.x, curve.y, color=color, label=f"{printable(curve.name, 24)}: {curve.area:.3f}")
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
        axes.grid(True)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        which = "" if len(shown) == len(curves) else f"; {len(shown)} of {len(curves)} classes: the smallest areas"
        axes.set_title(f"{title}{which}")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), title="area", fontsize=8)
        return png(figure)


def matrix_of(counts: npt.NDArray[np.int64], support: npt.NDArray[Any], classes: Sequence[str], title: str) -> bytes:
    """Counts ``[n, n]``, colored by their proportion of ``support`` ``[n]``, the samples of each true class."""
    num_classes = len(classes)
    proportions = counts / np.maximum(support, 1)[:, None]
    side = min(max(2.6, 0.5 * num_classes), 11.0)  # inches
    cell = side / num_classes * 72  # points
    step = math.ceil(6 / cell)  # rows per name, if there is no room for a name in each row
    shown = range(0, num_classes, step)
    names = [printable(classes[i], 20) for i in shown]
    size = min(9.0, 0.8 * cell * step)
    with style():
        figure = new_figure(side, side)
        axes = figure.add_axes((0, 0, 1, 1))
        image = axes.imshow(proportions, cmap="Blues", norm=Normalize(0, 1), interpolation="nearest", aspect="auto")
        axes.set_xticks(shown, names, fontsize=size)
        axes.set_yticks(shown, names, fontsize=size)
        axes.tick_params(length=2 if step > 1 else 0)
        if max(size_of(label)[0] for label in axes.get_xticklabels()) > 0.9 * side / len(names):
            axes.tick_params(axis="x", rotation=90)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title(title)
        _write_counts(axes, counts, proportions, cell)

        # the matrix keeps its size, and the figure grows by the space that the names need
        figure.draw_without_rendering()
        left = max(size_of(label)[0] for label in axes.get_yticklabels()) + 0.45
        below = max(size_of(label)[1] for label in axes.get_xticklabels()) + 0.45
        width, height = left + side + 1.0, below + side + 0.4 + 0.18 * title.count("\n")
        figure.set_size_inches(width, height)
        axes.set_position((left / width, below / height, side / width, side / height))
        bar = figure.add_axes(((left + side + 0.15) / width, below / height, 0.15 / width, side / height))
        figure.colorbar(image, cax=bar, label="proportion of the true class")
        return png(figure)


def _write_counts(axes: Axes, counts: npt.NDArray[Any], proportions: npt.NDArray[Any], cell: float) -> None:
    """Writes each count but 0 into its cell, ``cell`` points wide, if the longest count is legible there."""
    num_digits = len(str(counts.max(initial=0)))
    size = min(10.0, 0.9 * cell / (0.65 * num_digits))
    if size < 5:
        return
    for row, column in np.argwhere(counts > 0):
        color = "white" if proportions[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=size)
