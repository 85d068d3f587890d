"""Boxes in batches: they follow augmentation, in memory, files and features alike."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.augmentation.augmentation import Augmentation, RandAugment, RandomCrop, RandomErasing
from dlcli.data.augmentation.rand_augment import MOVES, TRANSFORMS
from dlcli.data.boxes.boxes import Boxes, Frame
from dlcli.data.boxes.targets import BoxTarget
from dlcli.data.images.batches import Batches
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.tasks.images.batches import batches
from dlcli.tasks.images.feature_cache import feature_batches

NUM_SAMPLES, BATCH_SIZE = 45, 8
HEIGHT, WIDTH = 40, 56
LABELS = (np.arange(NUM_SAMPLES) % 3).astype(np.int32)
NAN = np.float32(np.nan)
OFF = Augmentation(
    rotation_range=0.0,
    width_shift_range=0.0,
    height_shift_range=0.0,
    brightness_range=None,
    shear_range=0.0,
    zoom_range=(1.0, 1.0),
    channel_shift_range=0.0,
    fill_mode="constant",  # the outside of the image is dark
    cval=0.0,
    horizontal_flip=False,
    vertical_flip=False,
    random_crop=None,
    color_jitter=None,
    random_erasing=None,
    rand_augment=None,
)


def rectangles() -> np.ndarray:
    """Left, top, right and bottom in pixels; sides of 10 to 25 pixels, not centered in the image."""
    rng = np.random.default_rng(5)
    sides = rng.integers(10, 26, (NUM_SAMPLES, 2))
    first = (rng.uniform(size=(NUM_SAMPLES, 2)) * (np.array([WIDTH, HEIGHT]) + 1 - sides)).astype(int)
    return np.concatenate([first, first + sides], axis=1)


RECTANGLES = rectangles()
PIXELS = np.zeros((NUM_SAMPLES, HEIGHT, WIDTH, 1), np.uint8)
for image, (left, top, right, bottom) in zip(PIXELS, RECTANGLES, strict=True):
    image[top:bottom, left:right] = 255
BOXES = (RECTANGLES / [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)


def make(*, in_memory: bool = True, boxes: np.ndarray | None = BOXES, **options: Any) -> Batches:
    return Batches(
        labels=LABELS,
        pixels=PIXELS if in_memory else None,
        load=lambda index: PIXELS[index],
        shape=(HEIGHT, WIDTH, 1),
        batch_size=BATCH_SIZE,
        targets=() if boxes is None else (BoxTarget(boxes),),
        **{"seed": 3, **options},
    )


def read(data: Batches, epoch: int = 0, first_step: int = 0) -> list[dict[str, Any]]:
    """The batches of an epoch from a step on, read like in the training step."""
    compiled = tf.function(lambda source, step: data.assemble(data.element(source, step)), autograph=False)
    source = data.source(epoch, first_step)
    steps = range(first_step, data.num_steps)
    return [tf.nest.map_structure(np.asarray, compiled(source, tf.constant(step, tf.int64))) for step in steps]


def by_sample(data: Batches, epoch: int = 0) -> dict[str, np.ndarray]:
    """Pixels, boxes and box weights of an epoch, in the order of the split."""
    read_batches = read(data, epoch)
    order = np.argsort(np.concatenate([batch["index"] for batch in read_batches]))
    found = {"x": np.concatenate([batch["x"] for batch in read_batches])[order]}
    for name in ("class", "box", "box_weight"):
        found[name] = np.concatenate([batch["y"][name] for batch in read_batches])[order]
    return found


def equal(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    pairs = zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def extent(image: np.ndarray) -> np.ndarray | None:
    """Left, top, right and bottom edge of the bright area, in pixels."""
    bright = np.argwhere(image[..., 0] > 127)
    if not len(bright):
        return None
    (top, left), (bottom, right) = bright.min(axis=0), bright.max(axis=0) + 1
    return np.array([left, top, right, bottom])


def assert_boxes_follow(
    found: dict[str, np.ndarray],
    *,
    keeps_axes: bool,
    tolerance: float = 1.01,
    index: Iterable[int] = range(NUM_SAMPLES),
) -> int:
    """Checks that each box contains the bright area, and fits it if rectangles stay so; returns how many moved."""
    moved = 0
    for i in index:
        seen = extent(found["x"][i])
        box = found["box"][i] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
        if found["box_weight"][i] == 0:
            assert seen is None, i
            continue
        if seen is None:  # less than a pixel of it remains
            assert min(box[2] - box[0], box[3] - box[1]) < 1, i
            continue
        assert (box[:2] - tolerance <= seen[:2]).all(), (i, box, seen)
        assert (seen[2:] <= box[2:] + tolerance).all(), (i, box, seen)
        if keeps_axes:
            np.testing.assert_allclose(seen, box, atol=tolerance, err_msg=str(i))
        moved += bool(np.abs(box - RECTANGLES[i]).max() > 1)
    return moved


# What is in a batch ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("seed", [None, 3])
def test_each_sample_has_its_box(in_memory: bool, seed: int | None) -> None:
    data = make(in_memory=in_memory, seed=seed)
    for batch in read(data):
        assert {name: value.dtype for name, value in batch["y"].items()} == {
            "class": np.int32,
            "box": np.float32,
            "box_weight": np.float32,
        }
        assert batch["y"]["box"].shape == (len(batch["index"]), 4)
        np.testing.assert_array_equal(batch["y"]["box"], BOXES[batch["index"]])
        np.testing.assert_array_equal(batch["y"]["box_weight"], np.ones(len(batch["index"])))
        np.testing.assert_array_equal(batch["x"], PIXELS[batch["index"]])
    assert_boxes_follow(by_sample(data), keeps_axes=True, tolerance=1e-3)


def test_batches_without_boxes_have_no_box() -> None:
    assert set(read(make(boxes=None, augmentation=replace(OFF, horizontal_flip=True)))[0]["y"]) == {"class"}


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("augmentation", [None, replace(OFF, rotation_range=30.0, horizontal_flip=True)])
def test_a_sample_without_a_box_has_weight_0(in_memory: bool, augmentation: Augmentation | None) -> None:
    has_box = np.arange(NUM_SAMPLES) % 3 != 1
    boxes = np.where(has_box[:, None], BOXES, NAN)
    for epoch in range(2):
        found = by_sample(make(in_memory=in_memory, boxes=boxes, augmentation=augmentation), epoch)
        np.testing.assert_array_equal(found["box_weight"], has_box)
        assert np.isfinite(found["box"]).all()
        whole = by_sample(make(in_memory=in_memory, augmentation=augmentation), epoch)
        np.testing.assert_array_equal(found["box"][has_box], whole["box"][has_box])
    assert np.isnan(boxes).any()  # the caller's boxes are unchanged


def test_an_epoch_is_the_same_from_memory_and_files_and_from_any_step(everything: Augmentation) -> None:
    boxes = np.where((np.arange(NUM_SAMPLES) % 7 != 2)[:, None], BOXES, NAN)
    changes = {"boxes": boxes, "augmentation": replace(everything, color_jitter=None, rand_augment=None)}
    whole = read(make(**changes), 2)
    assert len(whole) == 6
    assert {float(weight) for batch in whole for weight in batch["y"]["box_weight"]} == {0.0, 1.0}
    assert equal(whole, read(make(in_memory=False, **changes), 2))
    for in_memory in (True, False):
        assert equal(whole[2:], read(make(in_memory=in_memory, **changes), 2, first_step=2))
    assert not equal(whole, read(make(**changes), 3))


# Boxes follow ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {"horizontal_flip": True},
        {"vertical_flip": True},
        {"horizontal_flip": True, "vertical_flip": True},
        {"width_shift_range": 0.3},
        {"height_shift_range": 7},
        {"width_shift_range": (-9.0, 4.5), "height_shift_range": 0.2},
        {"zoom_range": (0.6, 1.5)},
        {"random_crop": RandomCrop((0.3, 0.9), (0.6, 1.6))},
        {
            "horizontal_flip": True,
            "width_shift_range": 0.1,
            "zoom_range": (0.8, 1.2),
            "random_crop": RandomCrop((0.5, 0.9), (0.8, 1.25)),
        },
    ],
    ids="-".join,
)
def test_boxes_stay_tight_under_axis_aligned_transforms(changes: dict[str, Any], in_memory: bool) -> None:
    found = by_sample(make(in_memory=in_memory, augmentation=replace(OFF, **changes)), epoch=1)
    assert assert_boxes_follow(found, keeps_axes=True) > NUM_SAMPLES // 4


@pytest.mark.parametrize(
    "changes",
    [
        {"rotation_range": 8.0},
        {"shear_range": 10.0},
        {"rotation_range": 180.0},
        {"rotation_range": 15.0, "shear_range": 8.0, "zoom_range": (0.8, 1.2), "vertical_flip": True},
        {"rotation_range": 15.0, "random_crop": RandomCrop((0.4, 0.9), (0.6, 1.6)), "horizontal_flip": True},
    ],
    ids="-".join,
)
def test_objects_stay_in_their_boxes_after_a_rotation(changes: dict[str, Any]) -> None:
    found = by_sample(make(augmentation=replace(OFF, **changes)), epoch=1)
    assert assert_boxes_follow(found, keeps_axes=False) > NUM_SAMPLES // 3


def test_a_small_rotation_enlarges_a_box_to_its_corners() -> None:
    augmentation = replace(OFF, rotation_range=10.0)
    sizes = {"height": HEIGHT, "width": WIDTH}
    theta = np.deg2rad(augmentation.draw(seed=3, epoch=0, num=NUM_SAMPLES, **sizes)["theta"])
    found = by_sample(make(augmentation=augmentation))["box"] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    inside = (found > 0).all(axis=1) & (found < [WIDTH, HEIGHT, WIDTH, HEIGHT]).all(axis=1)
    assert inside.sum() > 10  # the others are clipped
    wide, high = (RECTANGLES[:, 2:] - RECTANGLES[:, :2]).T
    sine, cosine = np.abs(np.sin(theta)), np.cos(theta)
    np.testing.assert_allclose((found[:, 2] - found[:, 0])[inside], (wide * cosine + high * sine)[inside], atol=1e-3)
    np.testing.assert_allclose((found[:, 3] - found[:, 1])[inside], (high * cosine + wide * sine)[inside], atol=1e-3)


@pytest.mark.parametrize("num_ops", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_boxes_follow_rand_augments_moves(num_ops: int) -> None:
    """Color transforms may brighten dark pixels, so only images without them are compared."""
    augmentation = replace(OFF, rand_augment=RandAugment(num_ops, 12.0))
    data, moved = make(augmentation=augmentation), 0
    for epoch in range(3):
        drawn = augmentation.draw(seed=3, epoch=epoch, num=NUM_SAMPLES, height=HEIGHT, width=WIDTH)
        names = [{TRANSFORMS[i] for i in row} for row in drawn["transforms"]]
        found = by_sample(data, epoch)
        shifted = [i for i, row in enumerate(names) if row <= {"translate_x", "translate_y", "identity"}]
        moved += assert_boxes_follow(found, keeps_axes=True, index=shifted)
        turned = [i for i, row in enumerate(names) if row <= {*MOVES, "identity"}]
        moved += assert_boxes_follow(found, keeps_axes=False, index=turned)
        stays = [i for i, row in enumerate(names) if not row & set(MOVES)]
        assert stays
        np.testing.assert_allclose(found["box"][stays], BOXES[stays], atol=1e-6)
    assert moved > 10


def test_color_transforms_do_not_move_boxes(everything: Augmentation) -> None:
    colors = replace(
        OFF,
        brightness_range=(0.5, 1.5),
        channel_shift_range=40.0,
        color_jitter=replace(everything.color_jitter, saturation=0.0, hue=0.0),  # type: ignore[type-var]
        random_erasing=RandomErasing(1.0, (0.2, 0.5), (0.5, 2.0), 0.0),
    )
    found = by_sample(make(augmentation=colors))
    assert not np.array_equal(found["x"], PIXELS)
    np.testing.assert_array_equal(found["box"], BOXES)
    np.testing.assert_array_equal(found["box_weight"], np.ones(NUM_SAMPLES))


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_box_outside_of_its_image_has_weight_0(in_memory: bool) -> None:
    far = replace(OFF, width_shift_range=(-30.0, 30.0))
    found = by_sample(make(in_memory=in_memory, augmentation=far))
    left = RECTANGLES[:, [0, 2]]
    shifts = far.draw(seed=3, epoch=0, num=NUM_SAMPLES, height=HEIGHT, width=WIDTH)["tx"]
    is_gone = (left[:, 1] - shifts <= 0) | (left[:, 0] - shifts >= WIDTH)
    assert 2 < is_gone.sum() < NUM_SAMPLES - 2
    np.testing.assert_array_equal(found["box_weight"], ~is_gone)
    assert np.isfinite(found["box"]).all()
    assert found["box"].min() >= 0
    assert found["box"].max() <= 1
    assert (found["x"][is_gone] == 0).all()
    assert_boxes_follow(found, keeps_axes=True)
    other = by_sample(make(in_memory=in_memory, augmentation=far), epoch=1)  # each epoch has its own parameters
    assert not np.array_equal(other["box_weight"], found["box_weight"])


# From samples ---------------------------------------------------------------------------------------------------------

POLICY = ImagePolicy((HEIGHT, WIDTH), "grayscale", "stretch", "bilinear", True)


def make_samples() -> Samples:
    """Samples with frames twice as wide as the network's input; every fifth has no box."""
    corners = np.where((np.arange(NUM_SAMPLES) % 5 != 0)[:, None], RECTANGLES * [2, 1, 2, 1], np.nan)
    return Samples(
        names=tuple(map(str, range(NUM_SAMPLES))),
        labels=LABELS,
        digests=tuple(map(str, range(NUM_SAMPLES))),
        groups=None,
        policy=POLICY,
        pixels=PIXELS,
        annotations={"boxes": Boxes(corners, (Frame(2 * WIDTH, HEIGHT),) * NUM_SAMPLES)},
    )


def test_the_batches_of_samples_have_their_boxes_in_the_networks_input() -> None:
    found = by_sample(batches(make_samples(), batch_size=BATCH_SIZE, seed=3))
    has_box = np.arange(NUM_SAMPLES) % 5 != 0
    np.testing.assert_array_equal(found["box_weight"], has_box)
    np.testing.assert_allclose(found["box"][has_box], BOXES[has_box], atol=1e-6)
    chosen = np.array([7, 3, 10])
    some = read(batches(make_samples(), batch_size=2, chosen=chosen))
    np.testing.assert_allclose(np.concatenate([b["y"]["box"] for b in some])[:2], BOXES[[7, 3]], atol=1e-6)
    assert np.concatenate([batch["y"]["box_weight"] for batch in some]).tolist() == [1, 1, 0]


@pytest.mark.parametrize("is_small", [True, False])
@pytest.mark.parametrize("seed", [None, 3])
def test_the_batches_of_features_have_the_boxes_of_their_samples(
    is_small: bool, seed: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_small:  # they are then read like files
        monkeypatch.setattr("dlcli.tasks.images.feature_cache.MEMORY_BYTES", 0)
    features = np.random.default_rng(0).normal(size=(NUM_SAMPLES, 6)).astype(np.float32)
    data = feature_batches(features, make_samples(), batch_size=BATCH_SIZE, seed=seed)
    assert data.is_in_memory == is_small
    own = read(data, 1)
    images = read(batches(make_samples(), batch_size=BATCH_SIZE, seed=seed), 1)
    for batch, expected in zip(own, images, strict=True):
        np.testing.assert_array_equal(batch["index"], expected["index"])
        np.testing.assert_array_equal(batch["x"], features[batch["index"]])
        assert set(batch["y"]) == {"class", "box", "box_weight"}
        for name, value in batch["y"].items():
            np.testing.assert_array_equal(value, expected["y"][name])
