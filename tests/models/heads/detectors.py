"""Detectors, built on a small backbone."""

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
        return inputs, fcos(pyramid, num_classes=num_classes, **keys)
    return inputs, retinanet(pyramid, num_classes=num_classes, sizes=SIZES, ratios=RATIOS, **keys)


def images(size: tuple[int, int] = (64, 80), num: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(num, *size, 3)).astype("float32")
