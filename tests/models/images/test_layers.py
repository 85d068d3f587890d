"""Shared building blocks: initializers keep the variance of the signal."""

import keras
import numpy as np
import pytest

from dlcli.models.images.layers import kernel_initializer


@pytest.mark.parametrize("activation", ["relu", "selu"])
def test_the_first_weights_keep_the_size_of_the_signal_through_many_layers(activation) -> None:
    """Glorot's weights would lose half of it in each layer of ReLU: a factor of a million in 20."""
    layers = [
        keras.layers.Dense(400, activation=activation, kernel_initializer=kernel_initializer(activation))
        for _ in range(20)
    ]
    x = np.random.default_rng(0).normal(size=(64, 400))
    before = np.mean(x**2)
    after = np.mean(keras.Sequential(layers)(x).numpy() ** 2)
    assert before / 3 < after < before * 3
