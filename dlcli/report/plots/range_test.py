"""The plot of a learning-rate range test: loss by learning rate."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dlcli.report.plots.figure import BLUE, GRAY, GREEN, LINE_COLORS, VERMILION, new_figure, png, style

MARGIN = 0.1  # of the range of the smoothed loss
SUGGESTION_COLORS = (VERMILION, GREEN, *LINE_COLORS[3:])


def range_test_curve(
    learning_rates: NDArray[np.float64],
    losses: NDArray[np.float64],
    smoothed: NDArray[np.float64],
    *,
    suggestions: Mapping[str, float],
    own_rate: float,
) -> bytes:
    """Loss by learning rate, on a logarithmic axis, up to somewhat above the initial loss.

    Args:
        learning_rates, losses, smoothed: a value for each step, ``[n]``.
        suggestions: learning rates by what they are; each gets a line.
        own_rate: the learning rate of the recipe, which gets a dashed line.
    """
    with style():
        figure = new_figure(6.4, 4.2)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.plot(learning_rates, losses, ".", color=GRAY, markersize=2.5, alpha=0.6, label="loss of a batch")
        axes.plot(learning_rates, smoothed, color=BLUE, label="smoothed")
        for (name, rate), color in zip(suggestions.items(), SUGGESTION_COLORS, strict=False):
            axes.axvline(rate, color=color, linewidth=1.2, label=f"{name}: {rate:.2g}")
        axes.axvline(own_rate, color=GRAY, linewidth=1, linestyle="--", label=f"the recipe's rate: {own_rate:.2g}")
        low = min(float(smoothed.min()), float(losses.min()))
        high = max(float(smoothed[0]), float(losses[: max(1, len(losses) // 4)].max()))
        margin = MARGIN * (high - low) or max(1.0, math.fabs(high))
        axes.set_ylim(low - margin, high + margin)
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.grid(True)
        axes.legend(loc="best")
        return png(figure)
