"""Plots of a sweep: the best value so far, the values of trials as parallel coordinates, the keys' importance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from dlcli.report.plots.figure import BLUE, GRAY, VERMILION, new_figure, png, printable, shrink_to, style

NAME_WIDTH = 30  # characters of a key
VALUE_WIDTH = 16
MAX_TICKS = 12  # of an axis with values of any kind
AXIS_INCHES = 1.9


@dataclass(frozen=True)
class Coordinate:
    """An axis of parallel coordinates.

    Attributes:
        name: of the key.
        values: one for each trial.
        kind: ``log`` or ``linear`` for numbers, ``options`` for values of any kind.
        options: the values of that kind, from the lowest position up.
    """

    name: str
    values: Sequence[Any]
    kind: str
    options: Sequence[Any] = ()


def best_so_far(
    epochs: Sequence[int], values: Sequence[float], *, objective: str, is_lower_better: bool, baseline: float | None
) -> bytes:
    """The value of each complete trial, and the best so far, by the epochs that all trials have trained.

    Args:
        epochs: of all trials up to each one, ``[n]``, with n > 0.
        values: of the objective, ``[n]``.
        baseline: the value with the recipe's own values; None if it is not known.
    """
    with style():
        figure = new_figure(6.4, 4.2)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        axes.plot(epochs, values, ".", color=GRAY, markersize=5, label="a trial")
        best = (np.minimum if is_lower_better else np.maximum).accumulate(np.array(values))
        axes.step(epochs, best, where="post", color=BLUE, label="best so far")
        if baseline is not None:
            axes.axhline(baseline, color=VERMILION, linewidth=1.2, linestyle="--", label="the recipe's own values")
        axes.set_xlabel("epochs of all trials")
        axes.set_ylabel(printable(objective, NAME_WIDTH))
        axes.set_xlim(left=0)
        axes.grid(True)
        axes.legend(loc="best")
        return png(figure)


def parallel_coordinates(
    coordinates: Sequence[Coordinate], values: Sequence[float], *, objective: str, is_lower_better: bool
) -> bytes:
    """A line for each complete trial through its values, colored by the objective; the best one is red and on top.

    Args:
        coordinates: the keys.
        values: of the objective, ``[n]``, with n > 0.
    """
    order = np.argsort(values)[:: -1 if is_lower_better else 1]  # the best last, on top
    low, high = min(values), max(values)
    colors = matplotlib.colormaps["viridis_r" if is_lower_better else "viridis"]
    columns = [*(_positions(one) for one in coordinates), _scaled(np.array(values, float), low, high)]
    with style():
        width = AXIS_INCHES * len(columns)  # half of it beside the first and the last axis
        figure = new_figure(width, 4.2)
        axes = figure.add_axes((0.5 / len(columns), 0.1, 1 - 1 / len(columns), 0.76))
        axes.set_axis_off()
        axes.set_xlim(0, len(columns) - 1)
        axes.set_ylim(-0.03, 1.03)
        places = np.arange(len(columns))
        for rank, trial in enumerate(order):
            share = (values[trial] - low) / (high - low) if high > low else 1.0
            is_best = rank == len(order) - 1
            axes.plot(
                places,
                [column[trial] for column in columns],
                color=VERMILION if is_best else colors(share),
                linewidth=2.4 if is_best else 0.9,
                alpha=1.0 if is_best else 0.7,
                zorder=rank,
            )
        for place, one in enumerate(coordinates):
            _axis(axes, place, one.name, _ticks(one))
        _axis(axes, len(columns) - 1, objective, [(0.0, f"{low:.4g}"), (1.0, f"{high:.4g}")])
        return png(figure)


def _positions(one: Coordinate) -> np.ndarray:
    """The height of each trial on an axis, in [0, 1]."""
    if one.kind == "options":
        step = 1 / max(1, len(one.options) - 1)
        return np.array([step * one.options.index(value) for value in one.values])
    numbers = np.array(one.values, float)
    numbers = np.log(numbers) if one.kind == "log" else numbers
    return _scaled(numbers, float(numbers.min()), float(numbers.max()))


def _scaled(numbers: np.ndarray, low: float, high: float) -> np.ndarray:
    return (numbers - low) / (high - low) if high > low else np.full(len(numbers), 0.5)


def _ticks(one: Coordinate) -> list[tuple[float, str]]:
    if one.kind == "options":
        step = 1 / max(1, len(one.options) - 1)
        every = -(-len(one.options) // MAX_TICKS)
        return [(step * i, str(value)) for i, value in enumerate(one.options) if i % every == 0]
    low, high = min(one.values), max(one.values)
    middle = math.sqrt(low * high) if one.kind == "log" else (low + high) / 2
    return [(0.0, f"{low:.3g}"), (0.5, f"{middle:.3g}"), (1.0, f"{high:.3g}")] if high > low else [(0.5, f"{low:.3g}")]


def _axis(axes: Axes, place: int, name: str, ticks: Sequence[tuple[float, str]]) -> None:
    axes.plot([place, place], [0, 1], color=GRAY, linewidth=1, zorder=10_000)
    title = axes.text(place, 1.06, printable(name, NAME_WIDTH), ha="center", va="bottom", fontsize=8)
    shrink_to(title, AXIS_INCHES * 0.92)
    for height, label in ticks:
        axes.annotate(
            printable(label, VALUE_WIDTH),
            (place, height),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8,
            zorder=10_001,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.8},
        )


def importance_bars(shares: Mapping[str, float], *, objective: str) -> bytes:
    """The share of the variance of the objective that each key explains, the largest on top.

    Args:
        shares: by key, the largest first.
    """
    names = list(shares)[::-1]
    with style():
        figure = new_figure(6.4, 0.9 + 0.35 * len(names))
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        axes.barh([printable(name, 2 * NAME_WIDTH) for name in names], [shares[name] for name in names], color=BLUE)
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"share of the variance of {printable(objective, NAME_WIDTH)} (fANOVA)")
        return png(figure)
