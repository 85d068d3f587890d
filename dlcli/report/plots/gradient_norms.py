"""The norms of gradients by steps before the end, of several recurrent networks in one plot."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.report.plots.figure import LINE_COLORS, new_figure, png, printable, style

Norms = npt.NDArray[Any]
LINES = {"-": "trained", "--": "initial", ":": "initial, forget bias 0"}


def gradient_norm_plot(networks: Sequence[tuple[str, Norms, Norms, Norms | None]]) -> bytes:
    """Solid lines for trained weights, dashed ones for initial weights, dotted ones for these with forget biases of 0,
    relative to the norm at the last step.

    Args:
        networks: the name of each, and its norms with trained and with initial weights, and with forget biases of 0, if
            it has some, ``[steps]``, the last step first.
    """
    with style():
        figure = new_figure(7.0, 4.2)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        smallest = 1.0
        for number, (name, *found) in enumerate(networks):
            color = LINE_COLORS[number % len(LINE_COLORS)]
            for norms, (line, kind) in zip(found, LINES.items(), strict=True):
                if norms is None:
                    continue
                relative = np.where(norms > 0, norms, np.nan) / (norms[0] or np.nan)
                axes.plot(
                    -np.arange(1, len(norms) + 1), relative, line, color=color, label=f"{printable(name, 30)}, {kind}"
                )
                smallest = min(smallest, np.nanmin(relative, initial=1.0))
        axes.set_yscale("log")
        axes.set_ylim(bottom=max(smallest / 2, 1e-20))
        axes.set_xlabel("step before the end")
        axes.set_ylabel("gradient norm, relative to the last step")
        axes.grid(True)
        axes.legend(frameon=False, fontsize=8)
        return png(figure)
