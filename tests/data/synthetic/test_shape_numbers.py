"""Scenes whose shape's position and size are numbers: the numbers are those of the box of the same scene."""

from typing import Any

import numpy as np

from dlcli.data.boxes.boxes import boxes_of
from dlcli.data.images.targets import target_values
from dlcli.data.synthetic.shape_numbers import read_shape_numbers
from dlcli.data.synthetic.shapes import read_shapes


def test_the_numbers_are_those_of_the_boxes() -> None:
    resizing = {"image_size": (24, 32), "color_mode": None, "resize": "stretch", "interpolation": "bilinear"}
    splits = {"validation": 0.2, "test": 0.2, "split_seed": 0, "limit": None, "allow_leakage": False}
    common: Any = {**resizing, "antialias": True, **splits}
    scenes = read_shapes(num_samples=20, seed=3, **common)
    dataset = read_shape_numbers(num_samples=20, seed=3, targets=("side", "center_x"), **common)
    assert dataset.classes == ("side", "center_x")
    for split, samples in dataset.splits.items():
        assert not samples.has_classes
        assert samples.names == scenes.splits[split].names
        boxes = boxes_of(scenes.splits[split])
        assert boxes is not None
        left, _, right, _ = boxes.corners.T
        np.testing.assert_allclose(target_values(samples), np.stack([right - left, (left + right) / 2], axis=1))
