"""Plots of a search: the best so far by the number of trials, and the metric against a cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import ArrayLike

from dlcli.report.plots.figure import BLUE, GRAY, VERMILION, new_figure, png, printable, style

COLORS = {"search": BLUE, "random": VERMILION}
MARKERS = {"search": "o", "random": "^"}
MAX_TEXT = 40  # characters of the name of a metric


@dataclass(frozen=True)
class Tried:
    """A trial that was trained.

    Attributes:
        value: its metric; None if it failed.
        cost: of its network, such as multiply-adds; None if it failed.
    """

    value: float | None
    cost: float | None


def progress_plot(tried: Mapping[str, Sequence[Tried]], *, metric: str, lower_is_better: bool) -> bytes:
    """The metric of each trial and the best so far, of the search and of random search.

    Args:
        tried: the trials of ``search`` and ``random``, in their order.

    Returns:
        A PNG file.
    """
    with style():
        figure, axes = _new_axes()
        for origin, trials in tried.items():
            values = np.array([np.nan if one.value is None else one.value for one in trials])
            numbers, color = np.arange(1, len(values) + 1), COLORS[origin]
            name = printable(origin, MAX_TEXT)
            _points(axes, numbers, values, origin, label=f"{name}: trials")
            best = np.fmin.accumulate(values) if lower_is_better else np.fmax.accumulate(values)
            axes.step(numbers, best, where="post", color=color, label=f"{origin}: best so far")
        axes.set_xlabel("trials that were trained")
        axes.set_ylabel(printable(metric, MAX_TEXT))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(True)
        axes.legend(loc="best")
        return png(figure)


def front_plot(tried: Mapping[str, Sequence[Tried]], best: Sequence[Tried], *, metric: str, cost: str) -> bytes:
    """The metric of each trial against a cost, with the Pareto front of the search.

    Args:
        tried: the trials of ``search`` and ``random``.
        best: those of the search in the front.

    Returns:
        A PNG file.
    """
    with style():
        figure, axes = _new_axes()
        for origin, trials in tried.items():
            points = [(one.cost, one.value) for one in trials if one.value is not None and one.cost is not None]
            if points:
                costs, values = zip(*points, strict=True)
                _points(axes, costs, values, origin, label=origin)
        line = sorted((one.cost, one.value) for one in best if one.value is not None and one.cost is not None)
        if line:
            axes.plot(*zip(*line, strict=True), color=GRAY, linewidth=1, zorder=0, label="front of the search")
        axes.set_xlabel(f"{cost} for one sample" if cost == "multiply-adds" else cost)
        axes.set_ylabel(printable(metric, MAX_TEXT))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(True)
        if axes.lines:
            axes.legend(loc="best")
        return png(figure)


def _new_axes() -> tuple[Figure, Axes]:
    figure = new_figure(6.4, 4)
    figure.set_layout_engine("constrained")
    return figure, figure.add_subplot()


def _points(axes: Axes, x: ArrayLike, y: ArrayLike, origin: str, *, label: str) -> None:
    """A point for each trial of the search or of random search."""
    axes.plot(
        np.asarray(x), np.asarray(y), MARKERS[origin], color=COLORS[origin], markersize=3.5, alpha=0.5, label=label
    )
