"""Networks of sequences against their equations, and what comes after a sequence's end against what must not matter."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.models.sequences import convolutional, pooling, recurrent, transformer

RNG = np.random.default_rng(0)
BATCH, STEPS, FEATURES, UNITS = 4, 7, 3, 5
LENGTHS = np.array([7, 4, 1, 6])
MASK = np.arange(STEPS) < LENGTHS[:, None]
VALUES = RNG.normal(size=(BATCH, STEPS, FEATURES)).astype(np.float32)

RECURRENT: dict[str, Any] = {
    "cell": "lstm",
    "units": UNITS,
    "layers": 1,
    "bidirectional": False,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "residual": False,
    "layer_norm": False,
    "recurrent_initializer": "orthogonal",
    "forget_bias": True,
    "last_only": False,
}
CONVOLUTIONAL: dict[str, Any] = {
    "filters": UNITS,
    "kernel_size": 3,
    "dilations": (1, 2),
    "causal": False,
    "residual": True,
    "layer_norm": False,
    "dropout": 0.0,
}
TRANSFORMER: dict[str, Any] = {
    "units": 6,
    "heads": 2,
    "layers": 2,
    "feed_forward": 8,
    "causal": False,
    "dropout": 0.0,
}


def build(steps: Callable[..., Any], options: dict[str, Any], **changes: Any) -> keras.Model:
    """A model of values and their mask, with random weights everywhere, biases too."""
    keras.utils.set_random_seed(3)
    values, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    model = keras.Model([values, mask], steps(values, mask, **{**options, **changes}))
    model.set_weights([RNG.normal(size=weight.shape, scale=0.5) for weight in model.get_weights()])
    return model


def run(model: keras.Model, values: np.ndarray = VALUES, mask: np.ndarray = MASK, *, training: bool = False) -> Any:
    return np.asarray(model([values, mask], training=training))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# Equations of the module's docstring, with Keras's order of gates -----------------------------------------------------


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


STEP = {"simple": simple_step, "lstm": lstm_step, "gru": gru_step}


def by_hand(cell: str, values: np.ndarray, lengths: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Each sequence by itself, as far as it goes; zeros after its end."""
    outputs = np.zeros((*values.shape[:2], UNITS))
    for sample, length in enumerate(lengths):
        state = [np.zeros(UNITS)] * (2 if cell == "lstm" else 1)
        for step in range(length):
            state = STEP[cell](values[sample, step].astype(np.float64), state, weights)
            outputs[sample, step] = state[0]
    return outputs


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_a_cell_is_its_equations(cell: str) -> None:
    model = build(recurrent.steps, RECURRENT, cell=cell)
    expected = by_hand(cell, VALUES, LENGTHS, model.get_weights())
    np.testing.assert_allclose(run(model), expected, atol=1e-6)
    last = build(recurrent.steps, RECURRENT, cell=cell, last_only=True)
    last.set_weights(model.get_weights())
    np.testing.assert_allclose(run(last), expected[np.arange(BATCH), LENGTHS - 1], atol=1e-6)


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


# What comes after the end ---------------------------------------------------------------------------------------------

NETWORKS = [
    *(
        (recurrent.steps, RECURRENT, {"cell": cell, "bidirectional": both})
        for cell in recurrent.LAYERS
        for both in (0, 1)
    ),
    (recurrent.steps, RECURRENT, {"layers": 2, "residual": True, "layer_norm": True, "bidirectional": True}),
    (recurrent.steps, RECURRENT, {"last_only": True, "bidirectional": True, "layers": 2}),
    (convolutional.steps, CONVOLUTIONAL, {}),
    (convolutional.steps, CONVOLUTIONAL, {"causal": True, "layer_norm": True, "residual": False}),
    (transformer.steps, TRANSFORMER, {}),
    (transformer.steps, TRANSFORMER, {"causal": True}),
]


@pytest.mark.parametrize(("steps", "options", "changes"), NETWORKS)
def test_what_comes_after_a_sequences_end_changes_nothing(steps: Any, options: Any, changes: Any) -> None:
    model = build(steps, options, **changes)
    outputs = run(model)
    noise = np.where(MASK[..., None], VALUES, 100 * RNG.normal(size=VALUES.shape)).astype(np.float32)
    np.testing.assert_array_equal(run(model, noise), outputs)
    for sample, length in enumerate(LENGTHS):  # alone, without any padding
        alone = run(model, VALUES[sample : sample + 1, :length], np.ones((1, length), bool))
        own = outputs[sample] if outputs.ndim == 2 else outputs[sample, :length]
        np.testing.assert_allclose(alone[0], own, atol=2e-6)
    if outputs.ndim == 3:
        assert not outputs[~MASK].any()


@pytest.mark.parametrize(("steps", "options", "changes"), NETWORKS)
def test_every_variable_has_a_gradient(steps: Any, options: Any, changes: Any) -> None:
    import tensorflow as tf

    model = build(steps, options, **changes)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(3.0 * model([VALUES, MASK], training=True)))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        if "key/bias" not in variable.path:  # which moves all of a softmax's inputs alike
            assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.path


CAUSAL = [
    (recurrent.steps, RECURRENT, {"layers": 2}),
    (convolutional.steps, CONVOLUTIONAL, {"causal": True}),
    (transformer.steps, TRANSFORMER, {"causal": True}),
]


@pytest.mark.parametrize(("steps", "options", "changes"), CAUSAL)
def test_a_causal_network_does_not_see_what_follows(steps: Any, options: Any, changes: Any) -> None:
    model = build(steps, options, **changes)
    mask = np.ones((BATCH, STEPS), bool)
    later = VALUES.copy()
    later[:, 4:] += 1
    before, after = run(model, mask=mask), run(model, later, mask)
    np.testing.assert_allclose(after[:, :4], before[:, :4], atol=1e-6)
    assert np.abs(after[:, 4:] - before[:, 4:]).min(axis=-1).max() > 1e-4
    open_ = build(
        steps, options, **changes | ({"bidirectional": True} if steps is recurrent.steps else {"causal": False})
    )
    assert np.abs(run(open_, later, mask)[:, :4] - run(open_, mask=mask)[:, :4]).max() > 1e-4


def test_a_convolution_sees_what_its_docstring_says() -> None:
    model = build(convolutional.steps, CONVOLUTIONAL, causal=True, kernel_size=2, dilations=(1, 2))
    mask = np.ones((BATCH, STEPS), bool)
    seen = []
    for distance in range(STEPS):
        changed = VALUES.copy()
        changed[:, STEPS - 1 - distance] += 1
        seen.append(bool(np.abs(run(model, changed, mask)[:, -1] - run(model, mask=mask)[:, -1]).max() > 1e-6))
    assert sum(seen) <= 1 + 1 * 3
    assert seen[: 1 + 1 * 3] == [True] * 4


def test_positions_are_the_papers_sines() -> None:
    x = np.zeros((2, 5, 6), np.float32)
    found = np.asarray(transformer.positions(keras.ops.convert_to_tensor(x)))
    waves = 10_000.0 ** (-np.arange(3) / 3)
    angles = np.arange(5)[:, None] * waves
    np.testing.assert_allclose(found[1], np.concatenate([np.sin(angles), np.cos(angles)], axis=-1), atol=1e-5)


def test_heads_must_divide_the_units() -> None:
    with pytest.raises(ValueError, match=r"units must be a multiple of heads\. Received 6 and 4\."):
        build(transformer.steps, TRANSFORMER, heads=4)


# Pooling --------------------------------------------------------------------------------------------------------------


def pooled_by_hand(kind: str, sample: np.ndarray) -> np.ndarray:
    return {"last": sample[-1], "mean": sample.mean(axis=0), "max": sample.max(axis=0)}[kind]


@pytest.mark.parametrize("kind", ["last", "mean", "max"])
def test_pooling_takes_each_sequences_own_steps(kind: Any) -> None:
    values, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    model = keras.Model([values, mask], pooling.pooled(values, mask, pooling=kind))
    noise = np.where(MASK[..., None], VALUES, 1e6).astype(np.float32)
    expected = [pooled_by_hand(kind, VALUES[i, :length]) for i, length in enumerate(LENGTHS)]
    np.testing.assert_allclose(run(model, noise), expected, rtol=1e-6)


def test_attention_weighs_the_steps_and_none_after_the_end() -> None:
    values, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    model = keras.Model([values, mask], pooling.pooled(values, mask, pooling="attention"))
    model.set_weights([RNG.normal(size=weight.shape) for weight in model.get_weights()])
    w, b, question = model.get_weights()
    noise = np.where(MASK[..., None], VALUES, 10.0).astype(np.float32)
    for i, (found, length) in enumerate(zip(run(model, noise), LENGTHS, strict=True)):
        sample = VALUES[i, :length]
        scores = (np.tanh(sample @ w + b) @ question)[:, 0]
        weights = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        np.testing.assert_allclose(found, weights @ sample, atol=1e-5)


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_carried_layers_go_on_where_the_last_batch_ended(cell: str) -> None:
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
