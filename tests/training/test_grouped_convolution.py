"""The group-by-group gradient of grouped convolutions equals TensorFlow's."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.training.grouped_convolution import speed_up_kernel_gradients


@pytest.mark.parametrize("keys", [{}, {"strides": 2}, {"padding": "same"}, {"dilation_rate": 2}, {"use_bias": False}])
def test_the_faster_gradient_of_a_grouped_kernel_is_the_gradient(keys: dict[str, object]) -> None:
    inputs = keras.Input((9, 8, 6))
    model = keras.Model(inputs, keras.layers.Conv2D(12, 3, groups=3, **keys)(inputs))
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 9, 8, 6)), tf.float32)

    def gradients() -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(model(x) ** 2)
        return [np.asarray(g) for g in tape.gradient(loss, [x, *(v.value for v in model.trainable_variables)])]

    before, config = gradients(), json.dumps(model.get_config())
    speed_up_kernel_gradients(model)
    for fast, slow in zip(gradients(), before, strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-4, atol=1e-4)
    assert json.dumps(model.get_config()) == config  # it is saved as Keras's own
    assert type(model.layers[1]) is keras.layers.Conv2D
