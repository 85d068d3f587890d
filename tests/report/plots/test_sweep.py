"""Plots of a sweep: lines follow the values, the best trial is red, texts of hostile keys and values are drawn."""

import itertools

import pytest
from pixels import STRANGE_NAMES, has_color, read  # type: ignore[import-not-found]

from dlcli.report.plots.figure import BLUE, VERMILION
from dlcli.report.plots.sweep import Coordinate, best_so_far, importance_bars, parallel_coordinates

RATES = Coordinate("train.optimizer.learning_rate", (1e-3, 1e-2, 1e-1), "log")
KINDS = Coordinate("model.kind", ("a", "b", "a"), "options", ("a", "b"))
LOSSES = (0.5, 0.2, 0.9)


def test_parallel_coordinates_follow_the_values() -> None:
    pixels = read(parallel_coordinates([RATES, KINDS], LOSSES, objective="val_loss", is_lower_better=True))
    assert has_color(pixels, VERMILION)
    higher = read(parallel_coordinates([RATES, KINDS], LOSSES, objective="val_loss", is_lower_better=False))
    assert (higher != pixels).any()  # another trial is the best
    other = Coordinate("model.kind", ("a", "b", "b"), "options", ("a", "b"))
    assert (
        read(parallel_coordinates([RATES, other], LOSSES, objective="val_loss", is_lower_better=True)) != pixels
    ).any()


def test_strange_texts_and_constant_values_are_drawn() -> None:
    names = STRANGE_NAMES[:9]
    coordinates = [
        *(Coordinate(name, (2.0, 2.0), "linear") for name in names[:3]),
        Coordinate(names[4], names[:2], "options", names),
    ]
    read(parallel_coordinates(coordinates, (1.0, 1.0), objective=names[5], is_lower_better=False))
    read(importance_bars(dict(zip(names, itertools.repeat(0.1), strict=False)), objective=names[6]))


@pytest.mark.parametrize("lower", [True, False])
def test_the_best_so_far_is_drawn_beside_the_baseline(lower: bool) -> None:
    keys = {"objective": "val_loss", "is_lower_better": lower}
    pixels = read(best_so_far([1, 2, 3], LOSSES, baseline=0.4, **keys))  # type: ignore[arg-type]
    assert has_color(pixels, BLUE)
    assert has_color(pixels, VERMILION)
    assert not has_color(read(best_so_far([1, 2, 3], LOSSES, baseline=None, **keys)), VERMILION)  # type: ignore[arg-type]
