"""Heat maps of what a prediction from a series is due to: steps from left to right, columns from top to bottom."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.report.plots.attribution import COLORS, scale_of
from dlcli.report.plots.figure import GRAY, new_figure, png, printable, style

MOST_MAPS = 6
MOST_COLUMNS = 40  # of a series
Values = npt.NDArray[Any]


def lag_maps(
    maps: Sequence[Values],
    titles: Sequence[str],
    columns: Sequence[str],
    *,
    from_end: bool,
    ahead: int = 0,
    unit: str,
    warning: str = "",
) -> bytes:
    """A heat map for each of at most 6 series.

    Args:
        maps: signed values ``[steps, columns]``.
        titles: what is explained by each.
        columns: names of the columns.
        from_end: steps are counted backward from the end, whose last one is -1; else from 1.
        ahead: the last steps, which come after this end; the first is 0.
        unit: what the values are.
        warning: what must be known of all maps; empty for nothing.
    """
    maps, shown = maps[:MOST_MAPS], columns[:MOST_COLUMNS]
    height = 0.75 + 0.2 * len(shown)
    with style():
        figure = new_figure(8.0, height * len(maps) + 0.5)
        figure.set_layout_engine("constrained")
        figure.suptitle(
            "; ".join(filter(None, [f"Red raises {unit}, blue lowers it", warning])), fontsize=9, color=GRAY
        )
        for number, values in enumerate(maps):
            axes = figure.add_subplot(len(maps), 1, number + 1)
            values = values[:, :MOST_COLUMNS].astype(np.float64)
            largest, steps = scale_of(values), len(values)
            first = ahead - steps if from_end else 1
            extent = (first - 0.5, first + steps - 0.5, len(shown) - 0.5, -0.5)
            drawn = axes.imshow(
                values.T,
                cmap=COLORS,
                vmin=-(largest or 1.0),
                vmax=largest or 1.0,
                extent=extent,
                aspect="auto",
                interpolation="nearest",
            )
            axes.set_yticks(range(len(shown)), [printable(name, 18) for name in shown], fontsize=7)
            axes.set_title(printable(titles[number], 90), fontsize=8)
            axes.grid(visible=False)
            is_beyond = np.abs(values).max() > largest
            figure.colorbar(drawn, ax=axes, pad=0.01, extend="both" if is_beyond else "neither")
            if number == len(maps) - 1:
                axes.set_xlabel("step before the end" if from_end and not ahead else "step")
        return png(figure)
