"""Grids of images with captions and boxes."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from dlcli.report.plots.figure import GRAY, LINE_COLORS, new_figure, png, shrink_to, style

Images = npt.NDArray[Any]
"""Images ``[n, height, width, channels]`` in [0, 255]; or signals ``[n, time, channels]`` or volumes ``[n, depth,
height, width, channels]`` in any range."""

Overlay = Callable[[Axes, int], None]
MAX_IMAGES = 25


def image_grid(
    images: Images,
    captions: Sequence[Sequence[str]],
    *,
    title: str,
    outlines: Sequence[tuple[npt.NDArray[Any], str]] = (),
    overlay: Overlay | None = None,
    num_columns: int | None = None,
) -> bytes:
    """A grid of images.

    Args:
        captions: one or two texts for each image: the first goes above it, in one or more lines, the second below.
        title: title of the figure.
        outlines: boxes rel_xyxy ``[n, 4]`` and their color; NaN where an image has no box.
        overlay: draws on the image at a position.
        num_columns: number of images in a row. Default: the square root of their number, rounded up.
    """
    images = np.nan_to_num(images.astype(np.float64))
    limits = (0.0, 255.0) if images.ndim == 4 else (float(images.min()), float(images.max()))
    num_columns = num_columns or math.ceil(math.sqrt(len(images)))
    num_rows = math.ceil(len(images) / num_columns)
    width = 1.7  # of a column in inches
    height = width * (1.0 if images.ndim == 3 else min(max(images.shape[-3] / images.shape[-2], 0.4), 2.0))
    above = 0.15 * max((caption[0].count("\n") for caption in captions), default=0)  # of further lines
    with style():
        least = 6.4 if outlines and len(title) > 30 else 3.2  # room for the title
        figure = new_figure(max(least, num_columns * width), num_rows * (height + above + 0.4) + 0.4)
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
        figure.suptitle(title)
        for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
            axes = figure.add_subplot(num_rows, num_columns, i + 1)
            axes.set_xticks([])
            axes.set_yticks([])
            draw_image(axes, image, limits)
            for boxes, color in outlines:
                outline_box(axes, boxes[i], image.shape, color)
            if overlay is not None:
                overlay(axes, i)
            shrink_to(axes.set_title(caption[0], fontsize=9), width - 0.15)
            if len(caption) > 1:
                shrink_to(axes.set_xlabel(caption[1], fontsize=7, color=GRAY), width - 0.15)
        return png(figure)


def draw_image(axes: Axes, image: npt.NDArray[Any], limits: tuple[float, float]) -> None:
    """Draws an image, a signal as lines, or the middle slice of a volume; ``limits`` are black and white."""
    if image.ndim == 2:  # [time, channels]
        for channel, color in zip(image.T, LINE_COLORS, strict=False):
            axes.plot(channel, color=color, linewidth=0.9)
        return
    if image.ndim == 4:  # [depth, height, width, channels]
        image = image[len(image) // 2]
    axes.spines[:].set_visible(False)
    low, high = limits
    shades = np.clip((image - low) / ((high - low) or 1.0), 0, 1)
    if shades.shape[-1] == 3:
        axes.imshow(shades, interpolation="nearest")
    else:
        axes.imshow(shades[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def outline_box(axes: Axes, box: npt.NDArray[Any], shape: Sequence[int], color: str) -> None:
    """Draws the edges of a box, rel_xyxy, on an image of shape ``[height, width, channels]``; nothing if it is NaN."""
    if np.isnan(box).any():
        return
    height, width = shape[:2]
    left, top, right, bottom = box * (width, height, width, height) - 0.5  # the first pixel's center is 0
    axes.autoscale(False)  # so that a box beyond the image does not shrink it
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color="white", linewidth=2.6)
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=color, linewidth=1.4)
