"""A bar for the score of each class, such as its IoU, with the baseline's."""

from collections.abc import Sequence

import numpy as np

from dlcli.report.plots.figure import BLUE, GRAY, VERMILION, new_figure, png, printable, size_of, style

MAX_SHOWN = 40  # classes
ROW = 0.24  # inches


def class_scores(
    classes: Sequence[str],
    scores: Sequence[float | None],
    *,
    measure: str,
    baseline: Sequence[float | None] = (),
    baseline_name: str = "baseline",
    mean: float | None = None,
) -> bytes:
    """A horizontal bar for each class, from top to bottom in the order of the classes; of many, those of the lowest
    scores.

    Args:
        classes: names.
        scores: in [0, 1]; None for a class that is absent, which has no bar.
        measure: name of the scores, such as IoU.
        baseline: the baseline's score of each class, drawn as a mark on its bar; empty for none.
        baseline_name: of the marks in the legend.
        mean: drawn as a dotted line; None for none.

    Raises:
        ValueError: the numbers of classes, scores and marks differ.
    """
    if len(scores) != len(classes) or (baseline and len(baseline) != len(classes)):
        raise ValueError(
            f"{len(classes)} classes must have as many scores. "
            f"Received {len(scores)}, and {len(baseline)} of the baseline."
        )
    known = [i for i, score in enumerate(scores) if score is not None]
    shown = list(range(len(classes)))
    if len(classes) > MAX_SHOWN:
        shown = sorted(sorted(known, key=lambda i: scores[i] or 0.0)[:MAX_SHOWN])
    bars = ROW * max(1, len(shown))  # inches
    with style():
        figure = new_figure(6.4, 1.0 + bars)
        axes = figure.add_axes((0.3, 0.3, 0.6, 0.6))
        for row, i in enumerate(shown):
            score, mark = scores[i], baseline[i] if baseline else None
            if score is not None:
                axes.barh(row, score, height=0.7, color=BLUE)
            text = "absent" if score is None else f"{score:.3f}"
            axes.text(max(score or 0.0, mark or 0.0) + 0.012, row, text, va="center", fontsize=8, color=GRAY)
        marks = [(row, baseline[i]) for row, i in enumerate(shown) if baseline and baseline[i] is not None]
        if marks:
            rows, places = np.array(marks, np.float64).T
            axes.vlines(places, rows - 0.35, rows + 0.35, color=VERMILION, linewidth=2.0, label=baseline_name)
        if mean is not None:
            axes.axvline(mean, color=GRAY, linewidth=0.8, linestyle=":", label=f"mean: {mean:.3f}")
        axes.set_xlim(0, 1.1)
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_yticks(range(len(shown)), [printable(classes[i], 32) for i in shown])
        axes.set_xlabel(measure)
        which = "" if len(shown) == len(classes) else f"\n{len(shown)} of {len(classes):,} classes: the lowest"
        axes.set_title(f"{measure} of each class{which}")
        if axes.get_legend_handles_labels()[1]:
            axes.legend(
                loc="upper right", bbox_to_anchor=(1.0, -0.42 / (ROW * max(1, len(shown)))), fontsize=8, ncols=2
            )

        # the bars keep their size, and the figure grows by the space that the names need
        figure.draw_without_rendering()
        left = max((size_of(label)[0] for label in axes.get_yticklabels()), default=0.0) + 0.25
        width = left + 4.2
        height = bars + 1.1 + 0.18 * bool(which)
        figure.set_size_inches(width, height)
        axes.set_position((left / width, 0.75 / height, 4.1 / width, bars / height))
        return png(figure)
