"""Plots of a search: they show every trial, and survive those that failed."""

import io

import pytest
from PIL import Image

from dlcli.report.plots.cells import _depths, _edges, _label_place, cells_plot
from dlcli.report.plots.search import Tried, front_plot, progress_plot

CELL = {
    "states": [["sep3(s0)", "identity(s1)"], ["max3(s2)", "max3(s2)"], ["sep3(s1)", "avg3(s0)"]],
    "concatenate": ["s3", "s4"],
}


def size(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


def test_failed_trials_leave_a_gap() -> None:
    tried = {"search": [Tried(0.5, 10.0), Tried(None, None), Tried(0.7, 30.0)], "random": [Tried(None, 5.0)]}
    for lower in (False, True):
        assert size(progress_plot(tried, metric="val_accuracy", lower_is_better=lower)) == (768, 480)
    assert size(front_plot(tried, [Tried(0.5, 10.0)], metric="$x", cost="multiply-adds")) == (768, 480)
    nothing: dict[str, list[Tried]] = {"search": [Tried(None, None)]}
    assert size(front_plot(nothing, [], metric="val_accuracy", cost="parameters")) == (768, 480)


@pytest.mark.parametrize("reduction", [CELL, None])
def test_cells_are_drawn(reduction: object) -> None:
    width, height = size(cells_plot({"normal": CELL, "reduction": reduction}))
    assert width >= 840
    assert height == (768 if reduction else 384)


def test_every_operation_is_an_edge_to_a_later_column() -> None:
    assert [(number, match[1], match[2]) for number, match in _edges(CELL)] == [
        (2, "sep3", "0"),
        (2, "identity", "1"),
        (3, "max3", "2"),
        (3, "max3", "2"),
        (4, "sep3", "1"),
        (4, "avg3", "0"),
    ]
    assert _depths(CELL) == {0: 0, 1: 0, 2: 1, 3: 2, 4: 1, "output": 3}


def test_labels_of_edges_that_cross_are_at_different_places() -> None:
    falling, rising = ((0.0, 2.0), (1.0, 0.0)), ((0.0, 0.0), (1.0, 1.0))
    first = _label_place(*falling, 0.0, [])
    assert first == pytest.approx((0.6, 0.8))
    assert _label_place(*rising, 0.0, []) == pytest.approx((0.6, 0.6))
    assert _label_place(*rising, 0.0, [(0.7, 0.65)]) == pytest.approx((0.4, 0.4), abs=0.2)
    assert _label_place(*rising, 0.0, [(0.7, 0.65)]) != pytest.approx((0.6, 0.6))
