"""Detectors, built on a small backbone; boxes like theirs, and plain non-maximum suppression."""

from typing import Any

import keras
import numpy as np
from segmenters import resnet18  # type: ignore[import-not-found]

from dlcli.models.heads.dense_detection import DenseOutputs
from dlcli.models.heads.fcos import fcos
from dlcli.models.heads.feature_pyramid import feature_pyramid
from dlcli.models.heads.retinanet import retinanet
from dlcli.models.images.taps import taps

LEVELS = (3, 4, 5, 6)
NUM_CLASSES = 3
SIZES, RATIOS = (4.0, 6.0), (0.5, 1.0, 2.0)


def detector(
    kind: str,
    size: tuple[int, int] = (64, 80),
    *,
    levels: tuple[int, ...] = LEVELS,
    num_classes: int = 3,
    num_convs: int = 1,
    normalization: Any = "group",
) -> tuple[Any, DenseOutputs]:
    """The inputs and the outputs."""
    inputs = keras.Input((*size, 3))
    pyramid = feature_pyramid(taps(inputs, resnet18(inputs)), size=size, levels=levels, channels=8)
    keys: dict[str, Any] = {"size": size, "num_convs": num_convs, "channels": 8, "normalization": normalization}
    if kind == "fcos":
        return inputs, fcos(pyramid, initial_distance=3.0, num_classes=num_classes, **keys)
    return inputs, retinanet(pyramid, num_classes=num_classes, sizes=SIZES, ratios=RATIOS, **keys)


def images(size: tuple[int, int] = (64, 80), num: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(num, *size, 3)).astype("float32")


def iou_of(a: np.ndarray, b: np.ndarray) -> np.float32:
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), np.float32(0))
    common = sides[0] * sides[1]
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / max(union, np.float32(1e-9))


def greedy(boxes: np.ndarray, classes: np.ndarray, *, iou: float, class_agnostic: bool) -> np.ndarray:
    """Greedy non-maximum suppression of boxes in descending order, one by one."""
    kept: list[int] = []
    for i in range(len(boxes)):
        rivals = [j for j in kept if class_agnostic or classes[i] == classes[j]]
        if all(iou_of(boxes[j], boxes[i]) <= iou for j in rivals):
            kept.append(i)
    return np.isin(np.arange(len(boxes)), kept)


def like_a_detectors(num_images: int, num_boxes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes around some objects in random order, with classes that are mostly the object's."""
    rng = np.random.default_rng(seed)
    num_objects = rng.integers(1, 20, num_images)
    objects = np.stack([rng.integers(0, n, num_boxes) for n in num_objects])
    middle, sides = rng.uniform(0.1, 0.9, (num_images, 20, 2)), rng.uniform(0.05, 0.4, (num_images, 20, 2))
    rows = np.arange(num_images)[:, None]
    spread = rng.choice([0.05, 0.2], (num_images, num_boxes, 1))
    center = middle[rows, objects] + rng.normal(size=(num_images, num_boxes, 2)) * sides[rows, objects] * spread
    half = sides[rows, objects] * np.exp(rng.normal(size=(num_images, num_boxes, 2)) * spread) / 2
    classes = np.where(
        rng.random(objects.shape) < 0.8, objects % NUM_CLASSES, rng.integers(0, NUM_CLASSES, objects.shape)
    )
    boxes = np.concatenate([center - half, center + half], axis=-1).clip(0, 1)
    return boxes.astype("float32"), classes.astype("int32")
