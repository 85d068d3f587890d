"""Synthetic scenes: one shape of one color on a textured background, with its class and its exact box."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import Boxes, Frame
from dlcli.data.images.dataset import CommonKeys, assemble_images
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import Listing, index_labels
from dlcli.errors import InputError
from dlcli.files import half_of_memory

Values = NDArray[np.float32]
Inside = Callable[[Values, Values], NDArray[np.bool_]]

# Whether a point is in the shape, which fills the square from -1 to 1; x to the right, y down.
SHAPES: dict[str, Inside] = {
    "circle": lambda x, y: x * x + y * y <= 1,
    "cross": lambda x, y: (abs(x) <= 1 / 3) | (abs(y) <= 1 / 3),
    "square": lambda x, y: (abs(x) <= 1) & (abs(y) <= 1),
    "triangle": lambda x, y: abs(x) <= (y + 1) / 2,
}
DEFAULT_SIZE = (64, 64)  # height, width
SMALLEST_SIDE = 16  # of a scene, in pixels
SIDES = (0.2, 0.6)  # of a shape, as proportions of the scene's shorter side
SUBPIXELS = 4  # along each side of a pixel
GRID = 5  # random values along each side of the background, between which it is interpolated
SMOOTH, FINE = 30.0, 6.0  # amplitude of the background, standard deviation of the pixels' noise
CONTRAST = 80.0  # between the shape's luminance and that of the background's color
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as for grayscale images


def read_shapes(
    *,
    num_samples: int,
    seed: int,
    classes: tuple[str, ...] | None = None,
    exclude: Sequence[str] = (),
    **common: Unpack[CommonKeys],
) -> Dataset:
    """Scenes that show a circle, a cross, a square or a triangle, in turn, drawn at the size of the recipe.

    A scene depends only on the seed, its number and its size.

    Args:
        classes: those of a trained model, to use its labels.

    Raises:
        InputError: scenes are too small or do not fit into memory, or the splits cannot be drawn.
    """
    height, width = common["image_size"] or DEFAULT_SIZE
    if min(height, width) < SMALLEST_SIDE:
        raise InputError(
            f"shapes: data.image_size must be at least {SMALLEST_SIDE} pixels along each side. "
            f"Received [{height}, {width}]."
        )
    if num_samples * height * width * 3 > half_of_memory():
        raise InputError(
            f"shapes: the scenes must fit into half of this machine's memory ({half_of_memory():,} bytes). Received "
            f"data.num_samples: {num_samples:,} of {height}x{width} pixels: lower one of them."
        )
    names = tuple(SHAPES)
    pixels = np.empty((num_samples, height, width, 3), np.uint8)
    corners = np.empty((num_samples, 4), np.float64)
    for number in range(num_samples):
        rng = np.random.Generator(np.random.PCG64((seed, number)))
        pixels[number], corners[number] = draw_scene(names[number % len(names)], height, width, rng)
    labels = [names[number % len(names)] for number in range(num_samples)]
    known, indices = index_labels({"train": labels}, names, source="shapes", trained=classes)
    listing = Listing(
        names=tuple(f"shapes/{number}" for number in range(num_samples)),
        labels=indices["train"],
        arrays=pixels,
        annotations={"boxes": Boxes(corners, (Frame(width, height),) * num_samples)},
    )
    return assemble_images({"train": listing}, known, source="shapes", exclude=exclude, common=common)


def draw_scene(
    shape: str, height: int, width: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
    """A scene [height, width, 3] and the corners xmin, ymin, xmax, ymax of its shape."""
    shorter = min(height, width)
    side = int(rng.integers(math.ceil(SIDES[0] * shorter), math.floor(SIDES[1] * shorter) + 1))
    left, top = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
    color = rng.uniform(SMOOTH, 255 - SMOOTH, 3).astype(np.float32)  # of the background
    scene = draw_background(color, height, width, rng)
    draw_line(scene, rng)
    cover = coverage(shape, side)
    part = scene[top : top + side, left : left + side]
    part += cover * (contrasting(color, rng) - part)
    scene += FINE * rng.standard_normal(scene.shape, np.float32)
    return np.rint(scene).clip(0, 255).astype(np.uint8), (left, top, left + side, top + side)


def draw_background(color: Values, height: int, width: int, rng: np.random.Generator) -> Values:
    """A color with smooth noise: float32 [height, width, 3]."""
    grid = rng.uniform(-SMOOTH, SMOOTH, (GRID, GRID, 3)).astype(np.float32)
    lines = _interpolate(grid, height).swapaxes(0, 1)  # [GRID, height, 3]
    noise = _interpolate(lines, width).swapaxes(0, 1)  # [height, width, 3]
    return np.ascontiguousarray(noise, np.float32) + color


def _interpolate(values: Values, size: int) -> Values:
    """Linear interpolation to ``size`` values along the first axis.

    Not a matrix product, because its rounding differs between machines.
    """
    position = np.linspace(0, len(values) - 1, size, dtype=np.float32)
    lower = np.minimum(position.astype(np.int64), len(values) - 2)
    weight = (position - lower).astype(np.float32)[:, None, None]
    between: Values = values[lower] * (1 - weight) + values[lower + 1] * weight
    return between


def draw_line(scene: Values, rng: np.random.Generator) -> None:
    """A distractor with probability 1/2: a thin line across the scene."""
    angle, is_drawn = rng.uniform(0, np.pi), rng.uniform() < 0.5
    height, width = scene.shape[:2]
    through, color = rng.uniform(0, (width, height)), rng.uniform(0, 255, 3).astype(np.float32)
    if is_drawn:
        y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
        distance = abs((x - through[0]) * math.sin(angle) - (y - through[1]) * math.cos(angle))
        scene += np.clip(1 - distance, 0, 1)[..., None] * (color - scene)


def contrasting(background: Values, rng: np.random.Generator) -> Values:
    """The first of 32 random colors that is much lighter or darker than the background, or else the best of them."""
    candidates = rng.uniform(0, 255, (32, 3)).astype(np.float32)
    contrast = abs(((candidates - background) * LUMINANCE).sum(axis=1))
    chosen: Values = candidates[np.argmax(np.minimum(contrast, CONTRAST))]
    return chosen


@functools.cache
def coverage(shape: str, side: int) -> Values:
    """The part of each pixel in its box that a shape covers: float32 [side, side, 1] in [0, 1]."""
    num = side * SUBPIXELS
    y, x = (2 * np.mgrid[:num, :num].astype(np.float32) + 1) / num - 1
    inside = SHAPES[shape](x, y).reshape(side, SUBPIXELS, side, SUBPIXELS)
    cover: Values = inside.mean(axis=(1, 3), dtype=np.float32)[..., None]
    return cover
