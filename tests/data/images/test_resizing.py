import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.resizing import FILTERS, Interpolation, resize_image

INTERPOLATIONS: tuple[Interpolation, ...] = ("nearest", "bilinear", "bicubic", "lanczos")


def noise(height: int, width: int, channels: int = 3) -> Image.Image:
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def pixels_of(image: Image.Image, **options: object) -> np.ndarray:
    settings = {"resize": "stretch", "interpolation": "bilinear", "antialias": True, **options}
    return np.asarray(resize_image(image, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_stretch_scales_each_side(interpolation: Interpolation) -> None:
    image = noise(30, 50)
    expected = image.resize((20, 40), FILTERS[interpolation])
    assert np.array_equal(pixels_of(image, image_size=(40, 20), interpolation=interpolation), np.asarray(expected))


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_an_image_of_the_size_is_unchanged(resize: str, antialias: bool, interpolation: str) -> None:
    image = noise(13, 17)
    options = {"resize": resize, "antialias": antialias, "interpolation": interpolation}
    assert np.array_equal(pixels_of(image, image_size=(13, 17), **options), np.asarray(image))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("antialias", [True, False])
def test_crop_cuts_the_center(interpolation: str, antialias: bool) -> None:
    image = noise(10, 20)
    options = {"resize": "crop", "interpolation": interpolation, "antialias": antialias}
    assert np.array_equal(pixels_of(image, image_size=(10, 10), **options), np.asarray(image)[:, 5:15])
    assert np.array_equal(pixels_of(image, image_size=(6, 20), **options), np.asarray(image)[2:8])


def test_crop_scales_until_the_image_covers_the_size() -> None:
    image = noise(30, 60)
    expected = image.resize((40, 20), Image.Resampling.BILINEAR).crop((10, 0, 30, 20))
    assert np.array_equal(pixels_of(image, image_size=(20, 20), resize="crop"), np.asarray(expected))
    assert pixels_of(noise(3, 1000), image_size=(7, 5), resize="crop").shape == (7, 5, 3)


def test_pad_centers_the_image_on_black() -> None:
    image = noise(30, 60)
    padded = pixels_of(image, image_size=(20, 20), resize="pad")
    assert np.array_equal(padded[5:15], np.asarray(image.resize((20, 10), Image.Resampling.BILINEAR)))
    assert not padded[:5].any()
    assert not padded[15:].any()
    assert pixels_of(noise(1, 1000), image_size=(5, 5), resize="pad")[2].any()  # at least one line remains


def test_antialiasing_averages_all_covered_pixels() -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 0, 0, 255], np.uint8), (16, 8)))  # every fourth column is white
    averaged = pixels_of(stripes, image_size=(4, 8), antialias=True)
    sampled = pixels_of(stripes, image_size=(4, 8), antialias=False)
    assert (np.abs(averaged[:, 1:-1].astype(int) - 64) <= 8).all()
    assert (sampled == 0).all()  # the two pixels in the middle of each four are black


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sampling_at_pixel_centers_picks_the_pixels(interpolation: str, channels: int) -> None:
    image = noise(27, 15, channels)
    sampled = pixels_of(image, image_size=(9, 5), interpolation=interpolation, antialias=False)
    assert np.array_equal(sampled, np.asarray(image)[1::3, 1::3])


def test_bilinear_sampling_is_linear_interpolation() -> None:
    image = noise(37, 53, 1)
    height, width = 11, 20
    rows = (np.arange(height) + 0.5) * 37 / height - 0.5
    columns = (np.arange(width) + 0.5) * 53 / width - 0.5
    lines = np.stack([np.interp(columns, np.arange(53), line) for line in np.asarray(image)])
    expected = np.stack([np.interp(rows, np.arange(37), line) for line in lines.T], axis=1)
    sampled = pixels_of(image, image_size=(height, width), antialias=False)
    assert np.abs(sampled - expected).max() <= 0.501  # rounded, not truncated


def test_bicubic_sampling_has_keys_kernel() -> None:
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:, 7] = 160
    sampled = pixels_of(Image.fromarray(pixels), image_size=(8, 8), interpolation="bicubic", antialias=False)
    # Between two pixels the weights are -1/16, 9/16, 9/16, -1/16; the -10 right of the line is clipped to 0.
    assert sampled[4].tolist() == [0, 0, 0, 90, 0, 0, 0, 0]
    pixels[:] = 160
    pixels[:, 7] = 0
    sampled = pixels_of(Image.fromarray(pixels), image_size=(8, 8), interpolation="bicubic", antialias=False)
    assert sampled[4].tolist() == [160, 160, 160, 70, 170, 160, 160, 160]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_sampling_agrees_with_pillow_when_enlarging(interpolation: str) -> None:
    line = noise(1, 23, 1)
    tall = Image.fromarray(np.repeat(np.asarray(line), 9, axis=0))
    expected = line.resize((61, 1), FILTERS[interpolation])  # type: ignore[index]
    sampled = pixels_of(tall, image_size=(3, 61), interpolation=interpolation, antialias=False)
    assert np.abs(sampled.astype(int) - np.asarray(expected).astype(int)).max() <= 1


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_antialiasing_has_no_effect_when_enlarging_or_for_nearest(interpolation: str) -> None:
    image = noise(9, 11)
    size = (5, 4) if interpolation == "nearest" else (20, 30)
    plain = pixels_of(image, image_size=size, interpolation=interpolation, antialias=False)
    assert np.array_equal(plain, pixels_of(image, image_size=size, interpolation=interpolation, antialias=True))
