"""Predicted boxes beside the true ones, and localization accuracy by IoU threshold."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from dlcli.report.plots.figure import BLUE, GRAY, GREEN, VERMILION, new_figure, png, printable, style
from dlcli.report.plots.image_grid import Images, image_grid


def boxes(
    images: Images,
    *,
    true: npt.NDArray[Any],
    predicted: npt.NDArray[Any],
    titles: Sequence[str],
    names: Sequence[str],
    num_columns: int,
) -> bytes:
    """Images with the true box and the predicted one, rel_xyxy ``[n, 4]``; one that says so where there are none."""
    if len(images) == 0:
        with style():
            figure = new_figure(4.0, 1.5)
            figure.text(0.5, 0.5, "No boxes", ha="center", va="center", fontsize=14, color=GRAY)
            return png(figure)
    captions = [[printable(a, 24), printable(b, 40)] for a, b in zip(titles, names, strict=True)]
    return image_grid(
        *(images, captions),
        title="IoU of the true box (green) and the predicted one (orange)",
        outlines=[(true, GREEN), (predicted, VERMILION)],
        num_columns=num_columns,
    )


def localization_curves(curves: Mapping[str, Sequence[Sequence[float]]]) -> bytes:
    """Localization accuracy over the IoU that a box must reach: pairs of (threshold, accuracy) by a line's name."""
    with style():
        figure = new_figure(5.0, 3.6)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        for (name, points), color in zip(curves.items(), (BLUE, GRAY), strict=False):
            axes.plot(*zip(*points, strict=True), label=name, color=color, marker="o", markersize=3)
        axes.set_xlabel("intersection over union of at least")
        axes.set_ylabel("localization accuracy")
        axes.set_ylim(-0.02, 1.02)
        axes.grid(True)
        axes.legend(frameon=False)
        return png(figure)
