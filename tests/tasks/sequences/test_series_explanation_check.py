"""The checks of methods on series: statistics, verdicts, orders that know nothing, and weights that stay."""

import json
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.explanation.sequences.attribution import gradient_x_input
from dlcli.explanation.sequences.series import SeriesNetwork, open_series_network
from dlcli.models.sequences import series_input
from dlcli.tasks.explanation import FAILED, PASSED, verdicts
from dlcli.tasks.sequences.series_explanation_check import Shares, ToCheck, check_methods

STEPS, NUM_SERIES = 6, 20
MEAN, VARIANCE = np.array([5.0, -1.0]), np.array([4.0, 1.0])


@pytest.fixture(scope="module")
def series() -> list[Any]:
    found = np.random.default_rng(1).normal(MEAN, VARIANCE**0.5, (NUM_SERIES, STEPS, 2)).astype(np.float32)
    found[0, 2] = np.nan
    return list(found)


def network_of(*, is_class: bool) -> SeriesNetwork:
    """Two outputs that are linear in the values, whose weights differ much."""
    values = keras.Input((STEPS, 2))
    x, _ = series_input.standardized(values, mean=MEAN, variance=VARIANCE)
    layer = keras.layers.Dense(2, name="logits")
    model = keras.Model(values, layer(keras.layers.Flatten()(x)))
    kernel = np.random.default_rng(2).normal(size=(2 * STEPS, 2)) ** 3
    layer.set_weights([kernel, np.array([0.5, -0.5])])
    return open_series_network(model, MEAN, is_class=is_class)


def shares_by(network: SeriesNetwork) -> Shares:
    def shares(series: Any, outputs: Any) -> list[Any]:
        points = network.points(np.stack(series))
        choices = np.array([[0, output] for output in outputs], np.int32)
        return list(gradient_x_input(network.scores, points, network.starts(points), choices).shares)

    return shares


@pytest.mark.parametrize("is_class", [True, False])
def test_methods_are_checked_and_the_weights_stay_bit_for_bit(series: list[Any], *, is_class: bool) -> None:
    network = network_of(is_class=is_class)
    before = [weight.numpy().tobytes() for weight in network.model.weights]
    choices = [[int(row.argmax())] for row in network.outputs(series)] if is_class else [[0, 1]] * NUM_SERIES
    given = ToCheck(series, choices, VARIANCE**0.5, "series", "test", 90)

    def recency(some: Any, _: Any) -> list[Any]:
        return [np.arange(values.size, dtype=np.float64).reshape(values.shape) for values in some]

    done: list[tuple[int, int]] = []
    methods = {"gradient-x-input": (shares_by(network),) * 2, "recency": (recency,) * 2}
    check = check_methods(network, methods, given, progress=lambda number, of: done.append((number, of)))
    assert [weight.numpy().tobytes() for weight in network.model.weights] == before
    assert verdicts(check) == {"gradient-x-input": PASSED, "recency": FAILED}
    assert check["randomization"]["methods"]["recency"]["head"] == {"mean": 1, "standard_error": 0, "n": NUM_SERIES}
    assert check["randomization"]["methods"]["recency"]["weak"] is None
    for name in ("random", "deviation", "recent", "recency"):
        assert check["insertion"]["gradient-x-input"]["mean"] > check["insertion"][name]["mean"]
        assert check["deletion"]["gradient-x-input"]["mean"] < check["deletion"][name]["mean"]
    assert check["series"] == check["insertion"]["random"]["n"] == NUM_SERIES
    assert ("probability" in check["measured"]) == is_class
    assert done == [(number, 9) for number in range(1, 10)]
    assert json.loads(json.dumps(check)) == check


def test_a_network_that_ignores_its_input_has_no_distance_from_the_means(series: list[Any]) -> None:
    network = network_of(is_class=False)
    network.model.layers[-1].set_weights([np.zeros((2 * STEPS, 2)), np.array([3.0, 3.0])])
    given = ToCheck(series, [[0]] * NUM_SERIES, VARIANCE**0.5, "forecasts", "test", 20)
    check = check_methods(network, {"zero": (shares_by(network),) * 2}, given, progress=lambda *_: None)
    assert check["insertion"]["zero"]["mean"] == check["deletion"]["zero"]["mean"] == 1
