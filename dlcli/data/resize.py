"""Bringing a picture to a size: stretch, crop or pad, by Pillow, or by plain sampling where averaging is not wanted."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Resize = Literal["stretch", "crop", "pad"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the source

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
RADIUS = {"bilinear": 1, "bicubic": 2, "lanczos": 3}  # of a kernel, in pixels of the source


def resize_picture(
    image: Image.Image,
    *,
    image_size: tuple[int, int],
    resize: Resize,
    interpolation: Interpolation,
    antialias: bool,
) -> Image.Image:
    """Brings a picture ("L" or "RGB") to ``image_size``, given as (height, width).

    ``stretch`` scales each side by itself. ``crop`` scales until the picture covers the size and cuts out the centre.
    ``pad`` scales until the picture fits inside and centres it on black.
    """
    height, width = image_size
    whole: Box = (0, 0, image.width, image.height)
    if resize == "stretch":
        return _scale(image, whole, (height, width), interpolation, antialias)
    if resize == "crop":
        scale = max(height / image.height, width / image.width)
        left = max(0.0, (image.width - width / scale) / 2)
        top = max(0.0, (image.height - height / scale) / 2)
        box: Box = (left, top, image.width - left, image.height - top)
        return _scale(image, box, (height, width), interpolation, antialias)
    scale = min(height / image.height, width / image.width)
    inner_height = min(height, max(1, round(image.height * scale)))
    inner_width = min(width, max(1, round(image.width * scale)))
    inner = _scale(image, whole, (inner_height, inner_width), interpolation, antialias)
    padded = Image.new(image.mode, (width, height))
    padded.paste(inner, ((width - inner_width) // 2, (height - inner_height) // 2))
    return padded


def _scale(
    image: Image.Image, box: Box, size: tuple[int, int], interpolation: Interpolation, antialias: bool
) -> Image.Image:
    """Scales the part of a picture inside ``box`` to ``size`` (height, width)."""
    height, width = size
    left, top, right, bottom = box
    shrinks = right - left > width or bottom - top > height
    if shrinks and not antialias and interpolation != "nearest":  # Pillow averages whenever it shrinks
        return _sample(image, box, size, interpolation)
    return image.resize((width, height), FILTERS[interpolation], box=box)


def _sample(image: Image.Image, box: Box, size: tuple[int, int], interpolation: Interpolation) -> Image.Image:
    """Interpolates between the pixels around each sampling point, however far apart those points are."""
    left, top, right, bottom = box
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    rows, row_weights = _taps(top, bottom, image.height, size[0], interpolation)
    columns, column_weights = _taps(left, right, image.width, size[1], interpolation)
    lines = np.zeros((size[0], image.width, pixels.shape[2]), np.float32)  # [out height, width, channels]
    for row, weight in zip(rows.T, row_weights.T, strict=True):
        lines += weight[:, None, None] * pixels[row]
    result = np.zeros((*size, pixels.shape[2]), np.float32)  # [out height, out width, channels]
    for column, weight in zip(columns.T, column_weights.T, strict=True):
        result += weight[None, :, None] * lines[:, column]
    rounded = np.clip(np.rint(result), 0, 255).astype(np.uint8)
    return Image.fromarray(rounded[:, :, 0] if image.mode == "L" else rounded)


def _taps(
    start: float, stop: float, size: int, num_out: int, interpolation: Interpolation
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The pixels [num_out, taps] that make up each output pixel along one side, and their weights, which sum to 1.

    Pixel i covers [i, i + 1). Weights outside the picture are 0 and the others scaled up, as Pillow does.
    """
    radius = RADIUS[interpolation]
    centre = start + (np.arange(num_out) + 0.5) * (stop - start) / num_out
    first = np.floor(centre - 0.5).astype(np.int64) - radius + 1
    index = first[:, None] + np.arange(2 * radius)
    weight = _kernel(index + 0.5 - centre[:, None], interpolation)
    weight[(index < 0) | (index >= size)] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    return np.clip(index, 0, size - 1), weight.astype(np.float32)


def _kernel(distance: NDArray[np.float64], interpolation: Interpolation) -> NDArray[np.float64]:
    """The kernel at a distance in pixels: triangle, Keys' cubic with a = -0.5, or Lanczos with three lobes."""
    x = np.abs(distance)
    if interpolation == "bilinear":
        return np.maximum(0.0, 1.0 - x)
    if interpolation == "bicubic":
        near = (1.5 * x - 2.5) * x * x + 1
        far = ((-0.5 * x + 2.5) * x - 4) * x + 2
        return np.where(x < 1, near, np.where(x < 2, far, 0.0))
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0.0)
