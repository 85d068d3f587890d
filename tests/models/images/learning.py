"""Checks that a classifier of three classes gets a gradient in every weight, and learns a batch."""

import keras
import numpy as np
import tensorflow as tf

from dlcli.training.grouped_convolution import speed_up_kernel_gradients


def batch_for(model: keras.Model, num: int = 6) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).uniform(0, 255, (num, *model.input_shape[1:])).astype("float32")
    return x, np.arange(num) % 3


def loss_of(model: keras.Model, x: np.ndarray, y: np.ndarray) -> tf.Tensor:
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, model(x, training=True)))


def assert_gradients(model: keras.Model) -> None:
    speed_up_kernel_gradients(model)
    with tf.GradientTape() as tape:
        loss = loss_of(model, *batch_for(model))
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables]), strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path


def assert_learns(model: keras.Model) -> None:
    speed_up_kernel_gradients(model)
    x, y = batch_for(model)
    optimizer = keras.optimizers.Adam(2e-3)
    values = [variable.value for variable in model.trainable_variables]

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(model, x, y)
        optimizer.apply_gradients(zip(tape.gradient(loss, values), model.trainable_variables, strict=True))
        return loss

    losses = [float(step())]
    while losses[-1] > 0.05 and len(losses) < 60:
        losses.append(float(step()))
    assert losses[-1] < 0.1 < losses[0], losses
