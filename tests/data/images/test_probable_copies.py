"""Images that are probably the same one."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from dlcli.data.images import probable_copies
from dlcli.data.images.duplicates import SIDE
from dlcli.data.images.probable_copies import NUM_CANDIDATES, find_probable_copies


def photos(num: int, seed: int = 0) -> list[Image.Image]:
    """Different images of 80x60 pixels with structure of two scales."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(num):
        layers = [
            Image.fromarray(rng.integers(0, 256, (side, side), np.uint8)).resize((80, 60), Image.Resampling.BICUBIC)
            for side in (4, 12)
        ]
        found.append(Image.blend(layers[0], layers[1], 0.5))
    return found


def thumbnails(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for image in images])


def of_one_kind(num: int) -> np.ndarray:
    """Different images that resemble each other, as digits do."""
    rng = np.random.default_rng(0)
    common = thumbnails(photos(1))[0].astype(float)
    own = thumbnails(photos(num, seed=1)).astype(float)
    return np.clip(common + (own - 128) * rng.uniform(0.15, 0.3, (num, 1, 1)), 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "gamma": lambda image: image.point([round(255 * (value / 255) ** 0.7) for value in range(256)]),
    "crop": lambda image: image.crop((0, 0, 76, 57)),
    "smaller": lambda image: image.resize((40, 30)),
    "mirrored": ImageOps.mirror,
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_of_each_kind_are_found(change: str) -> None:
    images = photos(100)
    copies = [CHANGES[change](image) for image in images[:20]]
    found, num_crowded = find_probable_copies(thumbnails(images + copies))
    assert [copy.pair for copy in found] == [(i, 100 + i) for i in range(20)]
    assert {copy.is_mirrored for copy in found} == {change == "mirrored"}
    assert all(0.94 <= copy.correlation < 1.0001 for copy in found)
    assert num_crowded == 0


def test_images_of_one_kind_are_not_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    images = of_one_kind(120)
    found, num_crowded = find_probable_copies(images)
    assert found == []
    assert num_crowded > 60
    monkeypatch.setattr(probable_copies, "MAX_RATIO", 10.0)
    assert len(find_probable_copies(images)[0]) > 300


def test_a_copy_among_images_of_one_kind_is_found() -> None:
    images = of_one_kind(120)
    brighter = (images[:1] * 0.8 + 20).astype(np.uint8)
    assert [copy.pair for copy in find_probable_copies(np.concatenate([images, brighter]))[0]] == [(0, 120)]


@pytest.mark.parametrize("num", [0, 1, 2, 5])
def test_few_images(num: int) -> None:
    images = thumbnails(photos(5))[:num]
    assert find_probable_copies(images) == ([], 0)
    found, _ = find_probable_copies(np.concatenate([images, images[:1, :, ::-1]]))
    assert [copy.pair for copy in found] == [(0, num)] * (num > 0)


def test_plain_images_are_not_copies() -> None:
    plain = np.stack([np.full((SIDE, SIDE), value, np.uint8) for value in (0, 60, 60, 255)])
    assert find_probable_copies(plain) == ([], 0)


def test_the_number_of_comparisons_grows_with_the_number_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where all images are candidates of each other."""
    compared = []

    def counted(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        compared.append(len(one))
        return np.zeros(len(one), np.float32), np.zeros(len(one), np.float32)

    monkeypatch.setattr(probable_copies, "_compare", counted)
    images = np.tile(of_one_kind(50), (20, 1, 1))
    find_probable_copies(images)
    assert 0 < sum(compared) <= NUM_CANDIDATES * len(images)
