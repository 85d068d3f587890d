"""The Neural Turing Machine against the paper's equations in NumPy, and its gradients against finite differences."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.models.sequences import ntm

RNG = np.random.default_rng(0)
BATCH, STEPS, FEATURES = 2, 5, 3
OPTIONS: dict[str, Any] = {
    "controller": "dense",
    "units": 4,
    "memory": (6, 3),
    "read_heads": 2,
    "write_heads": 2,
    "shift": 1,
}
VALUES = RNG.normal(size=(BATCH, STEPS, FEATURES)).astype(np.float32)
MASK = np.arange(STEPS) < np.array([[5], [3]])


def build(**changes: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    values, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    model = keras.Model([values, mask], ntm.steps(values, mask, **{**OPTIONS, **changes}))
    model.set_weights([RNG.normal(size=weight.shape, scale=0.7) for weight in model.get_weights()])
    return model


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x))


def softmax(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(x - x.max()) / np.exp(x - x.max()).sum())


def addressed(parameters: np.ndarray, memory: np.ndarray, before: np.ndarray, shift: int) -> np.ndarray:
    """One head's address by equations 5 to 9, row by row."""
    num_rows, width = memory.shape
    key, strength, gate = np.tanh(parameters[:width]), softplus(parameters[width]), sigmoid(parameters[width + 1])
    shifts = softmax(parameters[width + 2 : width + 3 + 2 * shift])
    exponent = 1 + softplus(parameters[-1])
    cosines = np.array([key @ row / (np.linalg.norm(key) * np.linalg.norm(row)) for row in memory])
    gated = gate * softmax(strength * cosines) + (1 - gate) * before
    moved = np.zeros(num_rows)
    for i in range(num_rows):
        for j, amount in enumerate(shifts):
            moved[(i + j - shift) % num_rows] += amount * gated[i]
    return np.asarray(moved**exponent / (moved**exponent).sum())


def by_hand(weights: dict[str, np.ndarray], values: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """The outputs for one sequence."""
    num_rows, width = options["memory"]
    readers, writers, shift = options["read_heads"], options["write_heads"], options["shift"]
    heads, numbers = readers + writers, width + 3 + 2 * shift + 1
    memory = np.full((num_rows, width), ntm.FIRST_MEMORY)
    read = np.tanh(weights["first_read"])
    address = np.array([softmax(row) for row in weights["first_address"]])
    h = c = np.zeros(options["units"])
    outputs = []
    for x in values.astype(np.float64):
        x = np.concatenate([x, read])
        if options["controller"] == "lstm":
            w, u, b = (weights[f"controller/{name}"] for name in ("kernel", "recurrent_kernel", "bias"))
            i, f, g, o = np.split(x @ w + h @ u + b, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            h = np.tanh(x @ weights["controller/kernel"] + weights["controller/bias"])
        parameters = np.clip(h @ weights["to_heads/kernel"] + weights["to_heads/bias"], -ntm.CLIP, ntm.CLIP)
        changes = parameters[heads * numbers :].reshape(writers, 2, width)
        parameters = parameters[: heads * numbers].reshape(heads, numbers)
        address = np.array([addressed(parameters[k], memory, address[k], shift) for k in range(heads)])
        read = np.concatenate([address[k] @ memory for k in range(readers)])
        for k in range(writers):
            where = address[readers + k][:, None]
            memory = memory * (1 - where * sigmoid(changes[k, 0])) + where * np.tanh(changes[k, 1])
        outputs.append(np.concatenate([h, read]))
    return np.array(outputs)


def named(model: keras.Model) -> dict[str, np.ndarray]:
    return {weight.path.split("ntm_cell/")[1]: np.asarray(weight, np.float64) for weight in model.weights}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"controller": "lstm"},
        {"read_heads": 1, "write_heads": 1, "shift": 2, "memory": (7, 2)},
    ],
)
def test_every_step_is_the_papers_equations(changes: dict[str, Any]) -> None:
    model = build(**changes)
    found = np.asarray(model([VALUES, MASK]))
    for sample, length in enumerate(MASK.sum(axis=1)):
        expected = by_hand(named(model), VALUES[sample, :length], {**OPTIONS, **changes})
        np.testing.assert_allclose(found[sample, :length], expected, atol=2e-5)
        assert not found[sample, length:].any()


def test_an_address_is_a_distribution_that_follows_its_parameters() -> None:
    cell = ntm.NtmCell(controller="dense", units=2, rows=5, width=3, read_heads=1, write_heads=1, shift=1)
    memory = RNG.normal(size=(1, 5, 3)).astype(np.float32)
    before = np.eye(5, dtype=np.float32)[None, [1, 3]]

    def parameters(
        key: Any = (0, 0, 0), strength: float = 0, gate: float = 0, shift: Any = (0, 0, 0), y: float = 0
    ) -> Any:
        head = np.array([*key, strength, gate, *shift, y], np.float32)
        return np.tile(head, (1, 2, 1))

    far = 20.0  # what the clipping lets through
    stays = np.asarray(cell.address(parameters(gate=-far, shift=(-far, far, -far), y=far), memory, before))
    np.testing.assert_allclose(stays, before, atol=1e-4)
    forward = np.asarray(cell.address(parameters(gate=-far, shift=(-far, -far, far), y=far), memory, before))
    np.testing.assert_allclose(forward, np.roll(before, 1, axis=-1), atol=1e-4)
    key = np.arctanh(0.9 * memory[0, 4] / np.abs(memory[0, 4]).max())
    found = np.asarray(
        cell.address(parameters(key, strength=far, gate=far, shift=(-far, far, -far), y=far), memory, before)
    )
    np.testing.assert_allclose(found, np.tile(np.eye(5)[4], (1, 2, 1)), atol=1e-3)
    anything = np.asarray(cell.address(RNG.normal(size=(1, 2, 9)).astype(np.float32) * 5, memory, before))
    np.testing.assert_allclose(anything.sum(axis=-1), 1, atol=1e-5)
    assert (anything >= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("controller", ["dense", "lstm"])
def test_gradients_are_finite_differences(controller: str) -> None:
    keras.config.set_dtype_policy("float64")
    try:
        model = build(controller=controller, units=3, memory=(4, 2), read_heads=1, write_heads=1)
        values, goal = VALUES.astype(np.float64), RNG.normal(size=(BATCH, STEPS, 5))

        def loss() -> Any:
            return tf.reduce_sum(tf.cast(model([values, MASK]), tf.float64) * goal)

        with tf.GradientTape() as tape:
            value = loss()
        variables = [variable.value for variable in model.trainable_variables]
        for variable, gradient in zip(variables, tape.gradient(value, variables), strict=True):
            assert gradient is not None
            step, start = 1e-6, variable.numpy()
            for position in list(np.ndindex(start.shape))[:: max(1, start.size // 4)]:
                sides = []
                for sign in (1, -1):
                    changed = start.copy()
                    changed[position] += sign * step
                    variable.assign(changed)
                    sides.append(float(loss()))
                variable.assign(start)
                expected = (sides[0] - sides[1]) / (2 * step)
                assert float(gradient.numpy()[position]) == pytest.approx(expected, rel=1e-3, abs=1e-6)
    finally:
        keras.config.set_dtype_policy("float32")


def test_nothing_is_ever_infinite() -> None:
    """At the first step the memory is nearly 0; inputs and weights may be huge."""
    for scale in (0.0, 1e-6, 1.0, 1e3):
        model = build()
        model.set_weights([weight * scale for weight in model.get_weights()])
        with tf.GradientTape() as tape:
            outputs = model([VALUES * 100, MASK])
            loss = tf.reduce_sum(outputs)
        assert np.isfinite(np.asarray(outputs)).all()
        for gradient in tape.gradient(loss, [variable.value for variable in model.trainable_variables]):
            assert np.isfinite(gradient.numpy()).all()


def test_a_saved_machine_is_the_same(tmp_path: Path) -> None:
    model = build(controller="lstm")
    model.save(tmp_path / "ntm.keras")
    loaded = keras.saving.load_model(tmp_path / "ntm.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(loaded([VALUES, MASK])), np.asarray(model([VALUES, MASK])))


def test_the_name_in_saved_models_stays() -> None:
    assert keras.saving.get_registered_name(ntm.NtmCell) == "dlcli>NtmCell"
