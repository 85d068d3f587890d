"""Deconvnet against explicit switches in NumPy, and how each kind of layer passes a projection on."""

from typing import Any

import keras
import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.explanation.deconvnet import deconvnet
from dlcli.explanation.logits import open_network


def zeiler() -> keras.Model:
    """Two stages of convolution, batch normalization, ReLU and max pooling, with weights of any size."""
    keras.utils.set_random_seed(1)
    inputs = x = keras.Input((12, 12, 2))
    x = keras.layers.Rescaling(1 / 255, name="scaled")(x)
    for number, filters in enumerate((3, 4), start=1):
        x = keras.layers.Conv2D(filters, 3, padding="same", name=f"conv{number}")(x)
        x = keras.layers.BatchNormalization(name=f"norm{number}")(x)
        x = keras.layers.ReLU(name=f"relu{number}")(x)
        x = keras.layers.MaxPooling2D(name=f"pool{number}")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(x)))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(
            rng.uniform(0.5, 1.5, weight.shape) if "norm" in weight.path else rng.normal(0, 0.4, weight.shape)
        )
    return model


def explicit_projection(model: keras.Model, image: np.ndarray, number: int, place: tuple[int, int]) -> np.ndarray:
    """The projection of one value of pool2, with switches, in float64."""
    x, switches = image / 255, []
    for stage in (1, 2):
        kernel, bias = (np.asarray(w, np.float64) for w in model.get_layer(f"conv{stage}").weights)
        gamma, beta, mean, variance = (np.asarray(w, np.float64) for w in model.get_layer(f"norm{stage}").weights)
        scale = gamma / np.sqrt(variance + 1e-3)
        x = np.maximum((correlate(x, kernel) + bias - mean) * scale + beta, 0)
        blocks = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).transpose(0, 2, 4, 1, 3)
        blocks = blocks.reshape(*blocks.shape[:3], 4)
        switches.append((kernel, scale, blocks.argmax(axis=-1)))
        x = blocks.max(axis=-1)
    back = np.zeros_like(x)
    back[(*place, number)] = x[(*place, number)]
    for kernel, scale, switch in reversed(switches):
        unpooled = np.where(np.arange(4) == switch[..., None], back[..., None], 0)
        unpooled = unpooled.reshape(*back.shape, 2, 2).transpose(0, 3, 1, 4, 2)
        rectified = np.maximum(unpooled.reshape(2 * back.shape[0], 2 * back.shape[1], -1), 0)
        back = transposed(rectified * scale, kernel)
    return back / 255


def correlate(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A convolution as Keras has it: ``[h, w, c]`` with 3 x 3 windows and zeros around."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    height, width = x.shape[:2]
    return sum(padded[i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3))


def transposed(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Its transpose."""
    height, width = x.shape[:2]
    padded = np.zeros((height + 2, width + 2, kernel.shape[2]))
    for i in range(3):
        for j in range(3):
            padded[i : i + height, j : j + width] += x @ kernel[i, j].T
    return padded[1:-1, 1:-1]


def test_a_projection_is_that_of_explicit_switches() -> None:
    model = zeiler()
    network = open_network(model)
    images = np.random.default_rng(2).uniform(0, 255, (6, 12, 12, 2)).astype(np.float32)
    maps = keras.Model(model.input, model.get_layer("pool2").output).predict(images, verbose=0)
    places = [np.unravel_index(image[..., i % 4].argmax(), (3, 3)) for i, image in enumerate(maps)]
    filters, positions = np.arange(6, dtype=np.int32) % 4, np.array(places, np.int32)
    found = deconvnet(network, "pool2")(images, filters, positions)
    num_shown = 0
    for i, image in enumerate(images):
        expected = explicit_projection(model, image.astype(np.float64), i % 4, places[i])
        np.testing.assert_allclose(found[i], expected, rtol=0, atol=1e-5 * max(np.abs(expected).max(), 1e-9))
        num_shown += expected.any()
    assert num_shown >= 4


def projected(layers: list[Any], image: np.ndarray, *, layer: str, place: tuple[int, int]) -> np.ndarray:
    inputs = x = keras.Input(image.shape)
    for made in layers:
        x = made(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    project = deconvnet(open_network(model), layer)
    return project(image[None].astype(np.float32), np.array([0], np.int32), np.array([place], np.int32))[0, ..., 0]


def test_additions_are_copied_and_average_pooling_spreads() -> None:
    image = np.arange(1, 17, dtype=np.float32).reshape(4, 4, 1)
    relu = keras.layers.ReLU(name="relu")
    found = projected(
        [relu, lambda x: keras.layers.Add()([x, x]), keras.layers.AveragePooling2D(2, name="pool")],
        image,
        layer="pool",
        place=(0, 1),
    )
    value = 2 * (3 + 4 + 7 + 8) / 4
    expected = np.zeros((4, 4))
    expected[:2, 2:] = 2 * value / 4
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_relu_rectifies_what_comes_back_whatever_its_input_was() -> None:
    """The gradient passes an open ReLU alone; here the second ReLU is closed, and the third position is negative."""
    first = keras.layers.ReLU(name="first")
    conv = keras.layers.Conv2D(1, (1, 3), use_bias=False, name="conv")
    relu = keras.layers.ReLU(name="second")
    image = np.array([0.0, 2.0, 1.0], np.float32).reshape(1, 3, 1)
    conv.build((None, 1, 3, 1))
    conv.kernel.assign(np.array([1.0, 1.0, -1.0]).reshape(1, 3, 1, 1))
    found = projected([first, conv, relu], image, layer="second", place=(0, 0))
    np.testing.assert_allclose(found, [[1.0, 1.0, 0.0]])  # the value 1, through the kernel, rectified at the first ReLU


def test_networks_without_relus_and_layers_without_maps_are_refused() -> None:
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, activation="gelu", name="smooth")(inputs)
    late = keras.layers.Conv2D(2, 3, activation="relu", name="late")(x)
    network = open_network(keras.Model(inputs, keras.layers.Dense(2, name="head")(keras.layers.Flatten()(late))))
    deconvnet(network, "late")
    with pytest.raises(InputError, match="has no ReLU up to layer 'smooth', at which a deconvnet rectifies"):
        deconvnet(network, "smooth")
    with pytest.raises(InputError, match="layer 'head' has no feature maps"):
        deconvnet(network, "head")
