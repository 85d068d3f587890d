"""Several boxes in batches: they follow augmentation, too small rests are dropped, rows are padded."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.augmentation.affine import about_center, identity, linear, move_boxes, shift
from dlcli.data.augmentation.augmentation import Augmentation, RandomCrop
from dlcli.data.boxes.object_targets import ObjectsTarget, area
from dlcli.data.boxes.offsets import offsets_of
from dlcli.data.images.batches import Batches
from dlcli.data.images.tiles import cut, draw_tiling, grid_tiling, make_grids

HEIGHT, WIDTH = 40, 60
SIZE = {"height": HEIGHT, "width": WIDTH}
NUM_SAMPLES = 21


def make(*images: list[tuple[float, ...]], slots: int = 3, min_visible: float = 0.3) -> ObjectsTarget:
    """Boxes in pixels of the input, of classes 0, 1, 2, …"""
    boxes = np.array([box for of_image in images for box in of_image], np.float64).reshape(-1, 4)
    return ObjectsTarget(
        boxes=(boxes / [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32),
        labels=np.arange(len(boxes), dtype=np.int32),
        visible=np.ones(len(boxes), np.float32),
        positions=np.concatenate([np.arange(len(of_image)) for of_image in images] or [[]]).astype(np.int32),
        offsets=np.cumsum([0, *map(len, images)]).astype(np.int64),
        slots=slots,
        min_visible=min_visible,
    )


def in_pixels(target: ObjectsTarget) -> np.ndarray:
    return target.boxes * [WIDTH, HEIGHT, WIDTH, HEIGHT]


A, B, C = (10, 10, 20, 30), (0, 0, 60, 40), (40, 5, 50, 15)
FLIP = about_center(linear(-1, 0, 0, 1, num=3), **SIZE)


def turned(degrees: float) -> np.ndarray:
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return about_center(linear(cosine, -sine, sine, cosine, num=3), **SIZE)


def test_rows_are_padded() -> None:
    target = make([A, B], [], [C])
    rows = target.rows()
    boxes, classes = rows["boxes"].numpy(), rows["box_class"].numpy()
    assert (boxes.dtype, boxes.shape) == (np.float32, (3, 3, 4))
    assert (classes.dtype, classes.tolist()) == (np.int32, [[0, 1, -1], [-1, -1, -1], [2, -1, -1]])
    np.testing.assert_array_equal(boxes[0, :2], target.boxes[:2])
    np.testing.assert_array_equal(boxes[2, 0], target.boxes[2])
    assert not boxes[classes == -1].any()
    assert target.batch({**rows, "index": None}).keys() == {"boxes", "box_class"}
    assert target.batch({"index": None}) == {}


def test_taking_samples_takes_their_boxes() -> None:
    taken = make([A, B], [], [C]).take(np.array([2, 0, 1, 0]))
    assert taken.rows()["box_class"].numpy().tolist() == [[2, -1, -1], [0, 1, -1], [-1, -1, -1], [0, 1, -1]]


def test_no_boxes_at_all() -> None:
    target = make([], [], slots=1).warped(identity(2), **SIZE)
    assert target.rows()["box_class"].numpy().tolist() == [[-1], [-1]]


def test_mixing_images_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be mixed"):
        make([A]).mixed({"boxes": None}, None)  # type: ignore[arg-type]


# Boxes follow ---------------------------------------------------------------------------------------------------------


def test_a_flip() -> None:
    flipped = make([A, B], [], [C]).warped(FLIP, **SIZE)
    np.testing.assert_allclose(in_pixels(flipped), [(40, 10, 50, 30), B, (10, 5, 20, 15)], atol=1e-4)
    assert flipped.offsets.tolist() == [0, 2, 2, 3]


def test_two_flips_are_the_identity() -> None:
    target = make([A, B], [], [C])
    again = target.warped(FLIP, **SIZE).warped(FLIP, **SIZE)
    np.testing.assert_allclose(again.boxes, target.boxes, atol=1e-6)
    np.testing.assert_array_equal(again.labels, target.labels)
    np.testing.assert_array_equal(again.offsets, target.offsets)
    assert again.num_dropped == 0


def test_each_image_has_its_own_map() -> None:
    maps = np.concatenate([identity(1), FLIP[:1], shift(10, 0, num=1)])
    moved = make([A], [A, C], [C]).warped(maps, **SIZE)
    np.testing.assert_allclose(in_pixels(moved), [A, (40, 10, 50, 30), (10, 5, 20, 15), (30, 5, 40, 15)], atol=1e-4)


def test_a_rotated_box_is_the_hull_of_its_corners() -> None:
    box = (25, 15, 35, 27)  # stays inside
    moved = make([box], [], []).warped(turned(30), **SIZE)
    x, y = in_pixels(moved)[0, 2:] - in_pixels(moved)[0, :2]
    sine, cosine = 0.5, np.sqrt(3) / 2
    assert x == pytest.approx(10 * cosine + 12 * sine, abs=1e-4)
    assert y == pytest.approx(12 * cosine + 10 * sine, abs=1e-4)
    assert moved.visible.tolist() == pytest.approx([1.0])


@pytest.mark.parametrize("degrees", [0, 17, 45, 90, 200])
def test_boxes_move_as_one_box_does(degrees: float) -> None:
    target = make([A, C], [], [C], min_visible=0.0)
    moved = target.warped(turned(degrees), **SIZE)
    expected, is_left = move_boxes(target.boxes, turned(degrees), **SIZE)
    np.testing.assert_array_equal(moved.boxes, expected[is_left])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (0, [0, 1, 2]),
        (15, [0, 1, 2]),  # A keeps 5 of 10 columns
        (16, [1, 2]),
        (33, [1, 2]),  # B keeps 27 of 60
        (34, [2]),
        (-4, [0, 1, 2]),
        (-16, [0, 1]),  # C keeps 4 of 10
    ],
)
def test_a_box_of_which_too_little_is_left_is_dropped(columns: float, expected: list[int]) -> None:
    target = make([A, B], [C], [], min_visible=0.44)
    moved = target.warped(shift(columns, 0, num=3), **SIZE)
    assert moved.labels.tolist() == expected
    assert moved.num_dropped == 3 - len(expected)
    assert len(moved.offsets) == 4
    assert moved.boxes.min() >= 0
    assert moved.boxes.max() <= 1
    assert target.labels.tolist() == [0, 1, 2]  # the target itself is unchanged


def test_what_was_cropped_before_counts_as_gone() -> None:
    """Half of the box was left by the crop, and the shift leaves half of that."""
    target = replace(make([(0, 0, 20, 10)], min_visible=0.3), visible=np.array([0.5], np.float32))
    assert target.warped(shift(10, 0, num=1), **SIZE).labels.tolist() == []
    assert target.warped(shift(7, 0, num=1), **SIZE).labels.tolist() == [0]


def test_areas() -> None:
    assert area(np.array([[0, 0, 0.5, 0.5], [0.2, 0.2, 0.1, 0.9], [0, 0, 2, 1]])).tolist() == [0.25, 0.0, 2.0]


# In batches -----------------------------------------------------------------------------------------------------------


def scenes() -> tuple[np.ndarray, ObjectsTarget]:
    """Images with from none to three bright rectangles; the channel is the slot."""
    rng = np.random.default_rng(7)
    pixels = np.zeros((NUM_SAMPLES, HEIGHT, WIDTH, 3), np.uint8)
    boxes, owners, channels = [], [], []
    for i in range(NUM_SAMPLES):
        for channel in range(i % 4):
            left, top = rng.integers(0, [WIDTH - 16, HEIGHT - 16])
            wide, high = rng.integers(8, 17, 2)
            pixels[i, top : top + high, left : left + wide, channel] = 255
            boxes.append([left, top, left + wide, top + high])
            owners.append(i)
            channels.append(channel)
    target = ObjectsTarget(
        boxes=(np.array(boxes) / [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32),
        labels=np.array(channels, np.int32),
        visible=np.ones(len(boxes), np.float32),
        positions=np.array(channels, np.int32),
        offsets=offsets_of(np.array(owners), NUM_SAMPLES),
        slots=4,
        min_visible=0.3,
    )
    return pixels, target


def read(augmentation: Augmentation, *, in_memory: bool, epoch: int, first_step: int = 0) -> list[dict[str, Any]]:
    pixels, target = scenes()
    data = Batches(
        labels=np.full(NUM_SAMPLES, -1, np.int32),
        pixels=pixels if in_memory else None,
        load=lambda index: pixels[index],
        shape=(HEIGHT, WIDTH, 3),
        batch_size=8,
        targets=(target,),
        seed=3,
        augmentation=augmentation,
    )
    compiled = tf.function(lambda source, step: data.assemble(data.element(source, step)), autograph=False)
    source = data.source(epoch, first_step)
    steps = range(first_step, data.num_steps)
    return [tf.nest.map_structure(np.asarray, compiled(source, tf.constant(step, tf.int64))) for step in steps]


def flatten(batches: list[dict[str, Any]]) -> list[np.ndarray]:
    return [np.asarray(value) for value in tf.nest.flatten(batches)]


def test_boxes_are_around_their_objects_in_every_batch(still: Augmentation) -> None:
    augmentation = replace(
        still,
        horizontal_flip=True,
        vertical_flip=True,
        width_shift_range=0.2,
        zoom_range=(0.7, 1.4),
        random_crop=RandomCrop((0.4, 1.0), (0.7, 1.4)),
    )
    num_kept = num_seen = 0
    for batch in read(augmentation, in_memory=True, epoch=1):
        assert batch["y"].keys() == {"boxes", "box_class"}
        assert batch["y"]["boxes"].shape[1:] == (4, 4)
        for image, boxes, classes in zip(batch["x"], batch["y"]["boxes"], batch["y"]["box_class"], strict=True):
            for box, channel in zip(boxes, classes, strict=True):
                if channel < 0:
                    assert not box.any()
                    continue
                bright = np.argwhere(image[..., channel] > 127)
                (top, left), (bottom, right) = bright.min(axis=0), bright.max(axis=0) + 1
                np.testing.assert_allclose(box * [WIDTH, HEIGHT, WIDTH, HEIGHT], (left, top, right, bottom), atol=1.01)
                num_kept += 1
            num_seen += len({*np.argwhere(image > 127)[:, 2].tolist()})
    assert 15 < num_kept < num_seen  # some are dropped although a part of them is left


def test_an_epoch_is_the_same_from_memory_and_files_and_from_any_step(still: Augmentation) -> None:
    augmentation = replace(still, rotation_range=20.0, horizontal_flip=True)
    whole = read(augmentation, in_memory=True, epoch=2)
    assert len(whole) == 3
    for same in (
        read(augmentation, in_memory=False, epoch=2),
        whole[:1] + read(augmentation, in_memory=True, epoch=2, first_step=1),
        whole[:1] + read(augmentation, in_memory=False, epoch=2, first_step=1),
    ):
        for one, other in zip(flatten(whole), flatten(same), strict=True):
            np.testing.assert_array_equal(one, other)
    other_epoch = read(augmentation, in_memory=True, epoch=3)
    assert not np.array_equal(flatten(whole)[0], flatten(other_epoch)[0])


# Tiles ----------------------------------------------------------------------------------------------------------------

TILE = {"height": 32, "width": 48}


def whole_images(min_visible: float = 0.4) -> tuple[np.ndarray, np.ndarray, ObjectsTarget]:
    """Images of different sizes in an array of the largest, their sizes, and their boxes, each of them painted with the
    number of its class plus 1."""
    rng = np.random.default_rng(4)
    sizes = np.array([(70, 120), (20, 100), (90, 30), (32, 48)])
    pixels, boxes, labels, counts = np.zeros((4, 90, 120, 1), np.uint8), [], [], []
    for image, (height, width) in enumerate(sizes):
        counts.append(6)
        for column in range(6):  # side by side, so that none hides another
            left, right = (width * (column + np.array([0.1, 0.9])) / 6).astype(int)
            top = int(rng.integers(0, height - 8))
            bottom = int(rng.integers(top + 4, height))
            labels.append(len(labels))
            pixels[image, top:bottom, left:right] = len(labels)
            boxes.append(np.array([left, top, right, bottom]) / [width, height, width, height])
    offsets = np.cumsum([0, *counts])
    target = ObjectsTarget(
        boxes=np.array(boxes, np.float32),
        labels=np.array(labels, np.int32),
        visible=np.ones(len(labels), np.float32),
        positions=np.tile(np.arange(6, dtype=np.int32), 4),
        offsets=offsets,
        slots=6,
        min_visible=min_visible,
        sizes=sizes,
    )
    return pixels, sizes, target


@pytest.mark.parametrize("is_trained", [True, False])
def test_boxes_of_tiles_are_around_the_pixels_of_their_objects(is_trained: bool) -> None:
    pixels, sizes, target = whole_images()
    tile = (TILE["height"], TILE["width"])
    tiling = draw_tiling(sizes, tile, per_image=5, seed=0) if is_trained else grid_tiling(make_grids(sizes, tile, 0))
    windows = tiling.windows(1)
    found = target.take(np.arange(4)).tiled(tiling.images, windows, **TILE)
    assert found.sizes is None
    num_dropped = 0
    for position, (image, (top, left, *_)) in enumerate(zip(tiling.images, windows, strict=True)):
        shown = cut(pixels[image], (top, left), tile, fill=0)[..., 0]
        of_tile = slice(found.offsets[position], found.offsets[position + 1])
        expected, labels = [], []
        for label in np.unique(shown[shown > 0]) - 1:
            rows, columns = np.nonzero(shown == label + 1)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            if len(rows) >= 0.4 * (pixels == label + 1).sum():
                labels.append(int(label))
                expected.append(box)
            else:
                num_dropped += 1
        assert found.labels[of_tile].tolist() == labels
        in_pixels = found.boxes[of_tile] * [48, 32, 48, 32]
        np.testing.assert_allclose(in_pixels, np.reshape(expected, (-1, 4)), atol=1e-3)
    assert found.num_dropped == num_dropped > 0
    with pytest.raises(ValueError, match="resized"):
        found.tiled(tiling.images, windows, **TILE)


def test_an_image_that_fits_into_a_tile_keeps_its_boxes() -> None:
    _, sizes, target = whole_images()
    grid = make_grids(sizes[3:], (TILE["height"], TILE["width"]), 0)
    found = target.take(np.array([3])).tiled(np.array([0]), grid_tiling(grid).windows(0), **TILE)
    np.testing.assert_allclose(found.boxes, target.boxes[18:], atol=1e-6)


def test_batches_of_tiles_have_the_boxes_of_each_epochs_tiles(still: Augmentation) -> None:
    pixels, sizes, target = whole_images(min_visible=0.0)
    tile = (TILE["height"], TILE["width"])

    def load(index: np.ndarray, windows: np.ndarray) -> np.ndarray:
        return np.stack(
            [cut(pixels[i], tuple(window[:2]), tile, fill=0) for i, window in zip(index, windows, strict=True)]
        )

    data = Batches(
        labels=np.full(12, -1, np.int32),
        pixels=None,
        load=load,
        shape=(*tile, 1),
        batch_size=5,
        seed=2,
        augmentation=replace(still, horizontal_flip=True),
        targets=[target],
        tiling=draw_tiling(sizes, tile, per_image=3, seed=2),
    )
    for epoch in (0, 1):
        batch = data.at(epoch, np.arange(12))
        for image, boxes, classes in zip(batch["x"].numpy(), *map(np.asarray, batch["y"].values()), strict=True):
            shown = np.rint(image[..., 0]).astype(int)
            assert sorted(classes[classes >= 0]) == (np.unique(shown[shown > 0]) - 1).tolist()
            for box, label in zip(boxes[classes >= 0], classes[classes >= 0], strict=True):
                rows, columns = np.nonzero(shown == label + 1)
                expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                np.testing.assert_allclose(box * [48, 32, 48, 32], expected, atol=1e-2)
