"""Insertion and deletion on series, against explicit loops, and orders that know nothing of the network."""

import itertools
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.explanation.sequences.series import SeriesNetwork, open_series_network
from dlcli.explanation.sequences.value_order import areas, naive_orders

MEANS = np.array([2.0, -3.0])
SERIES = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
SCORES = np.random.default_rng(1).normal(size=(4, 2))
CHOICE = 1


def network(*, is_class: bool) -> SeriesNetwork:
    values = keras.Input((4, 2))
    layer = keras.layers.Dense(3, name="logits")
    model = keras.Model(values, layer(keras.layers.Flatten()(values)))
    layer.set_weights([np.random.default_rng(2).normal(size=(8, 3)), np.array([0.1, -0.2, 0.3])])
    return open_series_network(model, MEANS, is_class=is_class)


def on_curve(opened: SeriesNetwork, values: Any, *, is_class: bool) -> float:
    outputs, whole = (np.asarray(opened.model(some[None]))[0].astype(np.float64) for some in (values, SERIES))
    if is_class:
        odds = np.exp(outputs)
        return float(odds[CHOICE] / odds.sum())
    return float(1 - abs(outputs[CHOICE] - whole[CHOICE]) / 2.5)


@pytest.mark.parametrize("is_class", [True, False])
def test_areas_are_those_of_explicit_loops(*, is_class: bool) -> None:
    opened = network(is_class=is_class)
    means = np.broadcast_to(MEANS, SERIES.shape).astype(np.float32)
    order = np.argsort(-SCORES.ravel())
    expected = []
    for start, end in ((means, SERIES), (SERIES, means)):
        curve = []
        for step in range(51):
            values = start.copy().ravel()
            first = order[: round(step / 50 * 8)]
            values[first] = end.ravel()[first]
            curve.append(on_curve(opened, values.reshape(4, 2), is_class=is_class))
        expected.append(sum((one + two) / 2 for one, two in itertools.pairwise(curve)) / 50)
    assert areas(opened, SERIES, CHOICE, SCORES, distance=2.5) == pytest.approx(expected, rel=1e-4)


def test_orders_that_know_nothing_of_the_network() -> None:
    series = np.array([[4.0, -3.0], [np.nan, 0.0]], np.float32)
    orders = naive_orders(series, MEANS, np.array([2.0, 0.0]))
    assert list(orders) == ["random", "deviation", "recent"]
    assert orders["random"].shape == series.shape
    np.testing.assert_array_equal(orders["deviation"], [[1, 0], [0, 3]])
    np.testing.assert_array_equal(orders["recent"], [[0, 0], [1, 1]])
