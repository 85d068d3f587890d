"""Masks of objects in batches: each is that of its box, whatever augmentation drops and moves."""

from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.augmentation.augmentation import Augmentation, RandomCrop
from dlcli.data.augmentation.copy_paste import CopyPaste
from dlcli.data.augmentation.mosaic import Mosaic
from dlcli.data.boxes.boxes import Frame
from dlcli.data.boxes.instance_targets import InstancesTarget
from dlcli.data.boxes.objects import ObjectBoxes
from dlcli.data.images.batches import Batches
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.resizing import Resize
from dlcli.data.images.tiles import Tiling, cut

HEIGHT, WIDTH = 40, 60
NUM_SAMPLES, MOST = 13, 4


@dataclass(frozen=True)
class Stored:
    """Masks in memory."""

    masks: np.ndarray
    digest: str = ""

    def read(self) -> np.ndarray:
        return self.masks


def scenes(**changes: Any) -> tuple[np.ndarray, ObjectBoxes]:
    """Images with from none to three L-shaped objects, which are bright in the channel of their class."""
    rng = np.random.default_rng(7)
    pixels = np.zeros((NUM_SAMPLES, HEIGHT, WIDTH, 3), np.uint8)
    corners: list[list[int]] = []
    labels: list[int] = []
    instances = []
    counts = [0]
    for i in range(NUM_SAMPLES):
        masks = np.zeros((i % MOST, HEIGHT, WIDTH), np.uint8)
        for channel, mask in enumerate(masks):
            left, top = rng.integers(0, [WIDTH - 16, HEIGHT - 16]).tolist()
            wide, high = rng.integers(8, 17, 2).tolist()
            mask[top : top + high, left : left + 3] = 1
            mask[top + high - 3 : top + high, left : left + wide] = 1
            pixels[i, mask > 0, channel] = 255
            corners.append([left, top, left + wide, top + high])
            labels.append(channel)
        instances.append(Stored(masks))
        counts.append(len(masks))
    boxes = np.array(corners, np.float64)
    none = np.zeros(len(boxes), np.bool_)
    objects = ObjectBoxes(
        corners=boxes,
        labels=np.array(labels, np.int32),
        is_crowd=none,
        is_difficult=none,
        areas=np.prod(boxes[:, 2:] - boxes[:, :2], axis=1),
        offsets=np.cumsum(counts).astype(np.int64),
        frames=(Frame(WIDTH, HEIGHT),) * NUM_SAMPLES,
        slots=MOST,
        min_visible=0.3,
        instances=tuple(instances),
    )
    return pixels, replace(objects, **changes)


def policy(size: tuple[int, int] = (HEIGHT, WIDTH), resize: Resize = "stretch") -> ImagePolicy:
    return ImagePolicy(size, "rgb", resize, "nearest", False)


def read(
    augmentation: Augmentation | None,
    epoch: int = 0,
    *,
    mosaic: Mosaic | None = None,
    copy_paste: CopyPaste | None = None,
    in_memory: bool = True,
    **changes: Any,
) -> list[dict[str, Any]]:
    pixels, objects = scenes(**changes)
    data = Batches(
        labels=np.full(NUM_SAMPLES, -1, np.int32),
        pixels=pixels if in_memory else None,
        load=lambda index: pixels[index],
        shape=(HEIGHT, WIDTH, 3),
        batch_size=6,
        targets=(objects.target(policy()),),
        seed=3,
        augmentation=augmentation,
        mosaic=mosaic,
        copy_paste=copy_paste,
    )
    compiled = tf.function(lambda source, step: data.assemble(data.element(source, step)), autograph=False)
    source = data.source(epoch)
    steps = [compiled(source, tf.constant(step, tf.int64)) for step in range(data.num_steps)]
    return [tf.nest.map_structure(np.asarray, batch) for batch in steps]


def check(batches: list[dict[str, Any]]) -> tuple[int, int]:
    """That each mask is where its object is bright; returns how many masks and objects there are."""
    num_masks = num_objects = 0
    for batch in batches:
        masks, classes = batch["y"]["masks"], batch["y"]["box_class"]
        assert (masks.dtype, masks.shape) == (np.uint8, (len(batch["index"]), MOST, HEIGHT, WIDTH))
        num_objects += int((np.asarray(batch["x"]) > 127).any(axis=(1, 2)).sum())
        for image, of_image, labels in zip(batch["x"], masks, classes, strict=True):
            for mask, label in zip(of_image, labels, strict=True):
                if label < 0:
                    assert not mask.any()
                    continue
                num_masks += 1
                bright = image[..., label] > 127
                assert (mask != bright).mean() < 0.005  # pixels at edges, which are interpolated
                assert mask.any()
    return num_masks, num_objects


def test_each_box_has_its_mask() -> None:
    batches = read(None)
    num_masks, num_objects = check(batches)
    assert num_masks == num_objects == sum(i % MOST for i in range(NUM_SAMPLES))
    for batch in batches:
        for mask, image in zip(batch["y"]["masks"].max(axis=1), batch["x"], strict=True):
            np.testing.assert_array_equal(mask, image.max(axis=-1) > 0)


def test_masks_follow_augmentation_and_dropped_boxes_have_none(still: Augmentation) -> None:
    augmentation = replace(
        still,
        horizontal_flip=True,
        vertical_flip=True,
        rotation_range=25.0,
        random_crop=RandomCrop((0.3, 0.8), (0.8, 1.25)),
    )
    num_masks, num_objects = check(read(augmentation, 1, min_visible=0.8))
    assert 5 < num_masks < num_objects  # some are dropped although a part of them is left


def test_masks_of_crowds_and_difficult_objects_are_not_loaded() -> None:
    _, objects = scenes()
    is_crowd = objects.labels == 0
    batches = read(None, is_crowd=is_crowd, slots=MOST)
    assert check(batches)[0] == int((~is_crowd).sum())
    assert not any((batch["y"]["box_class"] == 0).any() for batch in batches)


@pytest.mark.parametrize("resize", get_args(Resize))
def test_masks_are_resized_like_their_images(resize: Resize) -> None:
    """A box that is cut by the crop is around what is left of its mask."""
    _, objects = scenes(min_visible=0.0)
    target = objects.target(policy((48, 48), resize))
    assert isinstance(target, InstancesTarget)
    masks = target.load(np.arange(NUM_SAMPLES))
    rows = target.rows()
    classes, position = rows["box_class"].numpy(), rows["box_position"].numpy()
    seen = 0
    for i, slot in np.argwhere(classes >= 0).tolist():
        ys, xs = np.nonzero(masks[i, position[i, slot]])
        box = rows["boxes"].numpy()[i, slot] * 48
        if len(xs):
            assert box[0] - 1 <= xs.min()
            assert xs.max() + 1 <= box[2] + 1
            assert box[1] - 1 <= ys.min()
            assert ys.max() + 1 <= box[3] + 1
            seen += 1
    assert seen > 10


def test_tiles_show_what_their_images_show(still: Augmentation) -> None:
    """Two tiles of each image, some of which reach beyond it, also where mosaic and copy-paste compose them."""
    pixels, objects = scenes(min_visible=0.0)
    tile = (48, 32)
    target = objects.target(replace(policy(tile), overlap=0))
    assert isinstance(target, InstancesTarget)
    images = np.repeat(np.arange(NUM_SAMPLES), 2)
    corners = np.random.default_rng(0).integers(0, [1, WIDTH - 32], (len(images), 2))
    windows = np.concatenate([corners, corners, corners + tile], axis=1)

    def load(index: np.ndarray, of_tiles: np.ndarray) -> np.ndarray:
        shown = [cut(pixels[i], (top, left), tile, fill=0) for i, (top, left, *_) in zip(index, of_tiles, strict=True)]
        return np.stack(shown)

    for options in ({}, {"mosaic": Mosaic(0.7), "copy_paste": CopyPaste(0.7)}):
        data = Batches(
            labels=np.full(len(images), -1, np.int32),
            pixels=None,
            load=load,
            shape=(*tile, 3),
            batch_size=6,
            targets=(target,),
            seed=3,
            augmentation=still,
            tiling=Tiling(images, lambda epoch: windows),
            **options,  # type: ignore[arg-type]
        )
        batch = data.at(1, np.arange(len(images)))
        masks, classes = np.asarray(batch["y"]["masks"]), np.asarray(batch["y"]["box_class"])
        for image, of_image, labels in zip(np.asarray(batch["x"]), masks, classes, strict=True):
            for label in range(3):
                inside = of_image[labels == label].any(axis=0)
                assert (inside != (image[..., label] > 127)).mean() < 0.03  # edges of parts, which are interpolated
        assert 0.3 * masks.any(axis=1).sum() < load(images, windows).any(axis=-1).sum()


def test_taking_samples_takes_their_masks() -> None:
    _, objects = scenes()
    index = np.array([7, 2, 7, 4])
    whole, taken = objects.target(policy()), objects.target(policy()).take(index)
    again = objects.take(index).target(policy())
    for target in (whole, taken, again):
        assert isinstance(target, InstancesTarget)
    assert isinstance(whole, InstancesTarget)
    assert isinstance(taken, InstancesTarget)
    assert isinstance(again, InstancesTarget)
    np.testing.assert_array_equal(taken.load(np.arange(4)), whole.load(index))
    np.testing.assert_array_equal(again.load(np.arange(4)), whole.load(index))
    np.testing.assert_array_equal(taken.rows()["box_class"], whole.rows()["box_class"].numpy()[index])


def test_masks_that_are_kept_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _, objects = scenes()
    target = objects.target(policy())
    assert isinstance(target, InstancesTarget)
    kept, index = target.kept(2**20), np.array([7, 2, 0, 4])
    expected = target.load(index)
    np.testing.assert_array_equal(kept.load(index), expected)
    monkeypatch.setattr(Stored, "read", None)
    np.testing.assert_array_equal(kept.load(index), expected)


def test_a_change_of_a_mask_changes_the_digest_of_its_image() -> None:
    _, objects = scenes()
    assert objects.instances is not None
    changed = replace(objects, instances=(Stored(np.zeros(1), "other"), *objects.instances[1:]))
    one, other = objects.columns()["objects_digest"], changed.columns()["objects_digest"]
    assert one[0] != other[0]
    assert one[1:] == other[1:]


@pytest.mark.parametrize("kinds", ["mosaic", "copy_paste", "both"])
def test_masks_follow_images_that_are_composed(still: Augmentation, kinds: str) -> None:
    """All objects of a class together cover what is bright in the channel of the class."""
    turned = replace(still, horizontal_flip=True, rotation_range=20.0)
    options: dict[str, Any] = {
        "mosaic": None if kinds == "copy_paste" else Mosaic(0.7),
        "copy_paste": None if kinds == "mosaic" else CopyPaste(0.7),
        "min_visible": 0.0,
    }
    batches = read(turned, 1, **options)
    slots = MOST * (1 if kinds == "copy_paste" else 4) * (1 if kinds == "mosaic" else 2)
    numbers = []
    for batch in batches:
        masks, classes, boxes = (batch["y"][name] for name in ("masks", "box_class", "boxes"))
        assert masks.shape == (len(batch["index"]), slots, HEIGHT, WIDTH)
        numbers += (classes >= 0).sum(axis=1).tolist()
        for image, of_image, labels, own in zip(batch["x"], masks, classes, boxes, strict=True):
            for label in range(3):
                inside = of_image[labels == label].any(axis=0)
                assert (inside != (image[..., label] > 127)).mean() < 0.03  # pixels at edges, which are interpolated
            for mask, box in zip(of_image[labels >= 0], own[labels >= 0], strict=True):
                rows, columns = np.nonzero(mask)
                if len(rows) > 8:
                    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                    outside = np.array(
                        [*(box[:2] - found[:2] / [WIDTH, HEIGHT]), *(found[2:] / [WIDTH, HEIGHT] - box[2:])]
                    )
                    assert outside.max() < 0.05  # the mask is in its box
    assert max(numbers) > MOST
    if kinds != "mosaic":
        partners = CopyPaste(0.7).draw(seed=3, epoch=1, num=NUM_SAMPLES, slots=0).partners
        for batch in batches:
            is_alone = partners[batch["index"]] == batch["index"]
            assert (batch["y"]["box_class"][is_alone, slots // 2 :] == -1).all()
    for one, other in zip(batches, read(turned, 1, in_memory=False, **options), strict=True):
        for name in ("x", "masks", "box_class", "boxes"):
            np.testing.assert_array_equal({**one, **one["y"]}[name], {**other, **other["y"]}[name])
