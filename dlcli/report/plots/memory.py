"""What a Neural Turing Machine reads and writes: time runs to the right, rows of the memory from top to bottom."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from dlcli.report.plots.figure import new_figure, png, style

MOST_STEPS = 80


def memory_plot(parts: Mapping[str, tuple[npt.NDArray[Any], str]], *, boundary: int) -> bytes:
    """One image below the other, on the same axis of time.

    Args:
        parts: by title, values ``[rows, steps]`` and what the rows are.
        boundary: the step after the shown input, marked by a line.
    """
    with style():
        steps = min(MOST_STEPS, max(values.shape[1] for values, _ in parts.values()))
        heights = [0.5 + 0.06 * min(64, len(values)) for values, _ in parts.values()]
        figure = new_figure(max(5.0, 0.14 * steps + 1.5), sum(heights) + 0.4 * len(parts))
        figure.set_layout_engine("constrained")
        grid = figure.add_gridspec(len(parts), 1, height_ratios=heights)
        for number, (title, (values, label)) in enumerate(parts.items()):
            axes = figure.add_subplot(grid[number])
            drawn = axes.imshow(values[:, :steps], cmap="viridis", interpolation="nearest", aspect="auto", vmin=0)
            axes.axvline(boundary - 0.5, color="white", linewidth=1, linestyle=":")
            axes.set_title(title, fontsize=9)
            axes.set_ylabel(label, fontsize=8)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
            axes.grid(visible=False)
            figure.colorbar(drawn, ax=axes, pad=0.01)
            if number == len(parts) - 1:
                axes.set_xlabel("step")
        return png(figure)
