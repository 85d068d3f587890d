"""Plots of detection: F1 by score, and images with their true and predicted boxes or masks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from dlcli.report.plots.box_labels import write_labels
from dlcli.report.plots.classification import matrix_of
from dlcli.report.plots.figure import (
    BLUE,
    GRAY,
    GREEN,
    LINE_COLORS,
    VERMILION,
    new_figure,
    png,
    printable,
    shrink_to,
    style,
)
from dlcli.report.plots.image_grid import Images, draw_image, outline_box
from dlcli.report.plots.mask_overlay import tinted

BACKGROUND = "background"
SIDE = 2.5  # of an image in inches
NUM_PAIRS = 3  # of true and predicted boxes in a row
MAX_BOXES = 60  # drawn on an image
MIN_PREDICTED = 10  # detections drawn of an image with few objects, if there are so many


@dataclass(frozen=True)
class MarkedBox:
    """A box to be drawn.

    Attributes:
        box: rel_xyxy ``[4]``.
        label: its class, and the score of a predicted one.
        is_matched: whether the true object is found, or the detection is right; None for one that does not count.
        mask: 1 in the object, ``[height, width]`` of the image; None for a box alone.
    """

    box: npt.NDArray[np.float64]
    label: str
    is_matched: bool | None
    mask: npt.NDArray[np.uint8] | None = None

    def color(self, matched: str) -> str:
        """Of its outline.

        Args:
            matched: the color of one that is matched.
        """
        return GRAY if self.is_matched is None else matched if self.is_matched else VERMILION


def f1_curves(
    scores: npt.NDArray[np.float64],
    f1: npt.NDArray[np.float64],
    mean: npt.NDArray[np.float64],
    classes: Sequence[str],
    *,
    threshold: float,
) -> bytes:
    """F1 as a function of the score from which detections count; with many classes, those of the lowest F1.

    Args:
        scores: ``[s]``.
        f1: of each class ``[classes, s]``; NaN for classes without objects.
        mean: over the classes ``[s]``.
        threshold: the score from which detections count.
    """
    at = int(np.abs(scores - threshold).argmin())
    known = [label for label in range(len(classes)) if not np.isnan(f1[label]).any()]
    shown = sorted(known, key=lambda label: float(f1[label, at]))[: len(LINE_COLORS) - 1]
    with style():
        figure = new_figure(7.4, 4.6)
        axes = figure.add_axes((0.085, 0.11, 0.54, 0.8))
        axes.plot(scores, mean, color="black", linewidth=2.4, label=f"mean: {mean[at]:.3f}")
        for label, color in zip(shown, LINE_COLORS, strict=False):
            axes.plot(scores, f1[label], color=color, label=f"{printable(classes[label], 24)}: {f1[label, at]:.3f}")
        axes.axvline(threshold, color=GRAY, linewidth=0.8, linestyle=":")
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
        axes.grid(True)
        axes.set_xlabel("smallest score")
        axes.set_ylabel("F1 at an IoU of 0.5")
        which = "" if len(shown) == len(known) else f"\n{len(shown)} of {len(known)} classes: the lowest F1"
        axes.set_title(f"F1 by smallest score{which}")
        title = f"F1 at a score ≥ {threshold:.3f}"
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), title=title, fontsize=8)
        return png(figure)


def confusion_matrix(
    matrix: Sequence[Sequence[int]], classes: Sequence[str], *, threshold: float, chosen_on: str
) -> bytes:
    """The confusion matrix with the background, colored by the proportion of each row.

    Args:
        matrix: counts, true classes in rows and predicted ones in columns, the background last.
        classes: names, without the background.
        threshold: the score from which detections count.
        chosen_on: the split for whose mean F1 the threshold is best; empty for one that was not chosen.
    """
    counts = np.array(matrix)
    found, objects = int(np.trace(counts)), int(counts[:-1].sum())
    title = (
        f"{found:,} of {objects:,} objects found (IoU 0.5)\n"
        f"{int(counts[-1].sum()):,} detections on background\n"
        f"score ≥ {threshold:.3f}" + (f": best mean F1 on {chosen_on}" if chosen_on else "")
    )
    return matrix_of(counts, counts.sum(axis=1), [*classes, BACKGROUND], title)


def comparison(
    images: Images,
    true: Sequence[Sequence[MarkedBox]],
    predicted: Sequence[Sequence[MarkedBox]],
    *,
    titles: Sequence[str],
    names: Sequence[str],
    threshold: float,
) -> bytes:
    """Pairs of each image with its true boxes, and with its predicted ones; three pairs in a row.

    Of many predicted boxes those with the highest scores are drawn, at most twice the number of true ones.

    Args:
        images: ``[n, height, width, 1 or 3]`` in [0, 255].
        predicted: in descending order of their scores.
        titles: caption of each image.
        names: name of each image.
        threshold: the score from which detections count, for the title.
    """
    if len(images) == 0:
        with style():
            figure = new_figure(4.0, 1.5)
            figure.text(0.5, 0.5, "No objects and no detections", ha="center", va="center", fontsize=12, color=GRAY)
            return png(figure)
    height = SIDE * min(max(images.shape[1] / images.shape[2], 0.4), 2.0)
    num_columns = 2 * min(NUM_PAIRS, len(images))
    num_rows = -(-len(images) // NUM_PAIRS)
    with style():
        figure = new_figure(num_columns * SIDE, num_rows * (height + 0.55) + 0.7)
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
        title = (
            "true objects: found green, missed orange, ignored gray\n"
            f"detections from a score of {threshold:.3f} on: right blue, false orange, ignored gray"
        )
        shrink_to(figure.suptitle(title), num_columns * SIDE - 0.3)
        for i, image in enumerate(images):
            texts = [printable(titles[i], 60), printable(names[i], 60)]  # below the true and the predicted boxes
            best = predicted[i][: max(MIN_PREDICTED, 2 * len(true[i]))]
            of_all = "predicted" if len(best) == len(predicted[i]) else f"predicted: {len(best)} of {len(predicted[i])}"
            for kind, boxes, color in (("true", true[i], GREEN), (of_all, best, BLUE)):
                axes = figure.add_subplot(num_rows, num_columns, 2 * i + 1 + (kind != "true"))
                _draw(axes, image, boxes, color)
                axes.set_title(kind, fontsize=8)
                shrink_to(axes.set_xlabel(texts.pop(0), fontsize=7, color=GRAY), SIDE - 0.15)
        return png(figure)


def _draw(axes: Axes, image: Images, boxes: Sequence[MarkedBox], color: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    pixels = image.astype(np.float64)
    for marked in reversed(boxes[:MAX_BOXES]):
        if marked.mask is not None:
            pixels = tinted(pixels, marked.mask > 0, marked.color(color))
    draw_image(axes, pixels, (0.0, 255.0))
    height, width = image.shape[:2]
    shown = boxes[:MAX_BOXES]
    for marked in reversed(shown):  # the first one above the others
        outline_box(axes, marked.box, image.shape, marked.color(color))
    write_labels(
        axes,
        [tuple(np.clip(marked.box, 0, 1) * (width, height, width, height) - 0.5) for marked in shown],
        [printable(marked.label, 24) for marked in shown],
        [marked.color(color) for marked in shown],
        fontsize=6,
    )
