"""What a convolution makes of a signal or an image, step by step."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from dlcli.report.plots.figure import BLUE, GRAY, GREEN, LINE_COLORS, VERMILION, new_figure, png, style

Array = NDArray[np.float64]
COLORS = (BLUE, VERMILION, GREEN, *LINE_COLORS[3:])
MAX_STEMS = 60  # values of a signal that are drawn one by one; more are a line
MAX_WRITTEN = 7  # size of a kernel whose weights are written into it


def signal_figure(steps: Mapping[str, Array]) -> bytes:
    """Signals ``[n]`` below each other: the input, the kernel, and what was computed, by name."""
    longest = max(len(values) for values in steps.values())
    with style():
        figure = new_figure(6.4, 0.3 + 1.1 * len(steps))
        figure.set_layout_engine("constrained")
        for row, (name, values) in enumerate(steps.items()):
            axes = figure.add_subplot(len(steps), 1, row + 1)
            color = COLORS[row % len(COLORS)]
            positions = np.arange(len(values))
            if len(values) > MAX_STEMS:
                axes.plot(positions, values, color=color, linewidth=0.9)
            else:
                axes.vlines(positions, 0, values, color=color)
                axes.plot(positions, values, "o", color=color, markersize=4)
            axes.axhline(0, color=GRAY, linewidth=0.6)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_title(f"{name}, {len(values):,} values", loc="left")
            axes.margins(y=0.15)
            axes.set_xlim(-0.5 - 0.01 * longest, longest - 0.5 + 0.01 * longest)
        return png(figure)


def image_figure(steps: Mapping[str, Array], kernel: Array) -> bytes:
    """Images ``[height, width, channels]`` beside each other: the input, the kernel, and what was computed, by name.

    The input is drawn as it is, in [0, 255]. Of the others, zero is mid-gray where there are negative values; gray
    ends at the 99.5th percentile of the magnitudes. Colors of images with three channels are scaled alike.
    """
    first, *rest = steps.items()
    height = min(max(first[1].shape[0] / first[1].shape[1], 0.4), 2.0)
    with style():
        figure = new_figure(2.6 * (len(steps) + 1), 2.6 * height + 0.7)
        figure.set_layout_engine("constrained")
        panels = [figure.add_subplot(1, len(steps) + 1, column + 1) for column in range(len(steps) + 1)]
        for axes in panels:
            axes.set_xticks([])
            axes.set_yticks([])
        _image(panels[0], first[1] / 255, first[0], first[1].shape)
        _kernel(panels[1], kernel)
        for axes, (name, values) in zip(panels[2:], rest, strict=True):
            _image(axes, _gray(values), name, values.shape)
        return png(figure)


def _gray(values: Array) -> Array:
    limit = float(np.percentile(np.abs(values), 99.5)) or float(np.abs(values).max()) or 1.0
    scaled = values / limit
    return (scaled + 1) / 2 if values.min() < 0 else scaled


def _image(axes: Axes, values: Array, name: str, shape: tuple[int, ...]) -> None:
    shown = np.clip(values, 0, 1)
    axes.imshow(shown[..., 0] if shown.shape[-1] == 1 else shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(name)
    axes.set_xlabel(f"{shape[0]}x{shape[1]}", color=GRAY)


def _kernel(axes: Axes, kernel: Array) -> None:
    limit = float(np.abs(kernel).max()) or 1.0
    axes.imshow(kernel, cmap="RdBu_r", vmin=-1.4 * limit, vmax=1.4 * limit, interpolation="nearest")
    axes.set_title("kernel")
    axes.set_xlabel(f"{kernel.shape[0]}x{kernel.shape[1]}", color=GRAY)
    if max(kernel.shape) <= MAX_WRITTEN:
        for (row, column), weight in np.ndenumerate(kernel):
            axes.text(column, row, f"{weight:.3g}", ha="center", va="center")
