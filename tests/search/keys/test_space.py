"""Intervals, grids and draws: bounds, distributions, no repetition in spaces with few combinations."""

import itertools
import math

import numpy as np
import pytest

from dlcli.search.keys.space import Draws, Interval, Options, combinations, drawn, grid


@pytest.mark.parametrize(
    ("interval", "middle"),
    [(Interval(1e-4, 1e-1, "log"), 10**-2.5), (Interval(-1.0, 3.0, "linear"), 1.0), (Interval(8, 64, "whole"), 36)],
)
def test_an_interval_includes_its_bounds(interval: Interval, middle: float) -> None:
    assert (interval.at(0.0), interval.at(1.0)) == (interval.low, interval.high)
    assert interval.at(0.5) == pytest.approx(middle, rel=1e-3)


def test_a_log_interval_has_as_many_numbers_in_each_decade() -> None:
    numbers = [drawn({"a": Interval(1e-4, 1.0, "log")}, np.random.default_rng(i))["a"] for i in range(2000)]
    counts, _ = np.histogram(np.log10(numbers), bins=4, range=(-4, 0))
    assert np.abs(counts - 500).max() < 5 * math.sqrt(500)
    assert all(number == float(f"{number:.4g}") for number in numbers)


def test_whole_numbers_are_equally_frequent() -> None:
    numbers = [drawn({"a": Interval(1, 4, "whole")}, np.random.default_rng(i))["a"] for i in range(2000)]
    assert {type(number) for number in numbers} == {int}
    assert np.abs(np.bincount(numbers)[1:] - 500).max() < 5 * math.sqrt(500)


def test_points_of_a_grid() -> None:
    assert Interval(1e-4, 1e-1, "log").points(4) == (1e-4, 1e-3, 1e-2, 1e-1)
    assert Interval(0, 1, "linear").points(3) == (0, 0.5, 1)
    assert Interval(1, 3, "whole").points(7) == (1, 2, 3)


def test_a_grid_is_the_product() -> None:
    space = {"a": Options((1, 2)), "b": Options(("x", "y", None))}
    assert grid(space) == [{"a": a, "b": b} for a, b in itertools.product((1, 2), ("x", "y", None))]
    assert combinations(space) == 6
    assert combinations({**space, "c": Interval(0, 1, "linear")}) is None


def test_a_finite_space_is_drawn_from_without_repetition() -> None:
    space = {"a": Options((1, 2)), "b": Options(("x", "y", None))}
    draws = Draws(space, 3)
    found = [draws.draw(number) for number in range(7)]
    assert found[6] is None
    assert sorted(map(str, found[:6])) == sorted(map(str, grid(space)))
    assert found[:6] != grid(space)
    assert [Draws(space, 3).draw(number) for number in range(6)] == found[:6]
    assert [Draws(space, 4).draw(number) for number in range(6)] != found[:6]


def test_a_draw_depends_on_seed_and_number_alone() -> None:
    space = {"a": Interval(0, 1, "linear"), "b": Options((1, 2))}
    assert Draws(space, 1).draw(5) == Draws(space, 1).draw(5)
    assert len({str(Draws(space, seed).draw(number)) for seed in range(3) for number in range(3)}) == 9
