"""Networks that attacks are tried on: a linear one, and some trained in a moment on scikit-learn's digits."""

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

BOUNDS = (0.0, 255.0)
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(12, 3)).astype(np.float32)


def linear(x: Any) -> Any:
    return tf.matmul(tf.reshape(x, [-1, 12]), WEIGHTS) / 255


def gray(number: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels far from the bounds, labels, numbers."""
    x = RNG.uniform(100, 150, (number, 3, 4, 1)).astype(np.float32)
    return x, np.asarray(linear(x)).argmax(1).astype(np.int32), np.arange(number)


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels float32 ``[1797, 8, 8, 1]`` in [0, 255] and labels int32."""
    found = load_digits()
    return (found.images * (255 / 16)).astype(np.float32)[..., None], found.target.astype(np.int32)


@functools.cache
def trained(head: str = "logits", *, mean: float = 0.0, scale: float = 1 / 255, epochs: int = 8) -> keras.Model:
    """A convnet with batch normalization and dropout; raw pixels in, scaling inside.

    Args:
        head: ``logits``, ``softmax`` in the last Dense layer, ``activation`` or ``layer`` for a softmax of its own, and
            ``buried`` under an identity and a dropout.
        mean: taken off the pixels first.
    """
    x, y = digits()
    keras.utils.set_random_seed(0)
    model = network(mean=mean, scale=scale)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(5e-3), loss=loss)
    model.fit(x[:1200], y[:1200], batch_size=64, epochs=epochs, verbose=0)
    return with_head(model, head)


def network(*, mean: float = 0.0, scale: float = 1 / 255) -> keras.Model:
    """What :func:`trained` trains, under the current dtype policy."""
    inputs = keras.Input((8, 8, 1))
    z = keras.layers.Rescaling(scale, offset=-mean * scale)(inputs)
    z = keras.layers.Conv2D(16, 3, padding="same", use_bias=False)(z)
    z = keras.layers.BatchNormalization(momentum=0.9)(z)
    z = keras.layers.ReLU()(z)
    z = keras.layers.MaxPooling2D()(z)
    z = keras.layers.Dropout(0.3)(keras.layers.Flatten()(z))
    return keras.Model(inputs, keras.layers.Dense(10, name="out", dtype="float32")(z))


@functools.cache
def saturated() -> keras.Model:
    """The same answers with logits 30 times as large: cross-entropy rounds to 0 on most samples."""
    model = keras.models.clone_model(trained())
    model.set_weights(trained().get_weights())
    last = model.layers[-1]
    last.set_weights([30 * values for values in last.get_weights()])
    return model


def with_head(model: keras.Model, head: str) -> keras.Model:
    """The same weights under another end."""
    if head == "logits":
        return model
    inner = keras.Model(model.input, model.layers[-1].input)
    last = keras.layers.Dense(10, activation="softmax" if head == "softmax" else None)
    outputs = last(inner.output)
    last.set_weights(model.layers[-1].get_weights())
    if head in ("activation", "buried"):
        outputs = keras.layers.Activation("softmax")(outputs)
    if head == "layer":
        outputs = keras.layers.Softmax()(outputs)
    if head == "buried":
        outputs = keras.layers.Dropout(0.5, name="last_dropout")(keras.layers.Identity()(outputs))
    return keras.Model(model.input, outputs)


def held_out() -> tuple[np.ndarray, np.ndarray]:
    """200 samples that no network here was trained on."""
    x, y = digits()
    return x[1200:1400], y[1200:1400]


def accuracy(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    return float((np.asarray(model(x)).argmax(axis=1) == y).mean())
