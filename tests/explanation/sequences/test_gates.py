"""Gates are those by which Keras's layers compute their outputs."""

from typing import Any

import keras
import numpy as np
import pytest

from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.gates import gates_of

GENERATOR = np.random.default_rng(4)


def network(layer: Any, features: int = 3) -> keras.Model:
    values = keras.Input((None, features))
    doubled = keras.layers.Rescaling(2.0)(values)
    model = keras.Model(values, layer(doubled))
    model.set_weights([GENERATOR.normal(size=weight.shape) for weight in model.weights])
    return model


@pytest.mark.parametrize(
    ("layer", "names"), [(keras.layers.LSTM, ["forget", "input", "output"]), (keras.layers.GRU, ["update", "reset"])]
)
def test_outputs_equal_those_of_the_layer(layer: Any, names: list[str]) -> None:
    model = network(layer(4, return_sequences=True, name="recurrent1"))
    sample = GENERATOR.normal(size=(1, 7, 3)).astype(np.float32)
    found = gates_of(model, sample)
    assert (found.layer, list(found.gates)) == ("recurrent1", names)
    np.testing.assert_allclose(found.inputs, 2 * sample[0], rtol=1e-6)
    np.testing.assert_allclose(found.outputs, np.asarray(model(sample))[0], atol=1e-5)
    assert all(values.shape == (7, 4) and (values > 0).all() and (values < 1).all() for values in found.gates.values())
    longer = np.concatenate([sample, np.full((1, 2, 3), np.nan, np.float32)], axis=1)
    np.testing.assert_array_equal(gates_of(model, longer).outputs, found.outputs)  # without the padding


def test_the_cell_of_an_lstm_is_what_its_gates_make_of_it() -> None:
    model = network(keras.layers.LSTM(1, name="lstm1"), features=1)
    kernel, recurrent, bias = np.zeros((1, 4)), np.zeros((1, 4)), np.array([0.0, 100.0, 100.0, 100.0])
    model.set_weights([kernel, recurrent, bias])  # input gate 1/2, forget gate 1, candidate 1, output gate 1
    found = gates_of(model, np.zeros((1, 4, 1), np.float32))
    np.testing.assert_allclose(found.state[:, 0], [0.5, 1, 1.5, 2])
    np.testing.assert_allclose(found.outputs, np.tanh(found.state))


def test_networks_without_gates_are_refused() -> None:
    with pytest.raises(NotExplainable, match="has no LSTM or GRU layer"):
        gates_of(network(keras.layers.SimpleRNN(2)), np.zeros((1, 3, 3), np.float32))
    with pytest.raises(NotExplainable):
        gates_of(network(keras.layers.GRU(2, name="gru1_backward")), np.zeros((1, 3, 3), np.float32))
