"""Scenes: functions of seed and number, with masks, objects and boxes that agree."""

from typing import Any

import numpy as np
import pytest

from dlcli.data.masks.masks import masks_of
from dlcli.data.masks.statistics import count_masks
from dlcli.data.synthetic.scenes import CLASSES, LEAST_VISIBLE, MOST_OBJECTS, Scene, draw_scene, read_scenes
from dlcli.data.synthetic.shapes import SHAPES
from dlcli.errors import InputError

Common = dict[str, Any]


def scenes(number: int = 60) -> list[Scene]:
    return [draw_scene(0, i, 48, 64) for i in range(number)]


def test_a_scene_depends_on_seed_and_number_alone() -> None:
    first, again = draw_scene(3, 5, 48, 64), draw_scene(3, 5, 48, 64)
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.instances, again.instances)
    for other in (draw_scene(4, 5, 48, 64), draw_scene(3, 6, 48, 64)):
        assert not np.array_equal(first.pixels, other.pixels)


def test_scenes_stay_the_same_in_every_version() -> None:
    scene = draw_scene(0, 0, 48, 64)
    assert scene.labels.tolist() == [2]
    assert scene.boxes.tolist() == [[4.0, 8.0, 22.0, 26.0]]


def test_masks_objects_and_boxes_agree() -> None:
    for scene in scenes():
        number = len(scene.labels)
        assert 1 <= number <= MOST_OBJECTS
        assert scene.boxes.shape == (number, 4)
        assert np.array_equal(scene.mask, np.array([0, *scene.labels])[scene.instances])
        assert set(np.unique(scene.instances)) - {0} == set(range(1, number + 1))
        for position, (left, top, right, bottom) in enumerate(scene.boxes.astype(int), 1):
            inside = scene.instances == position
            assert inside[top:bottom, left:right].sum() == inside.sum()
            for edge in (inside[top], inside[bottom - 1], inside[:, left], inside[:, right - 1]):
                assert edge.any()


def test_shapes_overlap_but_stay_visible() -> None:
    """Where shapes overlap, the one drawn later is seen."""
    hidden = 0
    for scene in scenes():
        for position, (label, box) in enumerate(zip(scene.labels, scene.boxes, strict=True), 1):
            visible = (scene.instances == position).sum()
            width, height = box[2] - box[0], box[3] - box[1]
            share = {"circle": np.pi / 4, "cross": 5 / 9, "square": 1.0, "triangle": 0.5}[CLASSES[label]]
            hidden += visible < 0.9 * share * max(width, height) ** 2
            assert visible >= 0.9 * LEAST_VISIBLE * share * min(width, height) ** 2
    assert hidden > 5


def test_objects_differ_from_the_background() -> None:
    for scene in scenes(20):
        gray = scene.pixels.astype(float) @ [0.299, 0.587, 0.114]
        background = np.median(gray[scene.mask == 0])
        for position in range(1, len(scene.labels) + 1):
            assert abs(np.median(gray[scene.instances == position]) - background) > 30


def test_a_data_set(common: Common) -> None:
    data = read_scenes(num_samples=30, seed=1, **{**common, "image_size": (32, 40)})
    assert data.classes == CLASSES == ("background", *SHAPES)
    assert data.shape == (32, 40, 3)
    assert {split: len(samples) for split, samples in data.splits.items()} == {"train": 21, "validation": 3, "test": 6}
    assert not data.has_classes
    for samples in data.splits.values():
        masks = masks_of(samples)
        assert masks is not None
        assert samples.pixels is not None
        for name, mask, pixels in zip(samples.names, masks.masks, samples.pixels, strict=True):
            scene = draw_scene(1, int(name.rpartition("/")[2]), 32, 40)
            assert np.array_equal(mask.read(), scene.mask)
            assert np.array_equal(pixels, scene.pixels)
    counted = count_masks(data.splits)["train"]
    assert (counted.pixels > 0).all()
    assert counted.pixels.sum() == 21 * 32 * 40


def test_scenes_can_be_left_out(common: Common) -> None:
    data = read_scenes(num_samples=5, seed=1, exclude=("scenes/3",), **{**common, "validation": 0.0, "test": 0.0})
    assert data.splits["train"].names == ("scenes/0", "scenes/1", "scenes/2", "scenes/4")
    masks = masks_of(data.splits["train"])
    assert masks is not None
    assert np.array_equal(masks.masks[3].read(), draw_scene(1, 4, 64, 64).mask)


def test_sizes_are_checked(common: Common) -> None:
    with pytest.raises(InputError, match=r"at least 16 pixels along each side\. Received \[10, 40\]"):
        read_scenes(num_samples=2, seed=0, **{**common, "image_size": (10, 40)})
    with pytest.raises(InputError, match="half of this machine's memory"):
        read_scenes(num_samples=10**9, seed=0, **common)
