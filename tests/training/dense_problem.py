"""A small problem of pixels, and one training step on it."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.training import schedule
from dlcli.training.objectives.objective import Objective
from dlcli.training.step import EvaluationStep, TrainStep

NUM_CLASSES = 3
SIDE = 5


class Pixels:
    """Images and masks with ignored pixels, in order; the labels follow the brightness."""

    mixes = False

    def __init__(self, *, num_samples: int = 8, batch_size: int = 8) -> None:
        random = np.random.default_rng(3)
        self.num_samples, self.batch_size = num_samples, batch_size
        self.num_steps = -(-num_samples // batch_size)
        self.x = random.normal(size=(num_samples, SIDE, SIDE, 2)).astype(np.float32)
        self.mask = np.digitize(self.x[..., 0], [-0.5, 0.8]).astype(np.uint8)
        self.mask[random.random(self.mask.shape) < 0.2] = 255
        self.mask[1] = 255  # an image without a pixel that counts

    def source(self, epoch: int, first_step: int = 0) -> Any:
        return tf.range(self.num_samples, dtype=tf.int64)

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        return {"index": source[step * self.batch_size : (step + 1) * self.batch_size]}

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        index = element["index"]
        return {
            "x": tf.gather(tf.constant(self.x), index),
            "y": {"mask": tf.gather(tf.constant(self.mask), index)},
            "weight": tf.ones_like(index, tf.float32),
            "index": index,
        }

    def everything(self) -> dict[str, Any]:
        return self.assemble({"index": tf.range(self.num_samples, dtype=tf.int64)})


def make_model(*, dropout: float = 0.0, batch_norm: bool = False) -> keras.Model:
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((SIDE, SIDE, 2))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="tanh", kernel_regularizer=keras.regularizers.L2(0.01))(x)
    if batch_norm:
        x = keras.layers.BatchNormalization(momentum=0.5)(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, keras.layers.Conv2D(NUM_CLASSES, 1, name="logits")(x))


def train(
    objective: Objective,
    *,
    data: Pixels | None = None,
    num_parts: int = 1,
    learning_rate: float = 0.5,
    num_epochs: int = 1,
    model: keras.Model | None = None,
) -> tuple[keras.Model, dict[str, float]]:
    """Trains by gradient descent under the current strategy; gives the model and the results of the last epoch."""
    data, model = data or Pixels(), model or make_model()
    optimizer = keras.optimizers.SGD(learning_rate)
    optimizer.build(model.trainable_variables)
    step = TrainStep(
        model=model,
        optimizer=optimizer,
        objective=objective,
        data=data,
        rate=schedule.constant(learning_rate=learning_rate),
        clipping=None,
        num_parts=num_parts,
        loss_scaling=False,
    )
    for epoch in range(num_epochs):
        step.reset()
        assert step.run(data.source(epoch), 0, data.num_steps)
    return model, step.results()


def evaluate(model: keras.Model, objective: Objective, data: Pixels) -> dict[str, float]:
    evaluation = EvaluationStep(model=model, objective=objective, data=data)
    evaluation.run(data.source(0), 0, data.num_steps)
    return evaluation.results()
