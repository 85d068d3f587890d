"""Maps of attribution beside their images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from dlcli.report.plots.figure import GRAY, GREEN, VERMILION, new_figure, png, printable, shrink_to, style
from dlcli.report.plots.image_grid import draw_image

Maps = npt.NDArray[Any]

MOST_ROWS = 12
"""Of a plot; callers choose the images."""
COLORS = "RdBu_r"
"""Diverging: red speaks for the class, blue against it, white says nothing."""
WHITE = "white"
FINE = 4  # lines per pixel of an outline, so that it follows the edges of pixels
PERCENTILE = 99.5
"""Of the absolute values, where the colors end: a few extreme pixels would leave the rest of a map white."""


@dataclass(frozen=True)
class MapColumn:
    """The maps of one method.

    Attributes:
        title: of the column, such as the method and its layer.
        maps: ``[n, height, width]``, signed.
        notes: what must be known of each map, such as that it is empty; or nothing.
        warning: what must be known of the method, such as that it fails a check; or nothing.
    """

    title: str
    maps: Maps
    notes: Sequence[str]
    warning: str = ""


def attribution_maps(
    images: npt.NDArray[Any],
    captions: Sequence[str],
    names: Sequence[str],
    columns: Sequence[MapColumn],
    *,
    title: str,
    outlines: npt.NDArray[np.bool_] | None = None,
) -> bytes:
    """A row for each image: the image, and the map of each method over the pale image.

    Args:
        images: ``[n, height, width, channels]`` in [0, 255], at least one.
        captions: what is explained of each image, below it, in one or more lines.
        names: of the images, above them.
        title: what the colors mean.
        outlines: what is marked in each image and its maps, ``[n, height, width]``; None for nothing.
    """
    images, num_rows = images.astype(np.float64), len(images)
    side = 2.1  # of a column in inches
    height = side * min(max(images.shape[1] / images.shape[2], 0.4), 2.0)
    num_columns = 1 + len(columns)
    with style():
        width = max(num_columns * side, 3.2)
        figure = new_figure(width, num_rows * (height + 0.45) + 0.5)
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
        shrink_to(figure.suptitle(title, fontsize=9, color=GRAY), width - 0.2)
        for row in range(num_rows):
            axes = figure.add_subplot(num_rows, num_columns, row * num_columns + 1)
            draw_image(axes, images[row], (0.0, 255.0))
            _outline(axes, outlines, row)
            shrink_to(axes.set_title(printable(names[row], 30), fontsize=7, color=GRAY), side - 0.15)
            lines = "\n".join(printable(line, 34) for line in captions[row].splitlines())
            shrink_to(axes.set_xlabel(lines, fontsize=7), side - 0.15)
            axes.set_xticks([])
            axes.set_yticks([])
            for position, column in enumerate(columns):
                axes = figure.add_subplot(num_rows, num_columns, row * num_columns + position + 2)
                largest = scale_of(column.maps[row])
                axes.imshow(blended(images[row], column.maps[row], largest), interpolation="nearest")
                _outline(axes, outlines, row)
                axes.set_xticks([])
                axes.set_yticks([])
                axes.spines[:].set_visible(False)
                if row == 0:
                    lines = "\n".join(filter(None, [column.title, column.warning]))
                    color = VERMILION if column.warning else "black"
                    shrink_to(axes.set_title(lines, fontsize=8, color=color), side - 0.15)
                text = f"colors end at ±{largest:.3g}" if largest else "all zero: no evidence"
                shrink_to(
                    axes.set_xlabel("\n".join(filter(None, [text, column.notes[row]])), fontsize=7, color=GRAY),
                    side - 0.15,
                )
        return png(figure)


def _outline(axes: Axes, outlines: npt.NDArray[np.bool_] | None, row: int) -> None:
    """Draw the edge of what is marked in an image, between its pixels and the others."""
    if outlines is None or not outlines[row].any():
        return
    height, width = outlines[row].shape
    padded = np.pad(outlines[row], 1).astype(float).repeat(FINE, axis=0).repeat(FINE, axis=1)
    rows, columns = ((np.arange(side * FINE) + 0.5) / FINE - 1.5 for side in (height + 2, width + 2))
    for color, width_of_line in ((WHITE, 1.6), (GREEN, 0.8)):  # on any background
        axes.contour(columns, rows, padded, levels=[0.5], colors=[color], linewidths=width_of_line)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)


def scale_of(values: Maps) -> float:
    """The absolute value at which the colors of a map end; 0 if all its values are 0."""
    sizes = np.abs(values.astype(np.float64))
    return float(np.percentile(sizes, PERCENTILE)) or float(sizes.max())


def blended(image: npt.NDArray[Any], values: Maps, largest: float) -> npt.NDArray[np.float64]:
    """Colors ``[height, width, 3]`` in [0, 1] of a map, multiplied by the pale gray image.

    Args:
        image: ``[height, width, channels]`` in [0, 255].
        values: ``[height, width]``; 0 is white.
        largest: where the colors end.
    """
    pale = 0.75 + 0.25 * np.clip(image.mean(axis=-1, keepdims=True) / 255, 0, 1)
    share = np.clip(values / (largest or 1.0), -1, 1)
    colors: npt.NDArray[np.float64] = matplotlib.colormaps[COLORS]((share + 1) / 2)[..., :3] * pale
    return colors
