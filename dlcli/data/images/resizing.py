"""Resizing images: stretch, crop or pad, with Pillow, or by plain sampling without antialiasing."""

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


def resize_image(
    image: Image.Image,
    *,
    image_size: tuple[int, int],
    resize: Resize,
    interpolation: Interpolation,
    antialias: bool,
    padding: int = 0,
) -> Image.Image:
    """Resizes an image ("L" or "RGB") to ``image_size``, given as (height, width).

    ``stretch`` scales the sides independently. ``crop`` scales the image to cover the size and cuts out the center.
    ``pad`` scales the image to fit inside and centers it on the value ``padding``, black by default.
    """
    height, width = image_size
    whole: Box = (0, 0, image.width, image.height)
    if resize == "stretch":
        return _scale(image, whole, (height, width), interpolation, antialias)
    if resize == "crop":
        return _scale(image, _center(image.width, image.height, image_size), (height, width), interpolation, antialias)
    inner_width, inner_height = _inner(image.width, image.height, image_size)
    inner = _scale(image, whole, (inner_height, inner_width), interpolation, antialias)
    padded = Image.new(image.mode, (width, height), padding)
    padded.paste(inner, ((width - inner_width) // 2, (height - inner_height) // 2))
    return padded


def placement(
    width: int, height: int, image_size: tuple[int, int], resize: Resize
) -> tuple[float, float, float, float]:
    """Where `resize_image` places an image: its point ``(x, y)`` is at ``(x * x_scale + left, y * y_scale + top)``.

    Args:
        width, height: of the image.
        image_size: the height and width of the result.

    Returns:
        x_scale, y_scale, left, top.
    """
    new_height, new_width = image_size
    if resize == "stretch":
        return new_width / width, new_height / height, 0.0, 0.0
    if resize == "crop":
        left, top, right, bottom = _center(width, height, image_size)
        x_scale, y_scale = new_width / (right - left), new_height / (bottom - top)
        return x_scale, y_scale, -left * x_scale, -top * y_scale
    inner_width, inner_height = _inner(width, height, image_size)
    return (
        *(inner_width / width, inner_height / height),
        *(float((new_width - inner_width) // 2), float((new_height - inner_height) // 2)),
    )


def _center(width: int, height: int, image_size: tuple[int, int]) -> Box:
    """The part of an image that covers the size when scaled."""
    scale = max(image_size[0] / height, image_size[1] / width)
    left = max(0.0, (width - image_size[1] / scale) / 2)
    top = max(0.0, (height - image_size[0] / scale) / 2)
    return left, top, width - left, height - top


def _inner(width: int, height: int, image_size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a whole image scaled to fit inside the size."""
    scale = min(image_size[0] / height, image_size[1] / width)
    return min(image_size[1], max(1, round(width * scale))), min(image_size[0], max(1, round(height * scale)))


def _scale(
    image: Image.Image, box: Box, size: tuple[int, int], interpolation: Interpolation, antialias: bool
) -> Image.Image:
    """Scales the part of an image inside ``box`` to ``size`` (height, width)."""
    height, width = size
    left, top, right, bottom = box
    shrinks = right - left > width or bottom - top > height
    if shrinks and not antialias and interpolation != "nearest":  # Pillow always antialiases when it shrinks
        return _sample(image, box, size, interpolation)
    return image.resize((width, height), FILTERS[interpolation], box=box)


def _sample(image: Image.Image, box: Box, size: tuple[int, int], interpolation: Interpolation) -> Image.Image:
    """Interpolates between the pixels around each sampling point, however far apart the points are."""
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
    """The pixels [num_out, taps] that contribute to each output pixel along one side, and their weights, with sum 1.

    Pixel i covers [i, i + 1). As in Pillow, weights outside of the image are 0, and the others are scaled up.
    """
    radius = RADIUS[interpolation]
    center = start + (np.arange(num_out) + 0.5) * (stop - start) / num_out
    first = np.floor(center - 0.5).astype(np.int64) - radius + 1
    index = first[:, None] + np.arange(2 * radius)
    weight = _kernel(index + 0.5 - center[:, None], interpolation)
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
