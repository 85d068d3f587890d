"""Synthetic scenes of several shapes, whose labels say which shapes occur."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from dlcli.data.images.dataset import CommonKeys, assemble_images
from dlcli.data.images.samples import Dataset
from dlcli.data.images.targets import TABLE, TargetTable
from dlcli.data.listing import Listing
from dlcli.data.splits import NO_LABEL
from dlcli.data.synthetic.scenes import CLASSES, check_size, draw_scene
from dlcli.data.synthetic.shapes import DEFAULT_SIZE

LABELS = CLASSES[1:]  # the background is everywhere


def read_scene_labels(
    *, num_samples: int, seed: int, exclude: Sequence[str] = (), **common: Unpack[CommonKeys]
) -> Dataset:
    """The scenes of :mod:`dlcli.data.synthetic.scenes` with the labels of the shapes in them, drawn at the size of the
    recipe.

    Args:
        exclude: patterns of the names of scenes to leave out.

    Raises:
        InputError: scenes are too small or do not fit into memory, or the splits cannot be drawn.
    """
    height, width = common["image_size"] or DEFAULT_SIZE
    check_size(height, width, num_samples)
    pixels = np.empty((num_samples, height, width, 3), np.uint8)
    occurs = np.zeros((num_samples, len(LABELS)), np.float64)
    for number in range(num_samples):
        scene = draw_scene(seed, number, height, width)
        pixels[number] = scene.pixels
        occurs[number, scene.labels - 1] = 1.0
    listing = Listing(
        names=tuple(f"scenes/{number}" for number in range(num_samples)),
        labels=np.full(num_samples, NO_LABEL, np.int32),
        arrays=pixels,
        annotations={TABLE: TargetTable("labels", LABELS, occurs)},
    )
    return assemble_images(
        {"train": listing}, LABELS, source="scenes", has_classes=False, exclude=exclude, common=common
    )
