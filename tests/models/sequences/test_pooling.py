"""Pooling of sequences against NumPy, with padding that never counts."""

from typing import Any

import keras
import numpy as np
import pytest

from dlcli.models.sequences import pooling

RNG = np.random.default_rng(0)
BATCH, STEPS, FEATURES, UNITS = 4, 7, 3, 5
LENGTHS = np.array([7, 4, 1, 6])
MASK = np.arange(STEPS) < LENGTHS[:, None]
VALUES = RNG.normal(size=(BATCH, STEPS, FEATURES)).astype(np.float32)


def run(model: keras.Model, values: np.ndarray = VALUES, mask: np.ndarray = MASK, *, training: bool = False) -> Any:
    return np.asarray(model([values, mask], training=training))


def pooled_by_hand(kind: str, sample: np.ndarray) -> np.ndarray:
    return {"last": sample[-1], "mean": sample.mean(axis=0), "max": sample.max(axis=0)}[kind]


@pytest.mark.parametrize("kind", ["last", "mean", "max"])
def test_pooling_takes_each_sequences_own_steps(kind: Any) -> None:
    values, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    model = keras.Model([values, mask], pooling.pooled(values, mask, pooling=kind))
    noise = np.where(MASK[..., None], VALUES, 1e6).astype(np.float32)
    expected = [pooled_by_hand(kind, VALUES[i, :length]) for i, length in enumerate(LENGTHS)]
    np.testing.assert_allclose(run(model, noise), expected, rtol=1e-6)


def test_a_maximum_may_be_far_below_zero_and_what_is_below_it_stays_near() -> None:
    values, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    found = pooling.pooled(values, mask, pooling="max")
    model = keras.Model([values, mask], found)
    far = VALUES - 1e6
    expected = [far[i, :length].max(axis=0) for i, length in enumerate(LENGTHS)]
    np.testing.assert_array_equal(run(model, far), expected)
    filled = keras.Model(
        [values, mask], next(node.arguments.keras_tensors for node in found._keras_history.operation._inbound_nodes)[0]
    )
    assert run(filled).min() >= VALUES.min() - 1.0  # the range of all values, which 8 bits divide


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
