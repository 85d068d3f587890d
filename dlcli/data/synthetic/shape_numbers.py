"""Synthetic scenes whose shape's position and size are numbers to predict."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

import numpy as np

from dlcli.data.boxes.boxes import boxes_of
from dlcli.data.images.dataset import CommonKeys
from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.images.targets import TABLE, TargetTable
from dlcli.data.splits import NO_LABEL
from dlcli.data.synthetic.shapes import read_shapes


def read_shape_numbers(
    *,
    num_samples: int,
    seed: int,
    targets: tuple[str, ...],
    exclude: Sequence[str] = (),
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The scenes of :func:`dlcli.data.synthetic.shapes.read_shapes`, with numbers in place of a class and a box.

    Args:
        targets: the numbers in the order of the outputs, in pixels: ``center_x``, ``center_y``, ``side`` of the square
            around the shape.

    Raises:
        InputError: as for :func:`dlcli.data.synthetic.shapes.read_shapes`.
    """
    scenes = read_shapes(num_samples=num_samples, seed=seed, exclude=exclude, **common)
    splits = {split: _with_numbers(samples, targets) for split, samples in scenes.splits.items()}
    return replace(scenes, classes=targets, splits=splits)


def _with_numbers(samples: Samples, targets: tuple[str, ...]) -> Samples:
    boxes = boxes_of(samples)
    assert boxes is not None
    left, top, right, bottom = boxes.corners.T
    numbers = {"center_x": (left + right) / 2, "center_y": (top + bottom) / 2, "side": right - left}
    return replace(
        samples,
        labels=np.full(len(samples), NO_LABEL, np.int32),
        annotations={TABLE: TargetTable("value", targets, np.stack([numbers[name] for name in targets], axis=1))},
    )
