"""The gates of a recurrent layer over the steps of a sequence."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from dlcli.report.plots.figure import LINE_COLORS, new_figure, png, style

Values = npt.NDArray[Any]
MOST_STEPS = 120
MOST_LINES = 4  # features of the input that are drawn as lines; more are a heat map


def gate_plot(inputs: Values, gates: Mapping[str, Values], state: Values) -> bytes:
    """Inputs, each gate and the state below each other, time from left to right.

    Units are ordered by the step at which the first gate varies most from its mean, so that those that do the same are
    near each other; the order is one for all gates.

    Args:
        inputs: ``[steps, features]``.
        gates: by name, ``[steps, units]`` in [0, 1].
        state: ``[steps, units]``.
    """
    inputs, state = inputs[:MOST_STEPS], state[:MOST_STEPS]
    first = next(iter(gates.values()))[:MOST_STEPS]
    order = np.argsort(np.abs(first - first.mean(axis=0)).argmax(axis=0), kind="stable")
    limit = float(np.abs(state).max()) or 1.0
    with style():
        figure = new_figure(max(5.0, 0.12 * len(inputs) + 1.5), 1.3 * (len(gates) + 2) + 0.3)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot(len(gates) + 2, 1, 1)
        axes.set_title("input of the layer")
        if inputs.shape[1] <= MOST_LINES:
            for feature, color in zip(inputs.T, LINE_COLORS, strict=False):
                axes.step(np.arange(len(feature)), feature, where="mid", color=color)
            axes.set_xlim(-0.5, len(inputs) - 0.5)
        else:
            axes.imshow(inputs.T, cmap="viridis", aspect="auto", interpolation="nearest")
            axes.set_ylabel("feature")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels = [(f"{name} gate", values, "viridis", 0.0, 1.0) for name, values in gates.items()]
        panels.append(("state", state, "RdBu_r", -limit, limit))
        for number, (title, values, colors, low, high) in enumerate(panels):
            axes = figure.add_subplot(len(gates) + 2, 1, number + 2)
            shown = values[:MOST_STEPS, order].T
            drawn = axes.imshow(shown, cmap=colors, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
            axes.set_title(title)
            axes.set_ylabel("unit")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            figure.colorbar(drawn, ax=axes, pad=0.01)
            if number == len(panels) - 1:
                axes.set_xlabel("step")
        return png(figure)
