"""Opening classifiers for explanation: against the models themselves."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.errors import InputError
from dlcli.explanation.logits import chosen, open_network
from dlcli.explanation.network import traced, with_activation

PIXELS = np.random.default_rng(0).uniform(0, 255, (3, 6, 5, 1)).astype(np.float32)


def part(name: str) -> keras.Model:
    """A network of maps whose layers have the same names in every part."""
    inputs = keras.Input((6, 5, 2))
    x = keras.layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(inputs)
    return keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(x), name=name)


def nested(head: Any = None) -> keras.Model:
    """Two models with layers of the same names in a third one, augmentation and dropout among its layers."""
    inputs = keras.Input((6, 5, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.RandomFlip(name="flip")(x)
    x = keras.layers.Conv2D(2, 1, name="conv")(x)
    body = keras.Sequential([part("first"), part("second"), keras.layers.Dropout(0.5)], name="body")
    x = keras.layers.GlobalAveragePooling2D()(body(x))
    outputs = keras.layers.Dense(4, name="logits")(x) if head is None else head(x)
    return keras.Model(inputs, outputs)


def probabilities(x: Any) -> Any:
    return keras.layers.Activation("softmax", name="probabilities")(keras.layers.Dense(4, name="logits")(x))


def test_nested_models_become_calls_of_their_layers() -> None:
    model = nested()
    network = open_network(model)
    names = [call.name for call in network.calls]
    assert [name for name in names if "conv" in name] == ["conv", "body/first/conv", "body/second/conv"]
    assert [name for name in names if "norm" in name] == ["norm", "body/second/norm"]
    assert (network.shape, network.num_classes) == ((6, 5, 1), 4)
    np.testing.assert_allclose(network(PIXELS), model(PIXELS, training=False), rtol=1e-6)


def test_a_saved_model_opens_as_the_one_that_was_saved(tmp_path: Path) -> None:
    model = nested(probabilities)
    model.save(tmp_path / "model.keras")
    loaded = open_network(keras.saving.load_model(tmp_path / "model.keras", safe_mode=True))
    np.testing.assert_array_equal(loaded(PIXELS), open_network(model)(PIXELS))


def test_weights_are_shared_and_inference_is_deterministic() -> None:
    model = nested()
    network = open_network(model)
    before = network(PIXELS).numpy()
    np.testing.assert_array_equal(before, network(PIXELS))  # no dropout, no flips
    model.get_layer("logits").bias.assign_add([1.0, 0, 0, 0])
    np.testing.assert_allclose(network(PIXELS) - before, np.tile([1.0, 0, 0, 0], (3, 1)), atol=1e-6)


def last_softmax(form: str) -> keras.Model:
    match form:
        case "layer":
            return nested(lambda x: keras.layers.Softmax()(keras.layers.Dense(4)(x)))
        case "activation":
            return nested(probabilities)
        case "dense":
            return nested(lambda x: keras.layers.Dense(4, activation="softmax")(x))
        case "operation":
            return nested(lambda x: keras.ops.softmax(keras.layers.Dense(4)(x)))
        case _:
            return nested(lambda x: keras.layers.Dropout(0.1)(keras.layers.Identity()(probabilities(x))))


@pytest.mark.parametrize("form", ["layer", "activation", "dense", "operation", "before idle layers"])
def test_logits_are_those_before_any_form_of_softmax(form: str) -> None:
    model = last_softmax(form)
    logits = open_network(model)(PIXELS).numpy()
    expected = model(PIXELS, training=False).numpy()
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(shifted / shifted.sum(1, keepdims=True), expected, rtol=1e-5)
    assert np.abs(logits.sum(1)).max() > 1e-3  # not the logarithms of probabilities, which are fixed by them
    assert (logits.min() < 0) or (np.abs(logits.sum(1) - 1) > 1e-3).all()  # not probabilities


def test_one_unit_with_a_sigmoid_has_two_logits() -> None:
    model = nested(lambda x: keras.layers.Dense(1, activation="sigmoid")(x))
    network = open_network(model)
    logits = network(PIXELS).numpy()
    assert network.num_classes == 2
    np.testing.assert_array_equal(logits[:, 0], 0)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[:, 1:])), model(PIXELS, training=False), rtol=1e-5)
    np.testing.assert_allclose(network.probabilities(logits)[:, 1:], model(PIXELS, training=False), rtol=1e-5)


def test_sigmoids_of_several_labels_keep_their_logits() -> None:
    model = nested(lambda x: keras.layers.Activation("sigmoid")(keras.layers.Dense(3)(x)))
    network = open_network(model)
    assert (network.num_classes, network.is_multilabel) == (3, True)
    expected = model(PIXELS, training=False)
    np.testing.assert_allclose(1 / (1 + np.exp(-network(PIXELS).numpy())), expected, rtol=1e-5)
    np.testing.assert_allclose(network.probabilities(network(PIXELS)), expected, rtol=1e-5)


def reused() -> keras.Model:
    """One layer that is called twice, and one inner model that is called twice."""
    inputs = keras.Input((6, 5, 2))
    conv, inner = keras.layers.Conv2D(2, 3, padding="same", name="conv"), part("inner")
    x = inner(inner(conv(conv(inputs))))
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))


def test_every_call_of_a_reused_layer_has_a_name() -> None:
    model = reused()
    network = open_network(model)
    names = [call.name for call in network.calls]
    assert names[:6] == ["conv", "conv#2", "inner/conv", "norm", "inner/conv#2", "norm#2"]
    pixels = PIXELS.repeat(2, axis=3)
    found = network.outputs(pixels, ["conv", "conv#2", "norm#2"])
    conv = model.get_layer("conv")
    np.testing.assert_allclose(found["conv#2"], conv(found["conv"]), atol=1e-4)
    np.testing.assert_allclose(found["norm#2"], model.get_layer("inner")(model.get_layer("inner")(found["conv#2"])))


def test_gradients_reach_the_layers_that_are_returned() -> None:
    network = open_network(nested())
    with tf.GradientTape() as tape:
        tape.watch(pixels := tf.constant(PIXELS))
        score, found = network.scores(pixels, np.array([0, 3, 2]), ["body/second/norm"])
    weights = network.calls[-1].operation.kernel.numpy()
    slope = tape.gradient(score, found["body/second/norm"]).numpy()
    np.testing.assert_allclose(slope, np.broadcast_to(weights.T[[0, 3, 2]][:, None, None] / 30, slope.shape), rtol=1e-5)


def test_a_traced_function_takes_any_number_of_images() -> None:
    network = open_network(nested())
    function = traced(network, lambda pixels, classes: chosen(network(pixels), classes))
    all_at_once = function(PIXELS, np.array([1, 2, 3], np.int32))
    np.testing.assert_allclose(all_at_once[1:2], function(PIXELS[1:2], np.array([2], np.int32)), rtol=1e-5)


def test_another_activation_leaves_the_layer_as_it_was() -> None:
    layer = keras.layers.Dense(2, activation="relu")
    x = np.array([[1.0, -2.0]], np.float32)
    expected = layer(x).numpy()
    assert (with_activation(layer, keras.activations.linear)(x).numpy() == x @ layer.kernel.numpy()).all()
    assert layer.activation is keras.activations.relu
    np.testing.assert_array_equal(layer(x), expected)


def test_an_unknown_layer_is_named() -> None:
    with pytest.raises(InputError, match="has no layer 'stage9' before what is explained"):
        open_network(nested()).outputs(PIXELS, ["stage9"])


def two_inputs() -> keras.Model:
    one, two = keras.Input((6, 5, 1)), keras.Input((6, 5, 1))
    return keras.Model([one, two], keras.layers.Dense(2)(keras.layers.Flatten()(one + two)))


def maps_only() -> keras.Model:
    inputs = keras.Input((6, 5, 1))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))


def any_size() -> keras.Model:
    inputs = keras.Input((None, None, 1))
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(inputs)))


def masks() -> keras.Model:
    inputs = keras.Input((6, 5, 1))
    return keras.Model(inputs, keras.layers.Conv2D(2, 1, activation="softmax")(inputs))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (two_inputs, "must be a functional or sequential model with one input"),
        (maps_only, "must end in a softmax, a sigmoid or a dense layer"),
        (any_size, "images of a fixed size"),
        (masks, "an output vector for each image"),
    ],
)
def test_what_is_not_a_classifier_is_refused(build: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_network(build())
