"""Activation maximization finds the image that a known filter prefers, and leaves out the activation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.explanation.filters import filters_of_pixels, first_convolution
from dlcli.explanation.logits import open_network
from dlcli.explanation.maximization import color_root, maximize
from dlcli.explanation.rectifiers import before_activation


def edges(activation: str | None = "relu6", *, side: int = 12) -> keras.Model:
    """A network whose filters are a bright left and a bright right side, on pixels in [0, 1]."""
    inputs = keras.Input((side, side, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(2, 4, padding="same", activation=activation, name="conv")(x)
    x = keras.layers.MaxPooling2D(2, 1, padding="same", name="pool")(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    kernel = np.ones((4, 4, 3, 2))
    kernel[:, 2:, :, 0] = kernel[:, :2, :, 1] = -1
    model.get_layer("conv").set_weights([kernel, np.full(2, -30.0)])  # closed for every image
    return model


@pytest.mark.parametrize("is_photo", [False, True])
def test_the_image_of_an_edge_is_that_edge(is_photo: bool) -> None:
    network = open_network(edges())
    colors = np.eye(3) if is_photo else None
    found = maximize(network, "conv", [0, 1], scale=np.array([10.0, 10.0]), colors=colors, steps=60)
    assert found.images.shape == (2, 12, 12, 3)
    assert found.images.min() >= 0
    assert found.images.max() <= 255
    assert (found.last > found.first + 8).all()  # of at most 24; it starts from about 0
    assert (found.last <= 24 - 30).all()  # before the ReLU6, which is closed here
    left, right = found.images[:, 4:8, 5:7].mean(axis=(1, 2, 3)), found.images[:, 4:8, 7:9].mean(axis=(1, 2, 3))
    assert left[0] > right[0] + 60
    assert right[1] > left[1] + 60
    again = maximize(network, "conv", [0, 1], scale=np.array([10.0, 10.0]), colors=colors, steps=60)
    np.testing.assert_array_equal(found.images, again.images)


def test_the_activation_that_is_pooled_is_left_out() -> None:
    network = open_network(edges())
    pixels = tf.constant(np.random.default_rng(0).uniform(0, 255, (2, 12, 12, 3)), tf.float32)
    linear = open_network(edges(None)).outputs(pixels, ["conv", "pool"])
    for name in ("conv", "pool"):
        found = network.outputs(pixels, [name], substitute=before_activation(network, name))[name]
        np.testing.assert_allclose(found, linear[name], rtol=1e-6)
        assert not np.any(network.outputs(pixels, [name])[name])


def test_colors_get_the_covariance_of_the_images() -> None:
    rng = np.random.default_rng(0)
    images = 128 + 20 * rng.normal(size=(2000, 3)) @ rng.normal(size=(3, 3))
    root = color_root(images)
    np.testing.assert_allclose(root @ root.T, np.cov(images.T / 255), atol=2e-6)
    assert color_root(images[:, :1]).shape == (1, 1)


def test_first_filters_are_kernels_in_the_order_of_the_colors_of_the_image() -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.ops.flip(keras.layers.Rescaling(1 / 2)(inputs), axis=-1)  # as networks that were trained on BGR have it
    x = keras.layers.Conv2D(5, 3, activation="relu", name="conv")(x)
    network = open_network(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))
    call = first_convolution(network)
    assert call is not None
    found = filters_of_pixels(network, call)
    kernel = np.asarray(call.operation.kernel).transpose(3, 0, 1, 2)
    np.testing.assert_allclose(found[:, 3:6, 3:6], kernel[..., ::-1] / 2, rtol=1e-6)
    assert not found[:, :3].any()
    assert not found[:, :, 6:].any()


def test_networks_whose_first_convolution_does_not_see_pixels() -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Dense(4)(inputs)
    network = open_network(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))
    assert first_convolution(network) is None
    x = keras.layers.Conv2D(2, 3)(x)
    network = open_network(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))
    assert first_convolution(network) is None
