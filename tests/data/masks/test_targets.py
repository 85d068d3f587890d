"""Masks in batches: they are resized, warped and cut like their images, and read batch by batch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlcli.data.augmentation.affine import warp_nearest
from dlcli.data.augmentation.augmentation import Augmentation, RandomCrop
from dlcli.data.augmentation.mixup import Mixing
from dlcli.data.images.batches import Batches
from dlcli.data.images.decoding import ImagePolicy, read_image
from dlcli.data.images.resizing import placement
from dlcli.data.masks.coding import IGNORED, by_index
from dlcli.data.masks.masks import MaskArray, MaskFile, Masks
from dlcli.data.masks.resizing import resize_mask, restore_mask, restore_scores
from dlcli.data.splits import NO_LABEL
from dlcli.errors import InputError

NUM, HEIGHT, WIDTH = 11, 18, 24
POLICY = ImagePolicy((HEIGHT, WIDTH), "grayscale", "stretch", "bilinear", True)
OFF = Augmentation(
    rotation_range=0.0,
    width_shift_range=0.0,
    height_shift_range=0.0,
    brightness_range=None,
    shear_range=0.0,
    zoom_range=(1.0, 1.0),
    channel_shift_range=0.0,
    fill_mode="constant",
    cval=250.0,
    horizontal_flip=False,
    vertical_flip=False,
    random_crop=None,
    color_jitter=None,
    random_erasing=None,
    rand_augment=None,
)
MOVED = replace(OFF, rotation_range=30.0, zoom_range=(0.7, 1.3), horizontal_flip=True, width_shift_range=0.2)


def blocks() -> np.ndarray:
    """Masks [n, height, width] of 4 classes in blocks of 6x6 pixels."""
    rng = np.random.default_rng(0)
    return np.kron(rng.integers(0, 4, (NUM, HEIGHT // 6, WIDTH // 6)), np.ones((1, 6, 6), int)).astype(np.uint8)


MASKS = blocks()
PIXELS = (MASKS * 60)[..., None]  # an image from which each pixel's class can be read


def in_files(folder: Path) -> Masks:
    masks = []
    for number, mask in enumerate(MASKS):
        path = folder / f"{number}.png"
        Image.fromarray(mask).save(path)
        masks.append(MaskFile(path.name, path, by_index("abcd")))
    return Masks(tuple(masks))


IN_MEMORY = Masks(tuple(MaskArray(f"mask {number}", mask) for number, mask in enumerate(MASKS)))


def make(masks: Masks, *, in_memory: bool = True, **options: Any) -> Batches:
    return Batches(
        labels=np.full(NUM, NO_LABEL),
        pixels=PIXELS if in_memory else None,
        load=lambda index: PIXELS[index],
        shape=(HEIGHT, WIDTH, 1),
        batch_size=4,
        targets=(masks.target(POLICY),),
        **{"seed": 3, **options},
    )


def read(data: Batches, epoch: int = 0) -> list[dict[str, Any]]:
    compiled = tf.function(lambda source, step: data.assemble(data.element(source, step)), autograph=False)
    source = data.source(epoch)
    steps = range(data.num_steps)
    return [tf.nest.map_structure(np.asarray, compiled(source, tf.constant(step, tf.int64))) for step in steps]


@pytest.mark.parametrize("in_memory", [True, False])
def test_batches_of_masks_in_files_and_in_memory(tmp_path: Path, in_memory: bool) -> None:
    for masks in (IN_MEMORY, in_files(tmp_path)):
        batches = read(make(masks, in_memory=in_memory))
        assert sum(len(batch["index"]) for batch in batches) == NUM
        for batch in batches:
            assert batch["y"]["mask"].dtype == np.uint8
            assert np.array_equal(batch["y"]["mask"], MASKS[batch["index"]])


def test_masks_that_are_kept_are_read_once(tmp_path: Path) -> None:
    masks = in_files(tmp_path)
    data = make(masks)
    data.keep_targets(2**20)
    for _ in range(2):
        for batch in read(data):
            assert np.array_equal(batch["y"]["mask"], MASKS[batch["index"]])
        for mask in masks.masks:  # the second time without the files
            (tmp_path / mask.name).unlink(missing_ok=True)
    taken = masks.target(POLICY).kept(2**20).take(np.array([1]))
    with pytest.raises(InputError):  # what is kept is by position
        taken.load(np.array([0]))


def test_tiles_are_cut_from_masks_that_are_kept(tmp_path: Path) -> None:
    tiles = replace(POLICY, image_size=(12, 12), overlap=4)
    target = in_files(tmp_path).target(tiles).kept(2**20)
    index, windows = np.array([2, 0]), np.array([[6, 6, 6, 6, 18, 18], [0, 0, 0, 0, 12, 12]])
    (loader,) = target.loaders().values()
    first = loader.load(index, windows)
    for path in tmp_path.iterdir():
        path.unlink()
    assert np.array_equal(first, [MASKS[2, 6:18, 6:18], MASKS[0, :12, :12]])
    assert np.array_equal(loader.load(index[::-1], windows), [MASKS[0, 6:18, 6:18], MASKS[2, :12, :12]])


def test_masks_follow_the_warp_of_their_images(tmp_path: Path) -> None:
    for masks in (IN_MEMORY, in_files(tmp_path)):
        for batch in read(make(masks, augmentation=MOVED)):
            mask, image = batch["y"]["mask"], batch["x"][..., 0]
            whole = np.isclose(image, mask * 60.0, atol=1e-3)
            ignored = mask == IGNORED
            assert ignored.any()
            # pixels between two classes are blends in the image; inside of a class both are the same
            inside = np.isin(np.rint(image), [0, 60, 120, 180]) & ~ignored
            assert whole[inside].mean() > 0.97
            assert (image[ignored] > 180).mean() > 0.8  # what fills the image is ignored in the mask


def test_epochs_differ_and_are_the_same_again() -> None:
    first, again, other = (read(make(IN_MEMORY, augmentation=MOVED), epoch) for epoch in (0, 0, 1))
    assert all(np.array_equal(a["y"]["mask"], b["y"]["mask"]) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a["y"]["mask"], b["y"]["mask"]) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", ["horizontal_flip", "vertical_flip"])
def test_a_flip_twice_is_the_identity(name: str) -> None:
    augmentation = replace(OFF, **{name: True})
    parameters = augmentation.draw(seed=0, epoch=0, num=NUM, height=HEIGHT, width=WIDTH)
    maps = tf.constant(augmentation.maps(parameters, height=HEIGHT, width=WIDTH)[:, :2].reshape(-1, 6), tf.float32)  # type: ignore[index]
    once = warp_nearest(tf.constant(MASKS), maps, outside=IGNORED)
    is_flipped = next(iter(parameters.values()))
    assert is_flipped.any()
    axis = 2 if name == "horizontal_flip" else 1
    assert np.array_equal(once, np.where(is_flipped[:, None, None], np.flip(MASKS, axis), MASKS))
    assert np.array_equal(warp_nearest(once, maps, outside=IGNORED), MASKS)


def test_whole_shifts_move_every_pixel_and_ignore_the_rest() -> None:
    maps = tf.constant([[1.0, 0, 3, 0, 1, -2]] * NUM)  # samples 3 columns further right and 2 rows further up
    moved = warp_nearest(tf.constant(MASKS), maps, outside=IGNORED).numpy()
    assert np.array_equal(moved[:, 2:, :-3], MASKS[:, :-2, 3:])
    assert (moved[:, :2] == IGNORED).all()
    assert (moved[:, :, -3:] == IGNORED).all()


def test_random_crops_have_no_outside() -> None:
    augmentation = replace(OFF, random_crop=RandomCrop(area=(0.3, 0.9), aspect=(0.7, 1.4)))
    for batch in read(make(IN_MEMORY, augmentation=augmentation)):
        assert batch["y"]["mask"].max() < 4


def test_cutmix_copies_the_partners_classes() -> None:
    data = make(IN_MEMORY, mixing=Mixing(None, 1.0))
    changed = 0
    for batch in read(data):
        assert np.array_equal(batch["x"][..., 0], batch["y"]["mask"] * 60.0)
        changed += int((batch["y"]["mask"] != MASKS[batch["index"]]).sum())
    assert changed


@pytest.mark.parametrize("mixing", [Mixing(0.2, None), Mixing(0.2, 1.0)])
def test_mixup_is_refused_with_the_reason(mixing: Mixing) -> None:
    with pytest.raises(TypeError, match="a pixel belongs to two classes"):
        read(make(IN_MEMORY, mixing=mixing))


def test_a_mask_that_has_changed_is_named(tmp_path: Path) -> None:
    masks = in_files(tmp_path)
    checked = masks.with_digests(["0" * 16] * NUM, by_index("abcd"), np.zeros((NUM, 5), np.int64))
    data = make(checked)
    with pytest.raises(Exception, match="its content has changed"):
        read(data)
    assert isinstance(data.failure, InputError)
    (tmp_path / "1.png").unlink()
    with pytest.raises(InputError, match=r"1\.png: no such file\. It was modified or removed"):
        masks.masks[1].read()
    with pytest.raises(InputError, match="values that are not declared: 3"):
        replace(masks.masks[0], coding=by_index("abc")).read()  # type: ignore[type-var]


def test_an_annotation_is_taken_and_listed(tmp_path: Path) -> None:
    counts = np.arange(NUM * 5).reshape(NUM, 5)
    masks = in_files(tmp_path).with_digests([f"{i:016}" for i in range(NUM)], by_index("abcd"), counts)
    part = masks.take(np.array([3, 1]))
    assert len(part) == 2
    assert dict(part.columns()) == {"mask": ["3.png", "1.png"], "mask_digest": [f"{3:016}", f"{1:016}"]}
    assert part.counts is not None
    assert part.counts.tolist() == [counts[3].tolist(), counts[1].tolist()]
    assert IN_MEMORY.columns()["mask_digest"][0] != IN_MEMORY.columns()["mask_digest"][1]


# Resizing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_masks_are_resized_like_their_images(tmp_path: Path, resize: Any) -> None:
    """Large regions are in the same places as in an image that shows them."""
    mask = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((20, 20), np.uint8))
    Image.fromarray(mask * 20).save(tmp_path / "image.png")
    policy = ImagePolicy((50, 50), "grayscale", resize, "nearest", False)
    image = read_image(tmp_path / "image.png", policy=policy)[..., 0]
    resized = resize_mask(mask, policy)
    assert resized.shape == (50, 50)
    inside = resized != IGNORED
    assert np.array_equal(resized[inside] * 20, image[inside])
    assert inside.all() == (resize != "pad")
    if resize == "pad":
        assert inside.any(axis=1).sum() == 38  # 60 * 50 / 80, rounded
        assert (resized[:6] == IGNORED).all()


def test_masks_of_other_interpolation_are_in_the_same_places(tmp_path: Path) -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[13:41, 22:60] = 1
    Image.fromarray(mask * 255).save(tmp_path / "image.png")
    for resize in ("stretch", "crop", "pad"):
        policy = ImagePolicy((33, 47), "grayscale", resize, "bilinear", True)  # type: ignore[arg-type]
        image = read_image(tmp_path / "image.png", policy=policy)[..., 0]
        resized = resize_mask(mask, policy)
        for axis in (0, 1):  # the centers of the object
            places = np.arange(resized.shape[axis])
            ours, theirs = (values.sum(axis=1 - axis).astype(float) for values in (resized == 1, image))
            assert (places @ ours) / ours.sum() == pytest.approx((places @ theirs) / theirs.sum(), abs=0.3)


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_masks_are_restored_to_the_size_of_their_images(resize: Any) -> None:
    mask = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((20, 20), np.uint8))
    policy = ImagePolicy((120, 120), "grayscale", resize, "bilinear", True)
    restored = restore_mask(resize_mask(mask, policy), 60, 80, policy)
    is_cut = restored == IGNORED
    assert np.array_equal(restored[~is_cut], mask[~is_cut])
    assert is_cut.sum() == (60 * 20 if resize == "crop" else 0)


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_scores_are_restored_to_the_places_of_their_images(resize: Any) -> None:
    """A map whose values are its own places becomes the places of the image's pixels."""
    policy = ImagePolicy((120, 96), "grayscale", resize, "bilinear", True)
    x_scale, y_scale, left, top = placement(80, 60, (120, 96), resize)
    rows, columns = np.indices((120, 96), np.float32)
    scores = np.stack([columns, rows], axis=2)
    restored = restore_scores(scores, 60, 80, policy)
    assert restored.shape == (60, 80, 2)
    x, y = (np.arange(80) + 0.5) * x_scale + left - 0.5, (np.arange(60) + 0.5) * y_scale + top - 0.5
    inside = np.s_[1:-1, 1:-1] if resize != "crop" else np.s_[1:-1, (x > 0) & (x < 95)]
    expected = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=2)
    assert np.allclose(restored[inside], expected[inside], atol=1e-4)


def test_padding_has_no_influence_on_restored_scores() -> None:
    policy = ImagePolicy((40, 40), "grayscale", "pad", "bilinear", True)
    scores = np.full((40, 40, 1), 7.0, np.float32)
    scores[10:30] = 1  # an image of 80x40 pixels is shown in these rows
    assert np.array_equal(restore_scores(scores, 40, 80, policy), np.ones((40, 80, 1)))
