"""Plots of sequences: series, forecasts, regression, attention and bit sequences."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.lines import Line2D

from dlcli.report.plots.figure import BLUE, GRAY, GREEN, VERMILION, new_figure, png, printable, style
from dlcli.report.plots.image_grid import MAX_IMAGES

ERROR_LINES = {
    "mae": ("network", BLUE),
    "naive_mae": ("last value", GRAY),
    "seasonal_naive_mae": ("one season earlier", VERMILION),
    "ridge_mae": ("ridge regression", GREEN),
}
"""The lines of errors, by the column of their values."""
COLOR_OF_SPLIT = {"train": BLUE, "validation": GREEN, "test": VERMILION}


def bit_sequences(inputs: npt.NDArray[Any], bits: npt.NDArray[Any], outputs: npt.NDArray[Any] | None = None) -> bytes:
    """The first sequence of a batch: input, target and, if given, output; time runs to the right.

    Args:
        inputs: ``[n, steps, features]``.
        bits: target bits ``[n, steps, bits]``.
        outputs: predicted probabilities of the bits ``[n, steps, bits]``.
    """
    parts = [("input", inputs[0]), ("target", bits[0])]
    parts += [] if outputs is None else [("output", outputs[0])]
    with style():
        figure = new_figure(max(3.2, 0.16 * len(inputs[0]) + 1.2), 1.6 * len(parts))
        figure.set_layout_engine("constrained")
        for number, (title, values) in enumerate(parts, start=1):
            axes = figure.add_subplot(len(parts), 1, number)
            axes.imshow(values.T, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
            axes.set_title(title, fontsize=9)
            axes.set_xticks([])
            axes.set_yticks([])
        return png(figure)


def attention_maps(maps: Sequence[tuple[Sequence[str], Sequence[str], npt.NDArray[Any]]]) -> bytes:
    """Attention weights: input tokens from left to right, output tokens from top to bottom.

    Args:
        maps: for each sample the input tokens, the output tokens, and the attention ``[outputs, inputs]``.
    """
    maps = maps[:MAX_IMAGES]
    num_columns = min(3, len(maps))
    num_rows = math.ceil(len(maps) / num_columns)
    widest = min(60, max(len(inputs) for inputs, _, _ in maps))
    tallest = min(60, max(len(outputs) for _, outputs, _ in maps))
    with style():
        side = 0.22
        figure = new_figure(num_columns * max(2.2, side * widest + 1.2), num_rows * max(1.8, side * tallest + 1.2))
        figure.set_layout_engine("constrained")
        for number, (inputs, outputs, weights) in enumerate(maps, start=1):
            axes = figure.add_subplot(num_rows, num_columns, number)
            axes.imshow(weights[:60, :60], cmap="Blues", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
            columns, rows = (
                [printable(token, 12) if token.strip() else "␣" for token in tokens] for tokens in (inputs, outputs)
            )
            is_short = all(len(token) == 1 for token in columns)
            axes.set_xticks(range(len(columns[:60])), columns[:60], fontsize=7, rotation=0 if is_short else 90)
            axes.set_yticks(range(len(rows[:60])), rows[:60], fontsize=7)
            axes.xaxis.tick_top()
            axes.grid(visible=False)
        return png(figure)


def series(parts: Sequence[tuple[str, Mapping[str, tuple[int, npt.NDArray[Any]]]]], name: str) -> bytes:
    """Series, colored by split, one above the other.

    Args:
        parts: the name of each series, and for each split its first step and its values ``[steps]``.
        name: name of the values.
    """
    with style():
        figure = new_figure(8.0, 2.8 if len(parts) == 1 else 1.7 * len(parts) + 0.4)
        figure.set_layout_engine("constrained")
        for number, (title, values) in enumerate(parts, start=1):
            axes = figure.add_subplot(len(parts), 1, number)
            for split, (start, of_split) in values.items():
                steps = np.arange(start, start + len(of_split))
                axes.plot(steps, of_split, color=COLOR_OF_SPLIT[split], linewidth=0.8)
            axes.set_ylabel(printable(name, 40 if len(parts) == 1 else 16))
            if title:
                axes.set_title(printable(title, 60), fontsize=9)
            axes.grid(True)
        axes.set_xlabel("step")
        colors = {split: COLOR_OF_SPLIT[split] for _, values in parts for split in values}
        lines = [Line2D([], [], color=color, label=split) for split, color in colors.items()]
        figure.legend(handles=lines, loc="outside upper center", ncols=3, frameon=False)
        return png(figure)


def forecasts(
    past: npt.NDArray[Any],
    true: npt.NDArray[Any],
    predicted: npt.NDArray[Any],
    titles: Sequence[str],
    *,
    bands: npt.NDArray[Any] | None = None,
) -> bytes:
    """Forecasts with the history before them.

    Args:
        past: ``[n, history]``.
        true, predicted: true and forecast values ``[n, horizon]``.
        titles: date or position of the last step of each history.
        bands: quantiles in increasing order ``[n, horizon, levels]``, of which the first and the last are the outermost
            interval.
    """
    history, horizon = past.shape[1], true.shape[1]
    shown = min(history, max(4 * horizon, 24))
    with style():
        figure = new_figure(8.0, 1.9 * len(past))
        figure.set_layout_engine("constrained")
        for number, title in enumerate(titles):
            axes = figure.add_subplot(len(past), 1, number + 1)
            ahead = np.arange(1, horizon + 1)
            axes.plot(np.arange(1 - shown, 1), past[number, -shown:], color=GRAY, label="history")
            axes.plot(ahead, true[number], color=BLUE, marker=".", label="true")
            axes.plot(ahead, predicted[number], color=VERMILION, marker=".", label="forecast")
            quantiles = [] if bands is None else list(bands[number].T)
            label: str | None = "intervals"
            while len(quantiles) > 1:  # from the outermost interval inward
                low, *quantiles, high = quantiles
                axes.fill_between(ahead, low, high, color=VERMILION, alpha=0.2, linewidth=0, label=label)
                label = None
            axes.set_title(f"after {printable(title, 40)}", fontsize=9)
            axes.grid(True)
            if number == 0:
                axes.legend(frameon=False, ncols=4)
        return png(figure)


def errors_ahead(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Mean absolute error by steps ahead, of the network and of the baselines that there are.

    Args:
        rows: rows of by_horizon.csv.
    """
    with style():
        figure = new_figure(5.0, 3.4)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        for key, (label, color) in ERROR_LINES.items():
            if key not in rows[0]:
                continue
            values = [math.nan if row[key] is None else row[key] for row in rows]
            axes.plot([row["step"] for row in rows], values, color=color, marker=".", label=label)
        axes.set_xlabel("steps ahead")
        axes.set_ylabel("mean absolute error")
        axes.set_ylim(bottom=0)
        axes.grid(True)
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        return png(figure)


def errors_by_origin(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Mean absolute error of the forecasts at each origin, of the network and of the baselines that there are.

    Args:
        rows: rows of backtest.csv.
    """
    with style():
        figure = new_figure(8.0, 3.2)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        for key, (label, color) in ERROR_LINES.items():
            if key in rows[0]:
                axes.plot([row[key] for row in rows], color=color, marker=".", label=label)
        shown = range(0, len(rows), -(-len(rows) // 6))
        axes.set_xticks(list(shown), [printable(rows[i]["after"], 20) for i in shown], fontsize=7)
        axes.set_xlabel("forecast after")
        axes.set_ylabel("mean absolute error")
        axes.set_ylim(bottom=0)
        axes.grid(True)
        figure.legend(loc="outside upper center", ncols=4, frameon=False)
        return png(figure)


def predicted_numbers(true: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> bytes:
    """Predicted against true values ``[n]``, with the line on which they are equal."""
    with style():
        figure = new_figure(4.4, 4.2)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
        axes.plot(ends, ends, color=GRAY, linewidth=1)
        axes.plot(true, predicted, ".", color=BLUE, markersize=3, alpha=0.5)
        axes.set_xlabel("true")
        axes.set_ylabel("predicted")
        axes.grid(True)
        return png(figure)
