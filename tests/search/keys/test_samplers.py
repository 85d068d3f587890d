"""The samplers: a grid in order, TPE that is the same after a restart and better than random, importance of keys."""

import math
from typing import Any

import numpy as np
import pytest

from dlcli.search.keys.samplers import Grid, Random, Tpe, importances, same
from dlcli.search.keys.space import Interval, Options, Space

SPACE: Space = {
    "rate": Interval(1e-4, 1.0, "log"),
    "kind": Options(([3, 3], None, "x")),
    "units": Interval(1, 9, "whole"),
}


def quality(values: dict[str, Any]) -> float:
    """Best at a rate of 1e-2 with kind None."""
    return -((math.log10(values["rate"]) + 2) ** 2) - (values["kind"] is not None)


def best(sampler: Any, num_trials: int) -> float:
    found = []
    for number in range(num_trials):
        values = sampler.ask(number)
        found.append(quality(values))
        sampler.tell(values, found[-1])
    return max(found)


def test_a_grid_is_asked_in_order_and_ends() -> None:
    sampler = Grid({"a": Options((1, 2)), "b": Options((3, 4))})
    assert [sampler.ask(number) for number in range(5)] == [
        *({"a": a, "b": b} for a in (1, 2) for b in (3, 4)),
        None,
    ]


@pytest.mark.slow
def test_tpe_finds_a_known_optimum_better_than_random() -> None:
    pytest.importorskip("optuna")
    pairs = [(best(Tpe(SPACE, seed), 40), best(Random(SPACE, seed), 40)) for seed in range(5)]
    assert sum(tpe > random for tpe, random in pairs) >= 4
    assert np.mean([tpe for tpe, _ in pairs]) > -0.02


def test_tpe_is_the_same_after_a_restart() -> None:
    pytest.importorskip("optuna")
    one = Tpe(SPACE, 3)
    told = []
    for number in range(14):
        values = one.ask(number)
        told.append((values, None if number == 4 else quality(values)))
        one.tell(*told[-1])
    restarted = Tpe(SPACE, 3)
    for values, score in told:
        restarted.tell(
            {**values, "kind": list(values["kind"]) if isinstance(values["kind"], list) else values["kind"]}, score
        )
    assert restarted.ask(14) == one.ask(14)
    assert restarted.ask(15) != one.ask(14)


@pytest.mark.slow
def test_importance_is_the_share_of_the_key_that_matters() -> None:
    pytest.importorskip("optuna")
    random = Random(SPACE, 0)
    told = [(values, -abs(math.log10(values["rate"]) + 2)) for number in range(40) if (values := random.ask(number))]
    shares = importances(SPACE, told, 0)
    assert next(iter(shares)) == "rate"
    assert shares["rate"] > 0.8
    assert sum(shares.values()) == pytest.approx(1.0)
    assert importances(SPACE, [(values, 1.0) for values, _ in told], 0) == dict.fromkeys(SPACE, 0.0)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [((3, 3), [3, 3], True), (1, True, False), (1, 1.0, True), ({"a": (1,)}, {"a": [1]}, True), ((1,), (1, 2), False)],
)
def test_values_that_were_written_as_json_are_the_same(one: Any, other: Any, expected: bool) -> None:
    assert same(one, other) is expected
