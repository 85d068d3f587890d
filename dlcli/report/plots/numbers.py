"""Plots of regression with one number or several for each sample."""

import math
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from dlcli.report.plots.figure import BLUE, GRAY, new_figure, png, printable, style

MAX_TARGETS = 16  # of which a plot is drawn


def predicted_against_true(true: npt.NDArray[Any], predicted: npt.NDArray[Any], targets: Sequence[str]) -> bytes:
    """For each target the predicted against the true values, with the line on which they are equal.

    Args:
        true, predicted: ``[n, t]``; of many targets, the first 16 are drawn.
        targets: t names.
    """
    shown = list(targets)[:MAX_TARGETS]
    num_columns = math.ceil(math.sqrt(len(shown)))
    num_rows = -(-len(shown) // num_columns)
    with style():
        figure = new_figure(0.6 + 3.6 * num_columns, 0.4 + 3.6 * num_rows)
        figure.set_layout_engine("constrained")
        for i, name in enumerate(shown):
            axes = figure.add_subplot(num_rows, num_columns, i + 1)
            found, own = predicted[:, i], true[:, i]
            ends = [min(own.min(), found.min()), max(own.max(), found.max())]
            axes.plot(ends, ends, color=GRAY, linewidth=1)
            axes.plot(own, found, ".", color=BLUE, markersize=3, alpha=0.5)
            axes.set_title(printable(name, 32), fontsize=9)
            axes.set_xlabel("true")
            axes.set_ylabel("predicted")
            axes.grid(True)
        if len(targets) > len(shown):
            figure.suptitle(f"the first {len(shown)} of {len(targets):,} targets")
        return png(figure)
