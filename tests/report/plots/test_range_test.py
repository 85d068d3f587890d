"""The plot of a range test: the curve follows the data, each suggestion has its line, and divergence is cut off."""

from typing import Any

import numpy as np
from pixels import has_color, read  # type: ignore[import-not-found]

from dlcli.report.plots.figure import BLUE, GREEN, VERMILION
from dlcli.report.plots.range_test import range_test_curve

RATES = np.geomspace(1e-6, 1, 60)
LOSSES = np.concatenate([np.linspace(2.3, 0.3, 50), np.geomspace(0.3, 1e30, 10)])


def drawn(losses: Any = LOSSES, **keys: Any) -> Any:
    suggestions = {"steepest descent": 1e-3, "a tenth of the minimum": 1e-2}
    return read(
        range_test_curve(RATES, losses, losses, **{"suggestions": suggestions, "own_rate": 3e-3, **keys}),
    )


def test_the_curve_and_each_suggestion_are_drawn() -> None:
    pixels = drawn()
    assert all(has_color(pixels, color) for color in (BLUE, VERMILION, GREEN))
    without = drawn(suggestions={})
    assert has_color(without, BLUE)
    assert not has_color(without, VERMILION)
    assert (drawn(own_rate=0.2) != pixels).any()


def test_a_diverging_loss_does_not_flatten_the_curve() -> None:
    heights = np.argwhere((drawn(suggestions={}) == [0x00, 0x72, 0xB2]).all(axis=-1))[:, 0]
    assert np.ptp(heights) > 150  # pixels: the descent from 2.3 to 0.3 takes much of the height


def test_a_constant_loss_is_drawn() -> None:
    assert has_color(drawn(np.ones(60)), BLUE)
