"""Scenes with objects: they are those of the scene of the same number."""

from typing import Any

import numpy as np

from dlcli.data.boxes.objects import objects_of
from dlcli.data.synthetic.scene_objects import read_scene_objects
from dlcli.data.synthetic.scenes import CLASSES, draw_scene


def test_the_objects_are_the_shapes_of_the_scene() -> None:
    resizing = {"image_size": (24, 32), "color_mode": None, "resize": "stretch", "interpolation": "bilinear"}
    splits = {"validation": 0.2, "test": 0.2, "split_seed": 0, "limit": None, "allow_leakage": False}
    common: Any = {**resizing, "antialias": True, **splits}
    dataset = read_scene_objects(num_samples=20, seed=3, min_visible=0.3, **common)
    assert dataset.classes == CLASSES[1:]
    assert set(dataset.splits) == {"train", "validation", "test"}
    for samples in dataset.splits.values():
        assert not samples.has_classes
        objects = objects_of(samples)
        assert objects is not None
        for i, name in enumerate(samples.names):
            scene = draw_scene(3, int(name.removeprefix("scenes/")), 24, 32)
            own = slice(*objects.offsets[i : i + 2])
            np.testing.assert_array_equal(samples.load(np.array([i]))[0], scene.pixels)
            np.testing.assert_array_equal(objects.corners[own], scene.boxes)
            np.testing.assert_array_equal(objects.labels[own], scene.labels - 1)
            for area, position in zip(objects.areas[own], range(1, len(scene.labels) + 1), strict=True):
                assert area == (scene.instances == position).sum()
