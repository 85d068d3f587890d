"""The plot of gates: inputs as lines, or as a heat map where they are many."""

import numpy as np
from pixels import has_color, read  # type: ignore[import-not-found]

from dlcli.report.plots.figure import LINE_COLORS
from dlcli.report.plots.gates import gate_plot

GENERATOR = np.random.default_rng(0)


def test_inputs_gates_and_state_are_drawn() -> None:
    gates = {name: GENERATOR.random((12, 5)) for name in ("update", "reset")}
    state = GENERATOR.normal(size=(12, 5))
    lines = read(gate_plot(GENERATOR.random((12, 2)), gates, state))
    assert all(has_color(lines, color) for color in LINE_COLORS[:2])
    many = read(gate_plot(GENERATOR.random((12, 9)), gates, 0 * state))
    assert not has_color(many, LINE_COLORS[1])
    assert read(gate_plot(GENERATOR.random((12, 2)), {**gates, "output": gates["reset"]}, state)).shape[0] > len(lines)
