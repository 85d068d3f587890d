"""Learning curves: loss, metrics and learning rate by epoch."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from dlcli.report.plots.figure import BLUE, GRAY, GREEN, VERMILION, new_figure, png, printable, style

MAX_MARKED_EPOCHS = 30  # more markers would overlap

CURVES = {
    "loss": "Loss",
    "accuracy": "Accuracy",
    "iou": "Intersection over union",
    "mae": "Mean absolute error",
    "bits_wrong": "Wrong bits in a sequence",
}
"""Metrics that are plotted by epoch, if the task has them, and their titles."""


def learning_curves(
    rows: Sequence[Mapping[str, Any]], *, best_epoch: int | None, output: Callable[[Figure], bytes] = png
) -> bytes:
    """Loss, available metrics of CURVES, and learning rate by epoch.

    Args:
        rows: rows of metrics.csv, at least one; values are numbers or strings. Values that are empty or not finite
            leave a gap.
        best_epoch: the epoch to mark; None for none.
        output: makes the file, `figure.png` or `figure.svg`.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("learning curves need at least one epoch. Received none.")
    epochs = [int(row["epoch"]) for row in rows]
    stages = _stages(rows)
    with style():
        titles = {metric: title for metric, title in CURVES.items() if f"train_{metric}" in rows[0]}
        figure = new_figure(4.5 * len(titles), 5.4)
        figure.set_layout_engine("constrained")
        grid = figure.add_gridspec(2, len(titles), height_ratios=[3, 1])
        upper = [figure.add_subplot(grid[0, column]) for column in range(len(titles))]
        rate = figure.add_subplot(grid[1, :])
        for axes, (metric, title) in zip(upper, titles.items(), strict=True):
            axes.set_title(title)
            _curve(axes, epochs, rows, f"train_{metric}", label="training", color=BLUE)
            _curve(axes, epochs, rows, f"val_{metric}", label="validation", color=VERMILION)
        _curve(rate, epochs, rows, "learning_rate", label="learning rate", color=GREEN)
        rate.set_ylabel("learning rate")
        rates = [_number(row.get("learning_rate")) for row in rows]
        if all(value > 0 for value in rates):  # schedules multiply the rate, often by powers of 10
            rate.set_yscale("log")
            rate.set_ylim(min(rates) / 1.7, max(rates) * 1.7)  # wide enough for a tick where the rate is constant
            rate.yaxis.set_major_locator(
                LogLocator(subs=(1,) if max(rates) >= 10 * min(rates) else (1, 2, 5), numticks=6)
            )
            rate.yaxis.set_minor_locator(NullLocator())
        else:
            rate.set_ylim(bottom=0)
            rate.yaxis.set_major_locator(MaxNLocator(4))
        rate.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        for axes in (*upper, rate):
            axes.set_xlabel("epoch")
            axes.grid(True)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
            for _, first, _ in stages[1:]:
                axes.axvline(first - 0.5, color=GRAY, linewidth=0.6)
            if best_epoch is not None:
                axes.axvline(best_epoch, color=GRAY, linewidth=1, linestyle="--", label=f"best epoch: {best_epoch}")
        if len(stages) > 1:
            for name, first, last in stages:
                x = (first + last) / 2
                rate.annotate(
                    printable(name, 20),
                    (x, 1.0),
                    xycoords=rate.get_xaxis_transform(),
                    xytext=(0, 3),
                    textcoords="offset points",
                    ha="center",
                    color=GRAY,
                )
        handles, labels = upper[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        return output(figure)


def _stages(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, int]]:
    """Name, first and last epoch of each stage."""
    stages = []
    for name, group in groupby(rows, key=lambda row: str(row["stage"])):
        epochs = [int(row["epoch"]) for row in group]
        stages.append((name, epochs[0], epochs[-1]))
    return stages


def _curve(
    axes: Axes, epochs: Sequence[int], rows: Sequence[Mapping[str, Any]], column: str, *, label: str, color: str
) -> None:
    values = np.array([_number(row.get(column)) for row in rows])
    if np.isfinite(values).any():
        marker = "o" if len(epochs) <= MAX_MARKED_EPOCHS else None
        axes.plot(epochs, values, color=color, label=label, marker=marker, markersize=3.5)


def _number(value: Any) -> float:
    """The value as a number; NaN, which leaves a gap in the curve, if it is empty or not finite."""
    number = math.nan if value is None or value == "" else float(value)
    return number if math.isfinite(number) else math.nan
