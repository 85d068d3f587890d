"""Gradient norms by step, against the closed form of a linear recurrence."""

from typing import Any

import keras
import numpy as np
import pytest

from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.gradient_norms import gradient_norms, ratio_per_step, recurrent_layer
from dlcli.models.sequences.cells import LeakyCell

DECAY, STEPS = 0.5, 6


def linear_recurrence() -> keras.Model:
    """``h(t) = 0.5 h(t - 1) + x(t)``, and the last state as the number."""
    values = keras.Input((None, 1))
    layer = keras.layers.SimpleRNN(1, activation="linear", name="simple1")
    model = keras.Model(values, layer(values)[:, 0])
    layer.set_weights([np.ones((1, 1)), np.full((1, 1), DECAY), np.zeros(1)])
    return model


def test_norms_of_a_linear_recurrence_shrink_by_its_weight() -> None:
    model = linear_recurrence()
    samples = [np.ones((1, steps, 1), np.float32) for steps in (STEPS, STEPS, STEPS - 2)]
    before = [weight.numpy().copy() for weight in model.weights]
    found = gradient_norms(model, samples, is_class=False, seed=3)
    np.testing.assert_allclose(found.trained, DECAY ** np.arange(STEPS), rtol=1e-5)
    assert ratio_per_step(found.trained) == pytest.approx(DECAY)
    assert (found.layer, found.num_sequences) == ("simple1", 3)
    assert ratio_per_step(found.initial) == pytest.approx(1)  # an orthogonal weight of one unit is 1 or -1
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_norms_of_leaky_units_without_weights_between_states_shrink_by_their_decay() -> None:
    values = keras.Input((None, 1))
    cell = LeakyCell(1, decay=0.9, learn_decay=False, activation="linear")
    model = keras.Model(values, keras.layers.RNN(cell, name="leaky1")(values)[:, 0])
    model.set_weights([np.ones((1, 1)), np.zeros((1, 1)), np.zeros(1)])
    found = gradient_norms(model, [np.ones((1, STEPS, 1), np.float32)], is_class=False, seed=3)
    np.testing.assert_allclose(found.trained, 0.1 * 0.9 ** np.arange(STEPS), rtol=1e-5)


def lstm(*, forget_bias: bool) -> keras.Model:
    values = keras.Input((STEPS, 1))
    layer = keras.layers.LSTM(3, unit_forget_bias=forget_bias, name="lstm1")
    return keras.Model(values, layer(values)[:, :1])


def test_an_lstm_is_compared_with_one_whose_forget_gates_start_at_a_bias_of_0() -> None:
    samples = [np.ones((1, STEPS, 1), np.float32)]
    found = gradient_norms(lstm(forget_bias=True), samples, is_class=False, seed=3)
    without = gradient_norms(lstm(forget_bias=False), samples, is_class=False, seed=3)
    assert found.forgetting is not None
    np.testing.assert_allclose(found.forgetting, without.initial, rtol=1e-5)
    assert ratio_per_step(found.forgetting) < ratio_per_step(found.initial)
    assert without.forgetting is None


def test_the_layer_is_the_first_that_runs_forward() -> None:
    values = keras.Input((None, 1))
    backward = keras.layers.SimpleRNN(1, name="gru1_backward")(values)
    forward = keras.layers.SimpleRNN(1, name="gru1")(values)
    assert recurrent_layer(keras.Model(values, backward + forward)) == "gru1"


@pytest.mark.parametrize(("norms", "expected"), [([1.0], np.nan), ([0.0, 1.0], np.nan), ([8.0, 4.0, 2.0], 0.5)])
def test_ratio_per_step(norms: Any, expected: float) -> None:
    assert ratio_per_step(np.array(norms)) == pytest.approx(expected, nan_ok=True)


def test_a_network_without_recurrent_layers_is_refused() -> None:
    model = keras.Sequential([keras.Input((4, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
    with pytest.raises(NotExplainable, match="has no recurrent layer"):
        gradient_norms(model, [np.zeros((1, 4, 2))], is_class=False, seed=0)
