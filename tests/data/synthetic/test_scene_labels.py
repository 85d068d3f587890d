"""Scenes with labels: they are those of the objects in the scene of the same number."""

from typing import Any

import numpy as np

from dlcli.data.images.targets import target_values
from dlcli.data.synthetic.scene_labels import read_scene_labels
from dlcli.data.synthetic.scenes import CLASSES, draw_scene


def test_the_labels_are_the_shapes_that_occur() -> None:
    resizing = {"image_size": (24, 32), "color_mode": None, "resize": "stretch", "interpolation": "bilinear"}
    splits = {"validation": 0.2, "test": 0.2, "split_seed": 0, "limit": None, "allow_leakage": False}
    common: Any = {**resizing, "antialias": True, **splits}
    dataset = read_scene_labels(num_samples=10, seed=3, **common)
    assert dataset.classes == CLASSES[1:]
    for samples in dataset.splits.values():
        assert not samples.has_classes
        for i, name in enumerate(samples.names):
            scene = draw_scene(3, int(name.removeprefix("scenes/")), 24, 32)
            np.testing.assert_array_equal(samples.load(np.array([i]))[0], scene.pixels)
            present = {CLASSES[j + 1] for j in np.flatnonzero(target_values(samples)[i])}
            assert present == {CLASSES[label] for label in scene.labels}
