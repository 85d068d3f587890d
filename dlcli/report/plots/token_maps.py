"""Which input tokens each output token is due to: inputs from left to right, outputs from top to bottom."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.report.plots.attribution import COLORS
from dlcli.report.plots.figure import GRAY, new_figure, png, printable, style

MOST_MAPS = 6
MOST_TOKENS = 60
FAINT = 0.5
TokenMap = tuple[str, Sequence[str], Sequence[str], npt.NDArray[Any]]


def token_maps(maps: Sequence[TokenMap], *, heading: str, is_signed: bool) -> bytes:
    """A heat map for each of at most 6 samples.

    Args:
        maps: title, input tokens, output tokens and values ``[outputs, inputs]`` of each.
        heading: what the values are.
        is_signed: red above zero and blue below; else values in [0, 1], whose colors end at 1, or at the largest of a
            map that has none above 0.5.
    """
    maps = maps[:MOST_MAPS]
    side = 0.2
    widths = [side * min(MOST_TOKENS, len(inputs)) for _, inputs, _, _ in maps]
    heights = [1.1 + side * min(MOST_TOKENS, len(outputs)) for _, _, outputs, _ in maps]
    with style():
        figure = new_figure(max(5.0, max(widths) + 2.4), sum(heights) + 0.5)
        figure.set_layout_engine("constrained")
        figure.suptitle(heading, fontsize=9, color=GRAY)
        grid = figure.add_gridspec(len(maps), 1, height_ratios=heights)
        for number, (title, inputs, outputs, values) in enumerate(maps):
            axes = figure.add_subplot(grid[number])
            values = values[:MOST_TOKENS, :MOST_TOKENS].astype(np.float64)
            largest = float(np.abs(values).max())
            largest = (largest if is_signed or largest < FAINT else 1.0) or 1.0
            drawn = axes.imshow(
                values,
                cmap=COLORS if is_signed else "Blues",
                vmin=-largest if is_signed else 0,
                vmax=largest,
                interpolation="nearest",
                aspect="auto",
            )
            columns, rows = ([_shown(token) for token in tokens[:MOST_TOKENS]] for tokens in (inputs, outputs))
            is_short = all(len(token) <= 1 for token in columns)
            axes.set_xticks(range(len(columns)), columns, fontsize=7, rotation=0 if is_short else 90)
            axes.set_yticks(range(len(rows)), rows, fontsize=7)
            axes.xaxis.tick_top()
            axes.set_title(printable(title, 90), fontsize=8)
            axes.grid(visible=False)
            figure.colorbar(drawn, ax=axes, pad=0.01)
        return png(figure)


def _shown(token: str) -> str:
    return printable(token, 14) if token.strip() else "␣"
