"""Augmentation: ImageDataGenerator's images for the same parameters, and random parameters that can be repeated."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from dlcli.data.augmentation.affine import FillMode
from dlcli.data.augmentation.augmentation import Augmentation, ColorJitter, RandAugment, RandomCrop, RandomErasing

OFF = Augmentation(
    rotation_range=0.0,
    width_shift_range=0.0,
    height_shift_range=0.0,
    brightness_range=None,
    shear_range=0.0,
    zoom_range=(1.0, 1.0),
    channel_shift_range=0.0,
    fill_mode="nearest",
    cval=0.0,
    horizontal_flip=False,
    vertical_flip=False,
    random_crop=None,
    color_jitter=None,
    random_erasing=None,
    rand_augment=None,
)
MANY = replace(
    OFF,
    rotation_range=40.0,
    width_shift_range=0.2,
    height_shift_range=0.2,
    shear_range=20.0,
    zoom_range=(0.8, 1.2),
    channel_shift_range=30.0,
    horizontal_flip=True,
    vertical_flip=True,
)


def images(num: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """Smooth random images, uint8: interpolated noise would hide errors."""
    noise = np.random.default_rng(0).uniform(0, 255, (num, height, width, channels))
    return np.asarray(scipy.ndimage.gaussian_filter(noise, (0, 2, 2, 0)) * 3 % 256).astype(np.uint8)


def augmented(augmentation: Augmentation, pixels: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
    """The images augmented with given parameters, one row for each image."""
    height, width = pixels.shape[1:3]
    tensors = augmentation.to_tensors(parameters, height=height, width=width)
    return np.asarray(compiled(augmentation)(tf.constant(pixels), tensors))


@functools.cache
def compiled(augmentation: Augmentation) -> Callable[..., tf.Tensor]:
    """The augmentation as one graph, which takes long to trace."""
    return tf.function(augmentation.apply, autograph=False)


def drawn(augmentation: Augmentation, num: int, **options: Any) -> dict[str, np.ndarray]:
    known = {"seed": 1, "epoch": 0, "height": 20, "width": 30, **options}
    return augmentation.draw(num=num, **known)


of_keras = pytest.mark.filterwarnings(
    "ignore:Please import `affine_transform`:DeprecationWarning"
)  # Keras's own deprecated import


# ImageDataGenerator ---------------------------------------------------------------------------------------------------

NAMES = ("theta", "tx", "ty", "shear", "zx", "zy", "flip_horizontal", "flip_vertical", "channel_shift_intensity")


def generated(pixels: np.ndarray, parameters: dict[str, Any], fill_mode: str, cval: float = 0.0) -> np.ndarray:
    """The images augmented by Keras's ImageDataGenerator with the same parameters."""
    generator = tf.keras.preprocessing.image.ImageDataGenerator(fill_mode=fill_mode, cval=cval)
    rows = [{name: values[i] for name, values in parameters.items()} for i in range(len(pixels))]
    made = [generator.apply_transform(x.astype(np.float32), row) for x, row in zip(pixels, rows, strict=True)]
    return np.stack(made)


@of_keras
@pytest.mark.parametrize("fill_mode", ["nearest", "reflect"])
@pytest.mark.parametrize("side", [17, 64])
def test_the_images_are_those_of_image_data_generator(fill_mode: FillMode, side: int) -> None:
    pixels = images(40, side, side)
    parameters = drawn(MANY, 40, height=side, width=side)
    assert set(parameters) == set(NAMES)
    ours = augmented(replace(MANY, fill_mode=fill_mode), pixels, parameters)
    theirs = generated(pixels, parameters, fill_mode)
    assert np.abs(ours - theirs).max() < 0.02
    assert np.abs(ours - pixels).mean() > 10


@of_keras
@pytest.mark.parametrize("name", NAMES)
def test_each_transform_alone(name: str) -> None:
    pixels = images(8, 32, 32, 1)
    parameters = {name: drawn(MANY, 8, height=32, width=32)[name]}
    ours = augmented(MANY, pixels, parameters)
    assert np.abs(ours - generated(pixels, parameters, "nearest")).max() < 0.02
    assert np.abs(ours - pixels).max() > 5


@of_keras
def test_constant_fill_in_the_interior() -> None:
    pixels = images(20, 40, 40)
    parameters = drawn(replace(MANY, channel_shift_range=0.0), 20, height=40, width=40)
    ours = augmented(replace(MANY, fill_mode="constant", cval=77.0), pixels, parameters)
    theirs = generated(pixels, parameters, "constant", 77.0)
    outside = np.abs(ours - 77.0) < 1e-3
    assert 0.05 < outside.mean() < 0.6
    at_edge = np.abs(ours - theirs) > 0.02  # where scipy jumps to cval and dlcli interpolates
    assert at_edge.mean() < 0.06
    away = scipy.ndimage.binary_erosion(~outside, np.ones((1, 5, 5, 1)))
    assert away.mean() > 0.2
    assert np.abs(ours - theirs)[away].max() < 0.02


def test_wrap_is_periodic() -> None:
    pixels = images(6, 24, 24, 1)
    parameters = drawn(replace(MANY, channel_shift_range=0.0), 6, height=24, width=24)
    ours = augmented(replace(MANY, fill_mode="wrap"), pixels, parameters)
    maps = MANY.maps(parameters, height=24, width=24)
    assert maps is not None
    swap = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # scipy's coordinates start with the row
    for image, made, found in zip(pixels, maps, ours, strict=True):
        by_rows = swap @ made @ swap
        expected = scipy.ndimage.affine_transform(
            image[..., 0].astype(np.float32), by_rows[:2, :2], by_rows[:2, 2], order=1, mode="grid-wrap"
        )
        assert np.abs(found[..., 0] - expected).max() < 0.02


def test_brightness_is_not_rounded() -> None:
    pixels = images(5, 10, 10)
    parameters = {"brightness": np.array([0.0, 0.333, 1.0, 1.7, 3.0])}
    ours = augmented(OFF, pixels, parameters)
    expected = np.clip(pixels * parameters["brightness"][:, None, None, None], 0, 255)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    assert np.abs(ours - generated(pixels, parameters, "nearest")).max() < 1.001  # which truncates to 8 bits


def test_a_width_shift_moves_columns_and_a_height_shift_rows() -> None:
    """As documented for ImageDataGenerator; in Keras 3.15 the two ranges are swapped."""
    pixels = images(9, 12, 30)
    wide = replace(OFF, width_shift_range=5)
    parameters = drawn(wide, 9, height=12, width=30)
    assert set(parameters) == {"tx"}
    ours = augmented(wide, pixels, parameters)
    for image, made, moved in zip(pixels, ours, parameters["tx"].astype(int), strict=True):
        columns = np.clip(np.arange(30) + moved, 0, 29)
        np.testing.assert_allclose(made, image[:, columns], atol=1e-3)
    assert set(drawn(replace(OFF, height_shift_range=0.3), 9)) == {"ty"}


def test_non_square_images_rotate_about_their_center() -> None:
    pixels = images(1, 20, 31)
    half = augmented(OFF, pixels, {"theta": np.array([180.0])})
    np.testing.assert_allclose(half, pixels[:, ::-1, ::-1], atol=0.02)


# Drawing --------------------------------------------------------------------------------------------------------------


def test_parameters_depend_on_seed_epoch_and_sample_alone() -> None:
    few, many = drawn(MANY, 5), drawn(MANY, 5000)
    for name in few:
        np.testing.assert_array_equal(few[name], many[name][:5])
        assert not np.array_equal(many[name], drawn(MANY, 5000, epoch=1)[name])
        assert not np.array_equal(many[name], drawn(MANY, 5000, seed=2)[name])
    alone = drawn(replace(OFF, rotation_range=40.0), 5)
    np.testing.assert_array_equal(alone["theta"], few["theta"])  # whatever else is enabled


def test_parameters_fill_their_ranges() -> None:
    found = drawn(replace(MANY, brightness_range=(0.5, 2.0)), 20_000)
    for name, low, high in (
        ("theta", -40, 40),
        ("tx", -0.2 * 30, 0.2 * 30),
        ("ty", -0.2 * 20, 0.2 * 20),
        ("shear", -20, 20),
        ("zx", 0.8, 1.2),
        ("zy", 0.8, 1.2),
        ("channel_shift_intensity", -30, 30),
        ("brightness", 0.5, 2.0),
    ):
        values = found[name]
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < 0.02 * (high - low)
    assert abs(found["flip_horizontal"].mean() - 0.5) < 0.02
    assert abs(np.corrcoef(found["zx"], found["zy"])[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("shift_range", "expected"),
    [
        (3, {-2.0, -1.0, 0.0, 1.0, 2.0}),
        ((-7.0, 1.0, 4.0), {-7.0, 1.0, 4.0}),
        ((-0.5, 0.0, 0.1), {-15.0, 0.0, 3.0}),
    ],
)
def test_shifts_from_given_values(shift_range: Any, expected: set[float]) -> None:
    assert set(drawn(replace(OFF, width_shift_range=shift_range), 500)["tx"].tolist()) == expected


def test_shifts_in_pixels() -> None:
    values = drawn(replace(OFF, width_shift_range=2.5), 5000)["tx"]
    assert -2.5 <= values.min() < -2.4
    assert 2.4 < values.max() <= 2.5


def test_nothing_is_drawn_for_disabled_transforms() -> None:
    assert drawn(OFF, 5) == {}
    pixels = images(2, 8, 8)
    np.testing.assert_array_equal(augmented(OFF, pixels, {}), pixels)


# Beyond ImageDataGenerator --------------------------------------------------------------------------------------------


def test_a_crop_fills_the_image() -> None:
    pixels = images(1, 40, 60)
    crop = replace(OFF, random_crop=RandomCrop((0.2, 0.5), (0.5, 2.0)))
    boxes = drawn(crop, 3000, height=40, width=60)["crop"]
    left, top, right, bottom = boxes.T
    assert left.min() >= 0
    assert top.min() >= 0
    assert right.max() <= 60 + 1e-9
    assert bottom.max() <= 40 + 1e-9
    area = (right - left) * (bottom - top) / (40 * 60)
    assert 0.2 - 1e-6 <= area.min() < 0.21
    assert 0.49 < area.max() <= 0.5 + 1e-6
    half = augmented(crop, pixels, {"crop": np.array([[0.0, 0.0, 30.0, 20.0]])})  # the upper left quarter
    by_pillow = np.kron(pixels[0, :20, :30].astype(np.float32), np.ones((2, 2, 1)))
    assert np.abs(half[0] - by_pillow).mean() < 6
    np.testing.assert_allclose(half[0, 1::2, 1::2][:-1, :-1], 0.25 * by_corner(pixels[0, :20, :30]), atol=0.02)


def by_corner(image: np.ndarray) -> np.ndarray:
    """Weights of 9, 3, 3 and 1 sixteenths for four neighbors: bilinear at a quarter of a pixel."""
    p = image.astype(np.float32)
    return np.asarray((9 * p[:-1, :-1] + 3 * p[1:, :-1] + 3 * p[:-1, 1:] + p[1:, 1:]) / 4)


def test_color_jitter_against_pillow() -> None:
    from PIL import Image, ImageEnhance

    pixels = images(1, 16, 16)
    image = Image.fromarray(pixels[0])
    for name, enhance in (
        ("brightness", ImageEnhance.Brightness),
        ("saturation", ImageEnhance.Color),
        ("contrast", ImageEnhance.Contrast),
    ):
        for factor in (0.4, 1.6):
            ours = augmented(OFF, pixels, {f"jitter_{name}": np.array([factor])})
            assert np.abs(ours[0] - np.asarray(enhance(image).enhance(factor), np.float32)).max() < 1.8, name
    turned = augmented(OFF, pixels, {"jitter_hue": np.array([1 / 3])})
    np.testing.assert_allclose(turned[0], np.roll(pixels[0], 1, axis=-1), atol=0.1)  # red becomes green


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.05, 0.3])
def test_the_hue_against_tensorflow(turn: float) -> None:
    gray = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), 3, axis=-1)
    pixels = np.concatenate([images(3, 16, 16), gray])
    ours = augmented(OFF, pixels, {"jitter_hue": np.full(4, turn)})
    hsv = tf.image.rgb_to_hsv(pixels / 255.0)
    turned = tf.image.hsv_to_rgb(tf.stack([(hsv[..., 0] + turn) % 1.0, hsv[..., 1], hsv[..., 2]], axis=-1))
    np.testing.assert_allclose(ours, np.asarray(turned) * 255, atol=0.01)


def test_hue_is_computed_on_the_warped_image() -> None:
    """XLA may compute a pixel twice and round it differently: a hue that depends on equality then jumps."""
    pixels = images(64, 32, 32)
    shift = np.full(64, 0.3)
    moved = augmented(OFF, pixels, {"tx": shift})
    hsv = tf.image.rgb_to_hsv(moved / 255.0)
    turned = tf.image.hsv_to_rgb(tf.stack([(hsv[..., 0] + 0.05) % 1.0, hsv[..., 1], hsv[..., 2]], axis=-1))
    both = augmented(OFF, pixels, {"tx": shift, "jitter_hue": np.full(64, 0.05)})
    np.testing.assert_allclose(both, np.asarray(turned) * 255, atol=0.05)


def test_color_jitter_draws_only_enabled_factors() -> None:
    found = drawn(replace(OFF, color_jitter=ColorJitter(0.4, 0.0, 1.5, 0.1)), 2000)
    assert set(found) == {"jitter_brightness", "jitter_saturation", "jitter_hue"}
    assert found["jitter_brightness"].min() >= 0.6
    assert found["jitter_saturation"].min() >= 0
    assert found["jitter_hue"].max() <= 0.1


def test_random_erasing() -> None:
    erasing = replace(OFF, random_erasing=RandomErasing(0.3, (0.1, 0.3), (0.5, 2.0), 9.0))
    parameters = drawn(erasing, 2000, height=40, width=40)
    pixels = np.full((2000, 40, 40, 1), 200, np.uint8)
    ours = augmented(erasing, pixels, parameters)
    assert set(np.unique(ours)) == {9.0, 200.0}
    share = (ours == 9.0).mean(axis=(1, 2, 3))
    assert abs((share > 0).mean() - 0.3) < 0.04
    assert share[share > 0].min() > 0.08
    assert share.max() < 0.33


def test_rand_augment_draws_every_transform_and_moves_and_colors_images() -> None:
    from dlcli.data.augmentation.rand_augment import TRANSFORMS

    randomly = replace(OFF, rand_augment=RandAugment(2, 9))
    parameters = drawn(randomly, 3000)
    assert parameters["transforms"].shape == (3000, 2)
    shares = np.bincount(parameters["transforms"].ravel(), minlength=len(TRANSFORMS)) / 6000
    assert np.abs(shares - 1 / 14).max() < 0.015
    pixels = images(14, 20, 30)
    for name in TRANSFORMS:
        rows = {"transforms": np.full((14, 2), TRANSFORMS.index(name)), "signs": np.ones((14, 2), np.float32)}
        ours = augmented(randomly, pixels, rows)
        assert np.isfinite(ours).all()
        assert ours.min() >= 0
        assert ours.max() <= 255
        assert (np.abs(ours - pixels).max() > 0.5) == (name != "identity"), name


@pytest.mark.parametrize("name", ["posterize", "solarize", "auto_contrast", "equalize"])
def test_rand_augment_against_pillow(name: str) -> None:
    from PIL import Image, ImageOps

    from dlcli.data.augmentation import rand_augment

    pixels = images(1, 30, 30)[0]
    pillow_image = Image.fromarray(pixels)
    expected = {
        "posterize": lambda: ImageOps.posterize(pillow_image, 6),
        "solarize": lambda: ImageOps.solarize(pillow_image, 128),
        "auto_contrast": lambda: ImageOps.autocontrast(pillow_image),
        "equalize": lambda: ImageOps.equalize(pillow_image),
    }[name]()
    image = tf.constant(pixels, tf.float32)
    transform = getattr(rand_augment, name)
    ours = transform(image, tf.constant(0.5)) if name in ("posterize", "solarize") else transform(image)
    tolerance = 1.0 if name == "auto_contrast" else 0.0  # Pillow truncates to 8 bits
    assert np.abs(np.asarray(ours) - np.asarray(expected, np.float32)).max() <= tolerance
