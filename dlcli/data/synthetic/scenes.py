"""Synthetic scenes of several overlapping shapes, with the class and the object of each pixel and the objects' boxes.

A scene is a function of the seed, its number and its size. Shapes and backgrounds are those of
:mod:`dlcli.data.synthetic.shapes`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.dataset import CommonKeys, assemble_images
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import Listing
from dlcli.data.masks.coding import BACKGROUND
from dlcli.data.masks.masks import NAME, MaskArray, Masks
from dlcli.data.masks.scan import count_pixels
from dlcli.data.splits import NO_LABEL
from dlcli.data.synthetic.shapes import (
    DEFAULT_SIZE,
    FINE,
    SHAPES,
    SMALLEST_SIDE,
    SMOOTH,
    contrasting,
    coverage,
    draw_background,
    draw_line,
)
from dlcli.errors import InputError
from dlcli.files import half_of_memory

CLASSES = (BACKGROUND, *SHAPES)
"""Of the pixels: 0 for the background."""
MOST_OBJECTS = 5
SIDES = (0.2, 0.45)  # of a shape, as proportions of the scene's shorter side
LEAST_VISIBLE = 0.5  # of each object's pixels; a shape that would hide more of another is not drawn


@dataclass(frozen=True)
class Scene:
    """An image, and what it shows; later objects hide earlier ones.

    Attributes:
        pixels: uint8 ``[height, width, 3]``.
        mask: the class of each pixel, an index of CLASSES, uint8 ``[height, width]``.
        instances: the object of each pixel, from 1 on, 0 for the background, uint8 ``[height, width]``.
        labels: the class of each object, an index of CLASSES from 1 on, int32 ``[n]``.
        boxes: of the visible part of each object: xmin, ymin, xmax, ymax in pixels, float64 ``[n, 4]``.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    instances: NDArray[np.uint8]
    labels: NDArray[np.int32]
    boxes: NDArray[np.float64]


def draw_scene(seed: int, number: int, height: int, width: int) -> Scene:
    """The scene of this number, with from one to MOST_OBJECTS objects. A pixel belongs to the shape that covers at
    least half of it."""
    rng = np.random.Generator(np.random.PCG64((seed, number, 1)))  # other numbers than those of the shapes
    color = rng.uniform(SMOOTH, 255 - SMOOTH, 3).astype(np.float32)  # of the background
    scene = draw_background(color, height, width, rng)
    draw_line(scene, rng)
    instances = np.zeros((height, width), np.uint8)
    labels: list[int] = []
    whole: list[int] = []  # pixels of each object if nothing hid it
    for _ in range(int(rng.integers(1, MOST_OBJECTS + 1))):
        label = int(rng.integers(1, len(CLASSES)))
        shorter = min(height, width)
        side = int(rng.integers(math.ceil(SIDES[0] * shorter), math.floor(SIDES[1] * shorter) + 1))
        left, top = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
        paint = contrasting(color, rng)
        cover = coverage(CLASSES[label], side)
        part = np.s_[top : top + side, left : left + side]
        changed = instances.copy()
        changed[part][cover[..., 0] >= 0.5] = len(labels) + 1
        visible = np.bincount(changed.ravel(), minlength=len(labels) + 1)[1 : len(labels) + 1]
        if any(seen < LEAST_VISIBLE * pixels for seen, pixels in zip(visible, whole, strict=True)):
            continue
        instances = changed
        labels.append(label)
        whole.append(int((cover[..., 0] >= 0.5).sum()))
        scene[part] += cover * (paint - scene[part])
    scene += FINE * rng.standard_normal(scene.shape, np.float32)
    classes = np.array([0, *labels], np.uint8)
    boxes = [_box_of(instances == position) for position in range(1, len(labels) + 1)]
    return Scene(
        pixels=np.rint(scene).clip(0, 255).astype(np.uint8),
        mask=classes[instances],
        instances=instances,
        labels=np.array(labels, np.int32),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
    )


def _box_of(is_object: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(is_object.any(axis=1)), np.flatnonzero(is_object.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def check_size(height: int, width: int, num_samples: int) -> None:
    """Refuses scenes that are too small for shapes, or too many for this machine's memory.

    Raises:
        InputError: they are.
    """
    if min(height, width) < SMALLEST_SIDE:
        raise InputError(
            f"scenes: data.image_size must be at least {SMALLEST_SIDE} pixels along each side. "
            f"Received [{height}, {width}]."
        )
    if num_samples * height * width * 4 > half_of_memory():
        raise InputError(
            f"scenes: the scenes must fit into half of this machine's memory ({half_of_memory():,} bytes). Received "
            f"data.num_samples: {num_samples:,} of {height}x{width} pixels: lower one of them."
        )


def read_scenes(*, num_samples: int, seed: int, exclude: Sequence[str] = (), **common: Unpack[CommonKeys]) -> Dataset:
    """Scenes with their masks, drawn at the size of the recipe.

    Args:
        exclude: patterns of the names of scenes to leave out.

    Raises:
        InputError: scenes are too small or do not fit into memory, or the splits cannot be drawn.
    """
    height, width = common["image_size"] or DEFAULT_SIZE
    check_size(height, width, num_samples)
    pixels = np.empty((num_samples, height, width, 3), np.uint8)
    masks: list[MaskArray] = []
    for number in range(num_samples):
        scene = draw_scene(seed, number, height, width)
        pixels[number] = scene.pixels
        masks.append(MaskArray(f"scenes/{number}", scene.mask))
    counts = np.stack([count_pixels(mask.values, len(CLASSES)) for mask in masks])
    listing = Listing(
        names=tuple(mask.name for mask in masks),
        labels=np.full(num_samples, NO_LABEL, np.int32),
        arrays=pixels,
        annotations={NAME: Masks(tuple(masks), counts)},
    )
    return assemble_images(
        {"train": listing}, CLASSES, source="scenes", has_classes=False, exclude=exclude, common=common
    )
