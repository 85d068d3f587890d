"""Masks to look at: a color for each class, masks over their images, and masks as files with a palette."""

import io
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from PIL import Image

IGNORED = 255  # in masks
GRAY = (128, 128, 128)  # of pixels that are ignored
OPACITY = 0.5  # of a mask over its image
FIRST = (
    (0, 0, 0),
    *((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)),
)
"""Black for class 0, which is usually the background, then the colors of Okabe and Ito 2008."""
LEVELS = (0, 42, 85, 128, 170, 212, 255)  # of red, green and blue in further colors

Mask = npt.NDArray[np.uint8]  # [height, width]: indices of classes, and IGNORED
Colors = npt.NDArray[np.uint8]  # [256, 3]


def class_colors(num_classes: int) -> Colors:
    """A color for each value of a mask, uint8 ``[256, 3]``: distinct ones for the classes, gray for IGNORED.

    A class has the same color whatever the number of classes.
    """
    colors = np.zeros((256, 3), np.uint8)
    further = _further_colors(max(0, num_classes - len(FIRST)))
    for index, color in enumerate([*FIRST, *further][:num_classes]):
        colors[index] = color
    colors[IGNORED] = GRAY
    return colors


def _further_colors(number: int) -> list[tuple[int, ...]]:
    """Colors after the first ones, each of the candidates the farthest from all colors that are used before it."""
    candidates = np.array(list(itertools.product(LEVELS, repeat=3)))
    distances = np.abs(candidates[:, None] - np.array([*FIRST, GRAY])).sum(axis=2).min(axis=1)
    chosen: list[tuple[int, ...]] = []
    for _ in range(number):
        color = candidates[int(np.argmax(distances))]
        chosen.append(tuple(color.tolist()))
        distances = np.minimum(distances, np.abs(candidates - color).sum(axis=1))
    return chosen


def mask_png(mask: Mask, num_classes: int) -> bytes:
    """A mask as a PNG file whose values are the indices of the classes, and whose palette shows them in color."""
    image = Image.frombytes("P", (mask.shape[1], mask.shape[0]), np.ascontiguousarray(mask).tobytes())
    image.putpalette(class_colors(num_classes).tobytes())
    return _png(image)


def instances_png(masks: Sequence[Mask], size: tuple[int, int]) -> bytes:
    """The objects of an image as a PNG file: 0 for none, 1 for the first object, which is above the others, and so on.

    Args:
        masks: 1 in each object ``[height, width]``; of more than 254 the file has values of 16 bits, else a palette.
        size: height and width.
    """
    numbers = np.zeros(size, np.uint16)
    for number in range(len(masks), 0, -1):
        numbers[masks[number - 1] > 0] = number
    if len(masks) < IGNORED:
        return mask_png(numbers.astype(np.uint8), len(masks) + 1)
    return _png(Image.fromarray(numbers))


def overlay(image: npt.NDArray[np.uint8], mask: Mask, num_classes: int, *, opacity: float = OPACITY) -> Mask:
    """An image with the colors of its mask over it, uint8 ``[height, width, 3]``.

    Pixels of class 0 show the image if black is its color; ignored pixels are darkened and hatched.

    Args:
        image: uint8 ``[height, width, 1 or 3]``.
    """
    pixels = np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.float32)
    colors = class_colors(num_classes).astype(np.float32)[mask]
    strength = np.where(mask == 0, 0.0, opacity)[..., None]
    mixed = pixels * (1 - strength) + colors * strength
    row, column = np.indices(mask.shape)
    is_hatched = (mask == IGNORED) & ((row + column) % 8 < 2)
    mixed[is_hatched] = GRAY
    return np.asarray(np.rint(mixed), np.uint8)


def overlay_png(image: npt.NDArray[np.uint8], mask: Mask, num_classes: int, *, opacity: float = OPACITY) -> bytes:
    """The same as a PNG file."""
    return _png(Image.fromarray(overlay(image, mask, num_classes, opacity=opacity)))


def tinted(
    image: npt.NDArray[Any], inside: npt.NDArray[np.bool_], color: str, *, opacity: float = OPACITY
) -> npt.NDArray[np.float64]:
    """A color image in which some pixels are mixed with a color, ``[height, width, 3]``.

    Args:
        image: in [0, 255], ``[height, width, 1 or 3]``.
        inside: these pixels, ``[height, width]``.
        color: as Matplotlib takes it.
    """
    pixels = np.array(np.broadcast_to(image, (*image.shape[:2], 3)), np.float64)
    pixels[inside] = pixels[inside] * (1 - opacity) + np.array(to_rgb(color)) * 255 * opacity
    return pixels


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()
