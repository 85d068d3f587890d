"""ReLUs with another gradient: every form counts, and the gradients are those of explicit NumPy masks."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.explanation.logits import Classifier, open_network
from dlcli.explanation.rectifiers import guided, rectifiers, with_rule


def every_form() -> keras.Model:
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(2, 1, activation="relu", name="fused")(inputs)
    x = keras.layers.ReLU(name="layer")(x)
    x = keras.layers.ReLU(6.0, name="layer6")(x)
    x = keras.layers.Activation("relu6", name="activation6")(x)
    shared = keras.layers.Activation("relu", name="shared")
    x = shared(keras.layers.Conv2D(2, 1, name="linear")(shared(x)))
    x = keras.ops.relu(keras.activations.relu(x, max_value=4.0))
    x = keras.layers.LeakyReLU(name="leaky")(x)
    x = keras.layers.ReLU(negative_slope=0.1, name="leaky_too")(x)
    x = keras.layers.Activation("gelu", name="gelu")(x)
    body = keras.Sequential([keras.layers.Dense(3, activation="relu6", name="inner")])
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(body(keras.layers.Flatten()(x))))


def test_every_form_of_a_relu_is_counted() -> None:
    names = rectifiers(open_network(every_form()))
    named = ["fused", "layer", "layer6", "activation6", "shared", "shared#2"]
    assert names[:6] == named
    assert len(names) == 9  # two operations, and the dense layer of the inner model
    assert num_relus_in_graph(open_network(every_form())) == 9
    assert names[-1] == "inner"


@pytest.mark.slow
def test_all_relus_of_mobilenetv2_are_counted_and_replaced() -> None:
    base = keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), alpha=0.35, weights=None, include_top=False, pooling="avg"
    )
    inputs = keras.Input((32, 32, 3))
    network = open_network(keras.Model(inputs, keras.layers.Dense(3)(base(inputs))))
    assert len(rectifiers(network)) == 35
    seen: list[Any] = []

    def rule(is_open: Any, gradient: Any) -> Any:
        seen.append(gradient)
        return is_open * gradient

    pixels = tf.constant(np.random.default_rng(0).uniform(0, 1, (1, 32, 32, 3)), tf.float32)
    np.testing.assert_allclose(slope(network, pixels, rule), slope(network, pixels, None), rtol=1e-4, atol=1e-30)
    assert len(seen) == 35
    assert num_relus_in_graph(network) == 35


def num_relus_in_graph(network: Classifier) -> int:
    """The ReLUs that TensorFlow computes, whatever Keras calls them."""
    traced = tf.function(network).get_concrete_function(tf.TensorSpec([None, *network.shape], tf.float32))
    return sum(operation.type in ("Relu", "Relu6") for operation in traced.graph.get_operations())


def slope(network: Classifier, pixels: Any, rule: Any) -> np.ndarray:
    options = {} if rule is None else {"substitute": with_rule(rule)}
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        score, _ = network.scores(pixels, np.zeros(len(pixels), np.int32), **options)
    return np.asarray(tape.gradient(score, pixels))


def dense_layers(activations: Any) -> tuple[Classifier, list[np.ndarray]]:
    """Dense layers with ReLUs, and their weights; the last has two outputs."""
    inputs = keras.Input((2, 2, 1))
    x = keras.layers.Flatten()(inputs)
    layers = [keras.layers.Dense(8, activation=each, use_bias=False) for each in activations]
    for layer in [*layers, keras.layers.Dense(2, use_bias=False)]:
        x = layer(x)
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return open_network(model), [weight.numpy() for weight in model.weights]


@pytest.mark.parametrize("largest", [np.inf, 6.0])
def test_guided_gradients_are_those_of_explicit_masks(largest: float) -> None:
    """Springenberg et al. 2015, figure 1: the masks of the forward and the backward pass, in NumPy."""
    network, (one, two, last) = dense_layers(["relu", "relu"] if largest == np.inf else ["relu6", "relu6"])
    pixels = np.random.default_rng(2).normal(size=(50, 2, 2, 1)).astype(np.float32) * 3
    before_one = pixels.reshape(50, 4) @ one
    before_two = before_one.clip(0, largest) @ two
    gradient = np.broadcast_to(last[:, 0], before_two.shape)
    assert largest == np.inf or (before_two > largest).mean() > 0.1  # the upper bound is met
    for before, weights in ((before_two, two), (before_one, one)):
        gradient = ((before > 0) & (before < largest) & (gradient > 0)) * gradient @ weights.T
    found = slope(network, tf.constant(pixels), guided)
    np.testing.assert_allclose(found, gradient.reshape(found.shape), rtol=1e-4, atol=1e-5)
    assert np.abs(found - slope(network, tf.constant(pixels), None)).max() > 0.1


def test_outputs_do_not_change_and_layers_keep_their_activations() -> None:
    model = every_form()
    network = open_network(model)
    pixels = np.random.default_rng(0).normal(size=(5, 4, 4, 1)).astype(np.float32)
    classes = np.array([0, 1, 1, 0, 1], np.int32)
    replaced, _ = network.scores(pixels, classes, substitute=with_rule(guided))
    np.testing.assert_array_equal(replaced, network.scores(pixels, classes)[0])
    assert model.get_layer("fused").activation is keras.activations.relu
