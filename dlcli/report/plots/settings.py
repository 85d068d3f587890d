"""Plot of a metric of several settings over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from dlcli.report.plots.figure import BLUE, GRAY, new_figure, png, printable, style

LEVEL = 0.95
NAME_WIDTH = 40
MAX_SETTINGS = 60


def forest(settings: Sequence[Mapping[str, Any]], *, metric: str) -> bytes:
    """A forest plot: for each setting the values of its runs, their mean, and the mean's 95% interval by Student's t.

    Args:
        settings: each with ``name`` and ``values``, the best first; at most 60 are drawn.
    """
    shown = settings[:MAX_SETTINGS]
    with style():
        figure = new_figure(7.0, 1.2 + 0.35 * len(shown))
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        for row, setting in enumerate(shown):
            values = np.array(setting["values"], np.float64)
            axes.plot(values, np.full(len(values), row), "|", color=GRAY, markersize=9)
            axes.plot(values.mean(), row, "o", color=BLUE, markersize=5)
            if len(values) > 1:
                error = values.std(ddof=1) / np.sqrt(len(values))
                half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
                axes.plot([values.mean() - half, values.mean() + half], [row, row], color=BLUE, linewidth=1.5)
        axes.set_yticks(range(len(shown)), [f"{printable(s['name'], NAME_WIDTH)} ({len(s['values'])})" for s in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel(f"{printable(metric, NAME_WIDTH)}: runs, mean and its 95% interval")
        axes.grid(True, axis="x")
        return png(figure)
