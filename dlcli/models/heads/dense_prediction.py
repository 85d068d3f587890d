"""What networks for dense prediction share: resizing of maps and the sides of images.

Only layers of Keras are used, so that saved models load without this program. They have fixed sides, because the layer
``Resizing`` has.
"""

from typing import Any

import keras

Tensor = Any  # a symbolic keras.KerasTensor


def sides(maps: Tensor) -> tuple[int, int]:
    """Height and width of ``[batch, height, width, channels]``.

    Raises:
        ValueError: a side of variable length.
    """
    height, width = maps.shape[1:3]
    if height is None or width is None:
        raise ValueError(f"dense prediction needs images of a fixed size. Received maps of shape {list(maps.shape)}.")
    return height, width


def resized(x: Tensor, size: tuple[int, int], *, name: str) -> Tensor:
    """Maps of this height and width by bilinear interpolation with aligned borders; ``x`` itself if it has them."""
    return x if sides(x) == size else keras.layers.Resizing(*size, interpolation="bilinear", name=name)(x)


def resized_logits(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Coarse scores ``[batch, h, w, classes]`` at the image's size: float32, the output of the layer ``logits``."""
    return keras.layers.Resizing(*size, interpolation="bilinear", dtype="float32", name="logits")(scores)
