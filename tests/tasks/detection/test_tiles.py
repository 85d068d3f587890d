"""Detections of tiles become those of images: each object once and whole, as the image alone where it fits one tile."""

from dataclasses import replace
from typing import Any

import detector_table  # type: ignore[import-not-found]
import numpy as np
import pytest

from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.tiles import Grid, make_grid
from dlcli.evaluation.detection.boxes import box_iou
from dlcli.recipe.sections.detect import Detect
from dlcli.runtime.console import Console
from dlcli.tasks.detection.detecting import detector
from dlcli.tasks.detection.tiles import OfImage, merge

TILE, OVERLAP = (128, 96), 32
DETECT = Detect(score=0.1, iou=0.5)


def of_tiles(objects: np.ndarray, grid: Grid, *, slots: int = 60) -> list[OfImage]:
    """What a perfect detector finds in each tile: the visible parts of objects, in descending order of their areas,
    each with the class of its number; and padding."""
    found = []
    for top, left, *_ in grid.windows:
        moved = objects - [left, top, left, top]
        inside = moved.clip(0, [TILE[1], TILE[0], TILE[1], TILE[0]])
        area = np.prod(inside[:, 2:] - inside[:, :2], axis=1)
        order = np.argsort(-area, kind="stable")[: np.sum(area > 0)]
        boxes, scores, classes = np.zeros((slots, 4), np.float32), np.zeros(slots, np.float32), np.full(slots, -1)
        boxes[: len(order)] = inside[order] / [TILE[1], TILE[0], TILE[1], TILE[0]]
        scores[: len(order)] = 0.2 + area[order] / np.prod(TILE) / 2
        classes[: len(order)] = order
        found.append((boxes, scores, classes, np.array(len(order), np.int32)))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_objects_up_to_the_size_of_the_overlap_are_found_once_and_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(60, 500, 2).tolist()
    grid = make_grid(height, width, TILE, OVERLAP)
    corners = rng.integers(0, [width - OVERLAP, height - OVERLAP], (50, 2))
    objects = np.concatenate([corners, corners + rng.integers(4, OVERLAP + 1, (50, 2))], axis=1).astype(np.float64)
    boxes, scores, classes, count = merge(of_tiles(objects, grid), grid, DETECT.model_copy(update={"nms": "none"}))
    assert count == len(boxes) == len(scores)
    assert sorted(classes.tolist()) == list(range(50))
    np.testing.assert_allclose(boxes * [width, height, width, height], objects[classes], atol=1e-3)
    assert (np.diff(scores) <= 0).all()


def test_masks_stay_with_their_boxes() -> None:
    """A box that a padded tile extends beyond the image keeps the part outside, in which a part of its mask is."""
    rng = np.random.default_rng(0)
    grid = make_grid(120, 160, TILE, OVERLAP)
    corners = np.concatenate([rng.integers(0, [130, 90], (40, 2)), [[100, 96]]])
    objects = np.concatenate([corners, corners + rng.integers(4, OVERLAP + 1, (41, 2))], axis=1).astype(np.float64)
    objects[-1, 2:] = [132, 128]
    tiles = [(*found, found[2][:, None, None] + np.zeros((1, 2, 2))) for found in of_tiles(objects, grid)]
    boxes, scores, classes, count, masks = merge(tiles, grid, DETECT)
    assert count == len(masks) == len(scores) > 30
    np.testing.assert_array_equal(masks, classes[:, None, None] + np.zeros((1, 2, 2)))
    np.testing.assert_allclose(boxes * [160, 120, 160, 120], objects[classes], atol=1e-3)
    assert boxes.max() == 128 / 120


def test_an_image_in_one_tile_has_the_detections_of_the_tile() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (30, 2))
    objects = np.concatenate([corners, corners + rng.uniform(5, 36, (30, 2))], axis=1)
    grid = make_grid(*TILE, TILE, OVERLAP)
    (of_tile,) = of_tiles(objects, grid)
    boxes, scores, classes, count = merge([of_tile], grid, DETECT)
    assert count == of_tile[3]
    for values, expected in zip((boxes, scores, classes), of_tile, strict=False):
        np.testing.assert_allclose(values, expected[:count], atol=1e-7)


def test_a_large_object_that_several_tiles_find_is_suppressed_greedily() -> None:
    grid = make_grid(128, 160, TILE, OVERLAP)  # tiles at columns 0 and 64, which count up to and from 80
    left = np.array([[30, 10, 96, 100]], np.float32) / [96, 128, 96, 128]  # its center is in column 63
    right = np.array([[5, 10, 40, 100]], np.float32) / [96, 128, 96, 128]  # in column 86.5 of the image
    tiles = [
        (box, np.array([score], np.float32), np.array([0]), np.array(1)) for box, score in ((left, 0.9), (right, 0.8))
    ]
    boxes = merge(tiles, grid, DETECT.model_copy(update={"nms": "none"}))[0]
    assert len(boxes) == 2
    overlap = float(box_iou(boxes[:1], boxes[1:])[0, 0])
    for iou, number in ((overlap + 0.01, 2), (overlap - 0.01, 1)):
        merged = merge(tiles, grid, DETECT.model_copy(update={"iou": iou}))
        assert merged[3] == number
        assert merged[1][0] == pytest.approx(0.9)
    other_class = [tiles[0], (*tiles[1][:2], np.array([1]), tiles[1][3])]
    keys: dict[str, Any] = {"iou": overlap - 0.01}
    assert merge(other_class, grid, DETECT.model_copy(update=keys))[3] == 2
    assert merge(other_class, grid, DETECT.model_copy(update={**keys, "class_agnostic": True}))[3] == 1


def test_a_detector_covers_each_image_with_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_table, "SIDE", 64)
    candidates = np.array([[[0.4, 0.4, 0.6, 0.6]], [[0.1, 0.2, 0.3, 0.4]], [[0.0, 0.0, 0.1, 0.1]]], np.float32)
    scores, labels = np.array([[0.9], [0.8], [0.05]], np.float32), np.array([[0], [1], [1]], np.int32)
    model = detector_table.detector_of(candidates, scores, labels)
    sizes = [(128, 96), (40, 64), (64, 64)]  # width and height
    samples = detector_table.samples_of([[]] * 3, sizes)
    images = tuple(np.full((height, width, 3), i, np.uint8) for i, (width, height) in enumerate(sizes))
    policy = ImagePolicy((64, 64), "rgb", "stretch", "bilinear", antialias=True, overlap=32)
    tiled = replace(samples, pixels=None, unsized=images, policy=policy)
    keys: dict[str, Any] = {"batch_size": 4, "console": Console(quiet=True), "merging": DETECT}
    found = detector(model, tiled, **keys)().detections
    assert found.offsets.tolist() == [0, 6, 7, 7]  # the first image has tiles at columns 0, 32 and 64 and rows 0 and 32
    middles = (found.boxes[:6, :2] + found.boxes[:6, 2:]) / 2
    assert sorted(map(tuple, middles.round(3).tolist())) == [(x, y) for x in (32, 64, 96) for y in (32, 64)]
    np.testing.assert_allclose(found.boxes[6], [6.4, 12.8, 19.2, 25.6], atol=1e-3)
