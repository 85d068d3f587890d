"""Recurrent layers: the equations of the cells in NumPy, directions, residuals, and states carried over."""

from pathlib import Path

import keras
import numpy as np
import pytest
from small_steps import BATCH, FEATURES, LENGTHS, MASK, RECURRENT, STEPS, UNITS, VALUES, build, run  # type: ignore[import-not-found]

from dlcli.models.sequences import recurrent
from dlcli.models.sequences.cells import ClassFeedbackCell


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def simple_step(x: np.ndarray, state: list[np.ndarray], weights: list[np.ndarray]) -> list[np.ndarray]:
    w, u, b = weights
    return [np.tanh(x @ w + state[0] @ u + b)]


def lstm_step(x: np.ndarray, state: list[np.ndarray], weights: list[np.ndarray]) -> list[np.ndarray]:
    w, u, b = weights
    h, c = state
    i, f, g, o = np.split(x @ w + h @ u + b, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def gru_step(x: np.ndarray, state: list[np.ndarray], weights: list[np.ndarray]) -> list[np.ndarray]:
    w, u, b = weights
    (h,) = state
    xz, xr, xg = np.split(x @ w + b[0], 3, axis=-1)
    hz, hr, hg = np.split(h @ u + b[1], 3, axis=-1)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    g = np.tanh(xg + r * hg)
    return [z * h + (1 - z) * g]


def leaky_step(x: np.ndarray, state: list[np.ndarray], weights: list[np.ndarray]) -> list[np.ndarray]:
    *own, logit = weights if len(weights) == 4 else [*weights, np.log(0.9 / 0.1)]
    decay = sigmoid(logit)
    return [decay * state[0] + (1 - decay) * simple_step(x, state, own)[0]]


def jordan_step(x: np.ndarray, state: list[np.ndarray], weights: list[np.ndarray]) -> list[np.ndarray]:
    w, u, b, v, c = weights
    (output,) = state
    return [np.tanh(np.tanh(x @ w + output @ u + b) @ v + c)]


STEP = {"simple": simple_step, "leaky": leaky_step, "jordan": jordan_step, "lstm": lstm_step, "gru": gru_step}


def by_hand(cell: str, values: np.ndarray, lengths: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Each sequence by itself, as far as it goes; zeros after its end."""
    outputs = np.zeros((*values.shape[:2], UNITS))
    for sample, length in enumerate(lengths):
        state = [np.zeros(UNITS)] * (2 if cell == "lstm" else 1)
        for step in range(length):
            state = STEP[cell](values[sample, step].astype(np.float64), state, weights)
            outputs[sample, step] = state[0]
    return outputs


@pytest.mark.parametrize("cell", STEP)
def test_a_cell_is_its_equations(cell: str) -> None:
    model = build(recurrent.steps, RECURRENT, cell=cell)
    expected = by_hand(cell, VALUES, LENGTHS, model.get_weights())
    np.testing.assert_allclose(run(model), expected, atol=1e-6)
    last = build(recurrent.steps, RECURRENT, cell=cell, last_only=True)
    last.set_weights(model.get_weights())
    np.testing.assert_allclose(run(last), expected[np.arange(BATCH), LENGTHS - 1], atol=1e-6)


def test_leaky_units_can_learn_their_decay() -> None:
    model = build(recurrent.steps, RECURRENT, cell="leaky", learn_decay=True)
    np.testing.assert_allclose(run(model), by_hand("leaky", VALUES, LENGTHS, model.get_weights()), atol=1e-6)
    keras.utils.set_random_seed(0)
    values, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    options = RECURRENT | {"cell": "leaky", "learn_decay": True}
    initial = keras.Model([values, mask], recurrent.steps(values, mask, **options)).get_weights()[3]
    np.testing.assert_allclose(sigmoid(initial), np.full(UNITS, 0.9), rtol=1e-6)


@pytest.mark.parametrize("cell", ["leaky", "jordan"])
def test_own_cells_are_saved_with_their_settings(cell: str, tmp_path: Path) -> None:
    model = build(recurrent.steps, RECURRENT, cell=cell, decay=0.7, recurrent_dropout=0.2)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(run(loaded), run(model))
    assert loaded.get_layer(f"{cell}1").cell.recurrent_dropout == 0.2


def test_a_jordan_network_that_is_fed_classes_is_its_equations() -> None:
    """Some steps are fed the given class, the others the probabilities of the step before."""
    values = np.random.default_rng(5).normal(size=(2, 6, FEATURES)).astype(np.float32)
    given = np.array([[-1, 0, 2, -1, -1, 1], [2, -1, -1, -1, 3, 0]])
    cell = ClassFeedbackCell(UNITS, num_classes=4, recurrent_initializer="orthogonal")
    layer = keras.layers.RNN(cell, return_sequences=True)
    inputs = np.concatenate([values, given[..., None]], axis=-1).astype(np.float32)
    layer.build(inputs.shape)
    rng = np.random.default_rng(6)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    w, u, b, v, c = layer.get_weights()
    own = np.zeros((2, 4))
    for step, outputs in enumerate(np.asarray(layer(inputs)).swapaxes(0, 1)):
        fed = np.where(given[:, step, None] < 0, own, np.eye(4)[given[:, step]])
        expected = np.tanh(values[:, step] @ w + fed @ u + b) @ v + c
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
        own = np.exp(expected) / np.exp(expected).sum(axis=-1, keepdims=True)
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    again.build(inputs.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(inputs), layer(inputs))


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_two_directions_are_two_runs(cell: str) -> None:
    model = build(recurrent.steps, RECURRENT, cell=cell, bidirectional=True)
    weights = [*model.get_layer(f"{cell}1").get_weights(), *model.get_layer(f"{cell}1_backward").get_weights()]
    backward = VALUES.copy()
    for sample, length in enumerate(LENGTHS):
        backward[sample, :length] = VALUES[sample, :length][::-1]
    there = by_hand(cell, VALUES, LENGTHS, weights[:3])
    back = by_hand(cell, backward, LENGTHS, weights[3:])
    last = np.concatenate([there[np.arange(BATCH), LENGTHS - 1], back[np.arange(BATCH), LENGTHS - 1]], axis=-1)
    for sample, length in enumerate(LENGTHS):
        back[sample, :length] = back[sample, :length][::-1]
    np.testing.assert_allclose(run(model), np.concatenate([there, back], axis=-1), atol=1e-6)
    only = build(recurrent.steps, RECURRENT, cell=cell, bidirectional=True, last_only=True)
    for name in (f"{cell}1", f"{cell}1_backward"):
        only.get_layer(name).set_weights(model.get_layer(name).get_weights())
    np.testing.assert_allclose(run(only), last, atol=1e-6)


def test_layers_residuals_and_norms_are_joined_as_described() -> None:
    model = build(recurrent.steps, RECURRENT, layers=2, residual=True, layer_norm=True)
    weights = model.get_weights()  # of lstm1, norm1, lstm2, norm2
    first = by_hand("lstm", VALUES, np.full(BATCH, STEPS), weights[:3])

    def normalized(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3) * gamma + beta

    first = normalized(first, *weights[3:5])
    second = normalized(first + by_hand("lstm", first, np.full(BATCH, STEPS), weights[5:8]), *weights[8:10])
    np.testing.assert_allclose(run(model)[MASK], second[MASK], atol=1e-5)


def test_first_weights_of_the_state_are_orthogonal_and_forget_gates_open() -> None:
    keras.utils.set_random_seed(0)
    values, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    recurrent.steps(values, mask, **RECURRENT)
    model = keras.Model([values, mask], recurrent.steps(values, mask, **RECURRENT))
    _, u, b = model.get_weights()
    np.testing.assert_allclose(u @ u.T, np.eye(UNITS), atol=1e-5)
    np.testing.assert_array_equal(b, np.repeat([0, 1, 0, 0], UNITS))
    plain = keras.Model([values, mask], recurrent.steps(values, mask, **RECURRENT | {"forget_bias": False}))
    assert not plain.get_weights()[2].any()


@pytest.mark.parametrize("cell", ["simple", "leaky", "lstm", "gru"])
def test_carried_layers_continue_from_the_previous_batch(cell: str) -> None:
    options = {**RECURRENT, "cell": cell, "layers": 2, "residual": True, "layer_norm": True}
    whole = build(recurrent.steps, options)
    values = keras.Input((None, FEATURES), batch_size=BATCH)
    mask, is_first = keras.Input((None,), batch_size=BATCH, dtype="bool"), keras.Input((), BATCH, dtype="bool")
    carried = keras.Model([values, mask, is_first], recurrent.steps(values, mask, **options, is_first=is_first))
    for variable, own in zip(carried.trainable_variables, whole.trainable_variables, strict=True):
        variable.assign(own)
    everywhere = np.ones((BATCH, STEPS), bool)
    expected = run(whole, VALUES, everywhere)
    no, yes = np.zeros(BATCH, bool), np.ones(BATCH, bool)
    for _ in range(2):  # the second time the states of the first are forgotten
        first = np.asarray(carried([VALUES[:, :3], everywhere[:, :3], yes]))
        rest = np.asarray(carried([VALUES[:, 3:], everywhere[:, 3:], no]))
        np.testing.assert_allclose(np.concatenate([first, rest], axis=1), expected, atol=1e-5)
    some = np.arange(BATCH) % 2 == 0
    mixed = np.asarray(carried([VALUES[:, :3], everywhere[:, :3], some]))
    np.testing.assert_allclose(mixed[some], expected[some][:, :3], atol=1e-5)
    assert np.abs(mixed[~some] - expected[~some][:, :3]).max() > 1e-3
