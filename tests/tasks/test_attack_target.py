"""The logits of classifiers: taken from below the softmax, recovered from probabilities, or refused."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from networks import held_out, trained, with_head  # type: ignore[import-not-found]

from dlcli.errors import InputError
from dlcli.tasks.attack_target import load_target, of_model

PIXELS = (0.0, 255.0)


@pytest.mark.parametrize("head", ["logits", "softmax", "activation", "layer", "buried"])
def test_logits_are_taken_from_any_head(head: str, tmp_path: Path) -> None:
    x, _ = held_out()
    expected = np.asarray(trained()(x))
    with_head(trained(), head).save(tmp_path / "x.keras")
    target = load_target(tmp_path / "x.keras")
    assert (target.shape, target.num_classes, target.note) == ((8, 8, 1), 10, "")
    np.testing.assert_allclose(target.logits(x), expected, rtol=1e-4, atol=1e-4)


def test_logits_are_recovered_from_probabilities() -> None:
    x, _ = held_out()
    model = with_head(trained(), "softmax")
    halves = keras.Model(model.input, keras.layers.Average()([model.output, model.output]))
    target = of_model(halves, input_range=PIXELS)
    assert "the softmax could not be removed" in target.note
    probabilities = np.asarray(keras.ops.softmax(target.logits(x)))
    np.testing.assert_allclose(probabilities, model(x), atol=1e-5)


def test_a_sigmoid_unit_means_two_classes() -> None:
    inputs = keras.Input((4, 4, 1))
    for last in (keras.layers.Dense(1, activation="sigmoid"), keras.layers.Dense(1)):
        outputs = last(keras.layers.Flatten()(inputs))
        if last.activation is keras.activations.linear:
            outputs = keras.layers.Activation("sigmoid")(outputs)
        model = keras.Model(inputs, outputs)
        x = np.random.default_rng(0).uniform(0, 1, (5, 4, 4, 1)).astype(np.float32)
        expected = np.asarray(model(x))[:, 0]
        target = of_model(model, input_range=PIXELS)
        assert target.num_classes == 2
        np.testing.assert_allclose(np.asarray(keras.ops.softmax(target.logits(x)))[:, 1], expected, rtol=1e-5)


def test_the_input_range_is_respected() -> None:
    inputs = keras.Input((2, 2, 1))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))
    x = np.array([0, 255, 127.5, 51], np.float32).reshape(1, 2, 2, 1)
    scaled = x / 127.5 - 1
    np.testing.assert_allclose(of_model(model, input_range=(-1.0, 1.0)).logits(x), model(scaled), rtol=1e-5, atol=1e-6)


def test_a_model_of_mixed_precision_computes_in_float32(tmp_path: Path) -> None:
    x, _ = held_out()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((8, 8, 1))
        z = keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(inputs)))
        model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax", dtype="float32")(z))
        model.save(tmp_path / "x.keras")
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    target = load_target(tmp_path / "x.keras")
    inputs = keras.Input((8, 8, 1))
    z = keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(inputs)))
    plain = keras.Model(inputs, keras.layers.Dense(10)(z))
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(target.logits(x), plain(x), rtol=1e-5, atol=1e-5)
    assert np.abs(np.asarray(target.logits(x)) - np.log(np.asarray(model(x)))).max() > 1e-4


def dense(units: int, activation: Any = None) -> keras.Model:
    inputs = keras.Input((4, 4, 1))
    return keras.Model(inputs, keras.layers.Dense(units, activation=activation)(keras.layers.Flatten()(inputs)))


def maps() -> keras.Model:
    inputs = keras.Input((4, 4, 1))
    return keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))


def of_vectors() -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(2)(inputs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dense(1), "outputs one number that is not a probability"),
        (lambda: dense(3, "sigmoid"), "outputs an independent probability for each class"),
        (lambda: dense(3, "relu"), "its outputs are neither logits nor probabilities that sum to 1"),
        (maps, "is not a classifier: it must have one input"),
        (of_vectors, "must take images of a fixed size"),
    ],
)
def test_a_model_that_is_not_a_classifier_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        of_model(make(), input_range=PIXELS)
