"""The pictures of a run: learning curves, confusion matrix, a batch as the model sees it, the most confident mistakes.

Each function returns the bytes of a PNG file.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dlcli.report.figures import BLUE, GREEN, GREY, VERMILION, new_figure, png, printable, shrink_to, size_of, style

Pictures = npt.NDArray[Any]
"""``[n, height, width, channels]`` in [0, 255]; signals ``[n, time, channels]``; volumes ``[n, depth, height, width,
channels]``; signals and volumes of any range."""

MARKERS = "osv^D"  # where there are more lines than colours
MAX_PICTURES = 25
MAX_MARKED_EPOCHS = 30  # more points than these would merge
LINE_COLOURS = (BLUE, VERMILION, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of the channels of a signal; further ones are left out."""


# Learning curves ------------------------------------------------------------------------------------------------------


CURVES = {
    "loss": "Loss",
    "accuracy": "Accuracy",
    "iou": "Intersection over union",
    "mae": "Mean absolute error",
    "bits_wrong": "Wrong bits in a sequence",
}
"""What is drawn over the epochs of the metrics that a task has, and its title."""


def learning_curves(rows: Sequence[Mapping[str, Any]], *, best_epoch: int | None) -> bytes:
    """Loss, those of the metrics in CURVES that there are, and learning rate over the epochs.

    Args:
        rows: of metrics.csv, at least one; numbers or their texts; empty where there is no validation. Values that are
            not finite leave a gap.
        best_epoch: the epoch that is marked; None marks none.
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
        rate.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        rate.yaxis.set_major_locator(MaxNLocator(4))
        rate.set_ylim(bottom=0)
        for axes in (*upper, rate):
            axes.set_xlabel("epoch")
            axes.grid(True)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
            for _, first, _ in stages[1:]:
                axes.axvline(first - 0.5, color=GREY, linewidth=0.6)
            if best_epoch is not None:
                axes.axvline(best_epoch, color=GREY, linewidth=1, linestyle="--", label=f"best epoch: {best_epoch}")
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
                    color=GREY,
                )
        handles, labels = upper[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        return png(figure)


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
    """NaN for what is empty or not finite, which leaves a gap in a curve."""
    number = math.nan if value is None or value == "" else float(value)
    return number if math.isfinite(number) else math.nan


# Confusion matrix -----------------------------------------------------------------------------------------------------


def confusion_matrix(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> bytes:
    """Which classes are taken for which, coloured by the proportion of the true class, with counts where they fit.

    Args:
        matrix: counts, a row for each true class, a column for each predicted one.
        classes: names in the same order.
    """
    counts = np.array(matrix)
    num_classes = len(classes)
    if counts.shape != (num_classes, num_classes):
        raise ValueError(
            f"a confusion matrix of {num_classes} classes must have the shape [{num_classes}, {num_classes}]. "
            f"Received {list(counts.shape)}."
        )
    support = counts.sum(axis=1, keepdims=True)
    proportions = counts / np.maximum(support, 1)
    side = min(max(2.6, 0.5 * num_classes), 11.0)  # inches
    cell = side / num_classes * 72  # points
    step = math.ceil(6 / cell)  # a name in every so many rows, where there is no room for one in each
    shown = range(0, num_classes, step)
    names = [printable(classes[i], 20) for i in shown]
    size = min(9.0, 0.8 * cell * step)
    with style():
        figure = new_figure(side, side)
        axes = figure.add_axes((0, 0, 1, 1))
        image = axes.imshow(proportions, cmap="Blues", norm=Normalize(0, 1), interpolation="nearest", aspect="auto")
        axes.set_xticks(shown, names, fontsize=size)
        axes.set_yticks(shown, names, fontsize=size)
        axes.tick_params(length=2 if step > 1 else 0)
        if max(size_of(label)[0] for label in axes.get_xticklabels()) > 0.9 * side / len(names):
            axes.tick_params(axis="x", rotation=90)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        correct, total = int(np.trace(counts)), int(counts.sum())
        percent = f" ({100 * correct / total:.1f} %)" if total else ""
        axes.set_title(f"{correct:,} of {total:,} correct{percent}")
        _write_counts(axes, counts, proportions, cell)

        # the matrix keeps its size, and the figure grows around it by what the names need
        figure.draw_without_rendering()
        left = max(size_of(label)[0] for label in axes.get_yticklabels()) + 0.45
        below = max(size_of(label)[1] for label in axes.get_xticklabels()) + 0.45
        width, height = left + side + 1.0, below + side + 0.4
        figure.set_size_inches(width, height)
        axes.set_position((left / width, below / height, side / width, side / height))
        bar = figure.add_axes(((left + side + 0.15) / width, below / height, 0.15 / width, side / height))
        figure.colorbar(image, cax=bar, label="proportion of the true class")
        return png(figure)


def _write_counts(axes: Axes, counts: npt.NDArray[Any], proportions: npt.NDArray[Any], cell: float) -> None:
    """Writes each count but 0 into its cell (of so many points), if the largest can be read there."""
    num_digits = len(str(counts.max(initial=0)))
    size = min(10.0, 0.9 * cell / (0.65 * num_digits))
    if size < 5:
        return
    for row, column in np.argwhere(counts > 0):
        color = "white" if proportions[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=size)


# Samples --------------------------------------------------------------------------------------------------------------


def sample_batch(pictures: Pictures, titles: Sequence[str], boxes: npt.NDArray[Any] | None = None) -> bytes:
    """A grid of samples as the model sees them: at most the first 25.

    Args:
        pictures: at least one.
        titles: one for each, such as the name of its class.
        boxes: rel_xyxy ``[n, 4]``, drawn where they are no NaN.
    """
    if len(pictures) == 0:
        raise ValueError("a picture of a batch needs at least one sample. Received none.")
    captions = [[printable(title, 24)] for title in titles]
    outlines = [] if boxes is None else [(boxes[:MAX_PICTURES], VERMILION)]
    return _grid(pictures[:MAX_PICTURES], captions[:MAX_PICTURES], title="What the model sees", outlines=outlines)


def preview(columns: Sequence[tuple[str, Pictures, Sequence[str]]], boxes: Sequence[npt.NDArray[Any]] = ()) -> bytes:
    """Samples in rows, each as it is and as it is changed.

    Args:
        columns: a title, the pictures ``[n, height, width, channels]``, and a caption for each, which may have lines.
        boxes: of each column, rel_xyxy ``[n, 4]``.
    """
    num_rows, num_columns = len(columns[0][1]), len(columns)
    side = 2.1  # of a column in inches
    shape = columns[0][1].shape
    height = side * min(max(shape[1] / shape[2], 0.4), 2.0)
    texts = [[_wrapped(caption) for caption in captions] for _, _, captions in columns]
    num_lines = max(len(text) for column in texts for text in column)
    with style():
        figure = new_figure(num_columns * side, num_rows * (height + 0.15 + 0.1 * num_lines) + 0.4)
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
        for column, (title, pictures, _) in enumerate(columns):
            for row, (picture, text) in enumerate(zip(pictures, texts[column], strict=True)):
                axes = figure.add_subplot(num_rows, num_columns, row * num_columns + column + 1)
                axes.set_xticks([])
                axes.set_yticks([])
                if row == 0:
                    axes.set_title(title, fontsize=9)
                _draw(axes, picture.astype(np.float64), (0.0, 255.0))
                if boxes:
                    _outline(axes, boxes[column][row], picture.shape, VERMILION)
                axes.set_xlabel("\n".join(text), fontsize=6, color=GREY)
        return png(figure)


def _wrapped(caption: str) -> list[str]:
    """The lines of a caption below a small picture, at most eight."""
    return [printable(part, 40) for line in caption.splitlines() for part in textwrap.wrap(line, 40)][:8]


def mistakes(
    pictures: Pictures,
    *,
    labels: Sequence[str],
    predicted: Sequence[str],
    confidence: Sequence[float],
    names: Sequence[str | int],
) -> bytes:
    """A grid of mistakes, the most confident first, at most 25; a picture that says so when there are none.

    Args:
        pictures: of mistakes alone.
        labels: the true class of each.
        predicted: the class that the model took it for.
        confidence: the probability that it gave to that class.
        names: file or index of each.
    """
    if len(pictures) == 0:
        with style():
            figure = new_figure(4.0, 1.5)
            figure.text(0.5, 0.5, "No mistakes", ha="center", va="center", fontsize=14, color=GREY)
            return png(figure)
    order = sorted(range(len(confidence)), key=lambda i: -confidence[i])[:MAX_PICTURES]
    captions = [
        [
            f"{printable(labels[i], 12)} as {printable(predicted[i], 12)} {confidence[i]:.2f}",
            printable(str(names[i]), 30),
        ]
        for i in order
    ]
    return _grid(pictures[order], captions, title="The most confident mistakes")


def _grid(
    pictures: Pictures,
    captions: Sequence[Sequence[str]],
    *,
    title: str,
    outlines: Sequence[tuple[npt.NDArray[Any], str]] = (),
    num_columns: int | None = None,
) -> bytes:
    """Pictures in rows, each with a caption above and, where it has a second line, one below.

    ``outlines`` are boxes rel_xyxy ``[n, 4]`` and their colour. Default of ``num_columns``: as many as there are rows.
    """
    pictures = np.nan_to_num(pictures.astype(np.float64))
    limits = (0.0, 255.0) if pictures.ndim == 4 else (float(pictures.min()), float(pictures.max()))
    num_columns = num_columns or math.ceil(math.sqrt(len(pictures)))
    num_rows = math.ceil(len(pictures) / num_columns)
    width = 1.7  # of a column in inches
    height = width * (1.0 if pictures.ndim == 3 else min(max(pictures.shape[-3] / pictures.shape[-2], 0.4), 2.0))
    with style():
        least = 6.4 if outlines and len(title) > 30 else 3.2  # what the title needs
        figure = new_figure(max(least, num_columns * width), num_rows * (height + 0.4) + 0.4)
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
        figure.suptitle(title)
        for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
            axes = figure.add_subplot(num_rows, num_columns, i + 1)
            axes.set_xticks([])
            axes.set_yticks([])
            _draw(axes, picture, limits)
            for boxes, color in outlines:
                _outline(axes, boxes[i], picture.shape, color)
            shrink_to(axes.set_title(caption[0], fontsize=9), width - 0.15)
            if len(caption) > 1:
                shrink_to(axes.set_xlabel(caption[1], fontsize=7, color=GREY), width - 0.15)
        return png(figure)


def _draw(axes: Axes, picture: npt.NDArray[Any], limits: tuple[float, float]) -> None:
    """A picture, a signal as lines, or the middle slice of a volume; ``limits`` are black and white."""
    if picture.ndim == 2:  # [time, channels]
        for channel, color in zip(picture.T, LINE_COLOURS, strict=False):
            axes.plot(channel, color=color, linewidth=0.9)
        return
    if picture.ndim == 4:  # [depth, height, width, channels]
        picture = picture[len(picture) // 2]
    axes.spines[:].set_visible(False)
    low, high = limits
    shades = np.clip((picture - low) / ((high - low) or 1.0), 0, 1)
    if shades.shape[-1] == 3:
        axes.imshow(shades, interpolation="nearest")
    else:
        axes.imshow(shades[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def boxes(
    pictures: Pictures,
    *,
    true: npt.NDArray[Any],
    predicted: npt.NDArray[Any],
    titles: Sequence[str],
    names: Sequence[str],
    num_columns: int,
) -> bytes:
    """Pictures with the true box and the predicted one, rel_xyxy ``[n, 4]``; one that says so where there are none."""
    if len(pictures) == 0:
        with style():
            figure = new_figure(4.0, 1.5)
            figure.text(0.5, 0.5, "No boxes", ha="center", va="center", fontsize=14, color=GREY)
            return png(figure)
    captions = [[printable(a, 24), printable(b, 40)] for a, b in zip(titles, names, strict=True)]
    return _grid(
        *(pictures, captions),
        title="IoU of the true box (green) and the predicted one (orange)",
        outlines=[(true, GREEN), (predicted, VERMILION)],
        num_columns=num_columns,
    )


def _outline(axes: Axes, box: npt.NDArray[Any], shape: Sequence[int], color: str) -> None:
    """The edges of a box, rel_xyxy, in a picture ``[height, width, channels]``."""
    if np.isnan(box).any():
        return
    height, width = shape[:2]
    left, top, right, bottom = box * (width, height, width, height) - 0.5  # the first pixel's centre is 0
    axes.autoscale(False)  # a box that reaches out does not make the picture smaller
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color="white", linewidth=2.6)
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=color, linewidth=1.4)


def localisation_curves(curves: Mapping[str, Sequence[Sequence[float]]]) -> bytes:
    """Localisation accuracy over the IoU that a box must reach: pairs of (threshold, accuracy) by a line's name."""
    with style():
        figure = new_figure(5.0, 3.6)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        for (name, points), color in zip(curves.items(), (BLUE, GREY), strict=False):
            axes.plot(*zip(*points, strict=True), label=name, color=color, marker="o", markersize=3)
        axes.set_xlabel("intersection over union of at least")
        axes.set_ylabel("localisation accuracy")
        axes.set_ylim(-0.02, 1.02)
        axes.grid(True)
        axes.legend(frameon=False)
        return png(figure)


def bit_sequences(inputs: npt.NDArray[Any], bits: npt.NDArray[Any], answers: npt.NDArray[Any] | None = None) -> bytes:
    """The first sequence of a batch; time goes to the right.

    Args:
        inputs: ``[n, steps, features]``.
        bits: that are to be given ``[n, steps, bits]``.
        answers: the probabilities that a network gave, where they are known.
    """
    parts = [("input", inputs[0]), ("bits to give", bits[0])]
    parts += [] if answers is None else [("answer", answers[0])]
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
    """Where attention lay while answers were said: what is given goes to the right, what is said down.

    Args:
        maps: of each answer the tokens given, the tokens said, and the attention ``[said, given]``.
    """
    maps = maps[:MAX_PICTURES]
    num_columns = min(3, len(maps))
    num_rows = math.ceil(len(maps) / num_columns)
    widest = min(60, max(len(given) for given, _, _ in maps))
    tallest = min(60, max(len(said) for _, said, _ in maps))
    with style():
        side = 0.22
        figure = new_figure(num_columns * max(2.2, side * widest + 1.2), num_rows * max(1.8, side * tallest + 1.2))
        figure.set_layout_engine("constrained")
        for number, (given, said, weights) in enumerate(maps, start=1):
            axes = figure.add_subplot(num_rows, num_columns, number)
            axes.imshow(weights[:60, :60], cmap="Blues", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
            given, said = ([printable(token, 12) if token.strip() else "␣" for token in side] for side in (given, said))
            is_short = all(len(token) == 1 for token in given)
            axes.set_xticks(range(len(given[:60])), given[:60], fontsize=7, rotation=0 if is_short else 90)
            axes.set_yticks(range(len(said[:60])), said[:60], fontsize=7)
            axes.xaxis.tick_top()
            axes.grid(visible=False)
        return png(figure)


def series(values: npt.NDArray[Any], ends: Mapping[str, int], name: str) -> bytes:
    """A whole series ``[steps]``, and where its splits end."""
    with style():
        figure = new_figure(8.0, 2.8)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        start = 0
        for (split, end), color in zip(ends.items(), (BLUE, GREEN, VERMILION), strict=False):
            axes.plot(np.arange(start, end), values[start:end], color=color, linewidth=0.8, label=split)
            start = end
        axes.set_xlabel("step")
        axes.set_ylabel(printable(name, 40))
        axes.legend(frameon=False)
        axes.grid(True)
        return png(figure)


def forecasts(
    past: npt.NDArray[Any], true: npt.NDArray[Any], predicted: npt.NDArray[Any], titles: Sequence[str]
) -> bytes:
    """Some forecasts with what came before ``[n, history]``, what came ``[n, horizon]`` and what was forecast."""
    history, horizon = past.shape[1], true.shape[1]
    shown = min(history, max(4 * horizon, 24))
    with style():
        figure = new_figure(8.0, 1.9 * len(past))
        figure.set_layout_engine("constrained")
        for number, title in enumerate(titles):
            axes = figure.add_subplot(len(past), 1, number + 1)
            ahead = np.arange(1, horizon + 1)
            axes.plot(np.arange(1 - shown, 1), past[number, -shown:], color=GREY, label="history")
            axes.plot(ahead, true[number], color=BLUE, marker=".", label="true")
            axes.plot(ahead, predicted[number], color=VERMILION, marker=".", label="forecast")
            axes.set_title(f"after {printable(title, 40)}", fontsize=9)
            axes.grid(True)
            if number == 0:
                axes.legend(frameon=False, ncols=3)
        return png(figure)


def errors_ahead(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The mean absolute error over the steps ahead, of the network and of the naive forecasts."""
    with style():
        figure = new_figure(5.0, 3.4)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        lines = {"mae": "network", "naive_mae": "last value", "seasonal_naive_mae": "one season before"}
        for (key, label), color in zip(lines.items(), (BLUE, GREY, VERMILION), strict=True):
            values = [math.nan if row[key] is None else row[key] for row in rows]
            axes.plot([row["step"] for row in rows], values, color=color, marker=".", label=label)
        axes.set_xlabel("steps ahead")
        axes.set_ylabel("mean absolute error")
        axes.set_ylim(bottom=0)
        axes.grid(True)
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
        return png(figure)


def predicted_numbers(true: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> bytes:
    """Predicted numbers over the true ones ``[n]``, and the line on which both are the same."""
    with style():
        figure = new_figure(4.4, 4.2)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
        axes.plot(ends, ends, color=GREY, linewidth=1)
        axes.plot(true, predicted, ".", color=BLUE, markersize=3, alpha=0.5)
        axes.set_xlabel("true")
        axes.set_ylabel("predicted")
        axes.grid(True)
        return png(figure)


# Robustness -----------------------------------------------------------------------------------------------------------


def robustness_curves(curves: Mapping[str, Sequence[tuple[float, float]]], *, norm: str) -> bytes:
    """Accuracy over the size of the change, a line for each attack: pairs of (eps, accuracy) by its name.

    Args:
        norm: by which the change is measured: linf or l2.
    """
    with style():
        figure = new_figure(6.4, 4.2)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        for number, (name, points) in enumerate(curves.items()):
            is_noise = name == "noise"
            axes.plot(
                *zip(*sorted(points), strict=True),
                label=name,
                color=GREY if is_noise else LINE_COLOURS[number % len(LINE_COLOURS)],
                linestyle="--" if is_noise else "-",
                marker=MARKERS[number // len(LINE_COLOURS) % len(MARKERS)],
                markersize=4,
            )
        axes.set_xlabel(f"epsilon ({norm}), in units of the pixels' range")
        axes.set_ylabel("accuracy")
        axes.set_ylim(-0.02, 1.02)
        axes.grid(True)
        axes.legend(frameon=False)
        return png(figure)
