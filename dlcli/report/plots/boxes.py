"""Plots of localization: predicted and true boxes, and localization accuracy by IoU threshold."""

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
    """Images with their true and predicted boxes, rel_xyxy ``[n, 4]``; a plot that reads "No boxes" if there are none.

    Args:
        titles: caption above each image.
        names: caption below each image.
        num_columns: number of images in a row.
    """
    if len(images) == 0:
        with style():
            figure = new_figure(4.0, 1.5)
            figure.text(0.5, 0.5, "No boxes", ha="center", va="center", fontsize=14, color=GRAY)
            return png(figure)
    captions = [[printable(a, 24), printable(b, 40)] for a, b in zip(titles, names, strict=True)]
    return image_grid(
        *(images, captions),
        title="IoU of true (green) and predicted boxes (orange)",
        outlines=[(true, GREEN), (predicted, VERMILION)],
        num_columns=num_columns,
    )


def localization_curves(curves: Mapping[str, Sequence[Sequence[float]]]) -> bytes:
    """Localization accuracy as a function of the IoU threshold.

    Args:
        curves: pairs of (threshold, accuracy) for each name in the legend, at most two.
    """
    with style():
        figure = new_figure(5.0, 3.6)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        for (name, points), color in zip(curves.items(), (BLUE, GRAY), strict=False):
            axes.plot(*zip(*points, strict=True), label=name, color=color, marker="o", markersize=3)
        axes.set_xlabel("IoU threshold")
        axes.set_ylabel("localization accuracy")
        axes.set_ylim(-0.02, 1.02)
        axes.grid(True)
        axes.legend(frameon=False)
        return png(figure)
