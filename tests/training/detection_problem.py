"""Small problems of detection: random objects, positions, anchors, and networks without feature maps."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.training.objectives.detection import fcos_objective, retinanet_objective
from dlcli.training.objectives.detection_targets import Positions
from dlcli.training.objectives.objective import Objective

SIZE = (64, 96)
STRIDES = (8, 16, 32)


def some_objects(seed: int, *, num: int = 6, slots: int = 8, batch_size: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Padded boxes and classes; the first image has none, the second has two equal boxes."""
    rng = np.random.default_rng(seed)
    boxes, classes = np.zeros((batch_size, slots, 4), np.float32), np.full((batch_size, slots), -1, np.int32)
    for i in range(1, batch_size):
        first = rng.uniform(0, 0.8, (num, 2))
        last = np.minimum(first + rng.uniform(0.05, 0.9, (num, 2)), 1)
        boxes[i, :num], classes[i, :num] = np.concatenate([first, last], axis=1), rng.integers(0, 3, num)
    boxes[1, 1] = boxes[1, 0]
    return boxes, classes


def some_positions() -> Positions:
    centers, strides = [], []
    for stride in STRIDES:
        for y in np.arange(stride / 2, SIZE[0], stride):
            for x in np.arange(stride / 2, SIZE[1], stride):
                centers.append((x, y))
                strides.append(float(stride))
    return Positions(np.array(centers), np.array(strides), SIZE)


NUM_CLASSES = 3
NUM = len(some_positions().centers)
_CORNERS = some_positions().centers[:, None] + np.array([[-1], [1]]) * some_positions().strides[:, None, None]
ANCHORS = _CORNERS.reshape(NUM, 4) / np.array([*SIZE[::-1], *SIZE[::-1]])
"""One of two strides at each position, rel_xyxy."""


def encode(boxes: Any, anchors: Any) -> Any:
    """Any invertible code would do here."""
    return (boxes - anchors) * 4.0


def make_objective(kind: str, **keys: Any) -> Objective:
    common = {"focal_gamma": 2.0, "focal_alpha": 0.25, "box_weight": 1.0}
    if kind == "fcos":
        return fcos_objective(
            positions_of=lambda size: some_positions(),
            **{"center_radius": 1.5, "largest_distance": 2.0, "centerness_weight": 1.0, **common, **keys},
        )
    return retinanet_objective(
        anchors_of=lambda size: ANCHORS,
        encode=encode,
        **{"positive_iou": 0.5, "negative_iou": 0.4, "box_loss": "smooth_l1", **common, **keys},
    )


class Scenes:
    """Random images and objects; the first has none."""

    mixes = False

    def __init__(self, *, num_samples: int = 6, batch_size: int = 6) -> None:
        self.num_samples, self.batch_size = num_samples, batch_size
        self.num_steps = -(-num_samples // batch_size)
        self.x = np.random.default_rng(3).normal(size=(num_samples, *SIZE, 2)).astype(np.float32)
        self.boxes, self.classes = some_objects(3, batch_size=num_samples)

    def source(self, epoch: int, first_step: int = 0) -> Any:
        return tf.range(self.num_samples, dtype=tf.int64)

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        return {"index": source[step * self.batch_size : (step + 1) * self.batch_size]}

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        index = element["index"]
        entries = {"boxes": self.boxes, "box_class": self.classes}
        return {
            "x": tf.gather(tf.constant(self.x), index),
            "y": {name: tf.gather(tf.constant(values), index) for name, values in entries.items()},
            "weight": tf.ones_like(index, tf.float32),
            "index": index,
        }

    def everything(self) -> dict[str, Any]:
        return self.assemble({"index": tf.range(self.num_samples, dtype=tf.int64)})


def make_model(kind: str) -> keras.Model:
    """Of each position the outputs, from the mean of the image and values of its own."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*SIZE, 2))
    x = keras.layers.AveragePooling2D(8)(inputs)
    x = keras.layers.Flatten()(x)
    values = [keras.layers.Reshape((NUM, num))(keras.layers.Dense(NUM * num)(x)) for num in (NUM_CLASSES, 4, 1)]
    anchors = ANCHORS.astype(np.float32)
    if kind == "fcos":
        centers = (anchors[:, :2] + anchors[:, 2:]) / 2
        sides = keras.ops.exp(values[1] - 1.5)
        boxes = keras.ops.concatenate([sides[..., :2] * -1.0 + centers, sides[..., 2:] + centers], axis=-1)
        return keras.Model(inputs, [values[0], boxes, values[2]])
    return keras.Model(inputs, [values[0], values[1], values[1] / 4.0 + anchors])
