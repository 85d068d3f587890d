"""Copies, near copies, headers and suffixes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.duplicates import (
    MAX_BITS,
    MIN_CORRELATION,
    SIDE,
    _difference_hashes,
    copies,
    has_wrong_suffix,
    near_copies,
)


def thumbnails(num: int, seed: int = 0) -> np.ndarray:
    """Different smooth images."""
    small = np.random.default_rng(seed).integers(0, 256, (num, 6, 6), np.uint8)
    return np.stack([np.asarray(Image.fromarray(x).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for x in small])


def test_copies_have_the_same_digest() -> None:
    assert copies(["a", "b", "a", "c", "b", "a"]) == [[0, 2, 5], [1, 4]]
    assert copies(["a", "b"]) == []


def test_only_near_copies_are_found() -> None:
    images = thumbnails(300)
    rng = np.random.default_rng(1)
    noisy = np.clip(images[:20].astype(int) + rng.integers(-6, 7, (20, SIDE, SIDE)), 0, 255).astype(np.uint8)
    brighter = np.clip(images[20:30].astype(int) + 5, 0, 255).astype(np.uint8)
    everything = np.concatenate([images, noisy, brighter])
    found = near_copies(everything, [str(i) for i in range(330)])
    assert sorted(found) == [(i, 300 + i) for i in range(30)]


def test_copies_are_not_near_copies() -> None:
    images = thumbnails(3)
    assert near_copies(images[[0, 1, 0]], ["a", "b", "a"]) == []


def test_plain_images_are_distinguished() -> None:
    """A difference hash alone matches any two images without structure."""
    plain = np.stack([np.full((SIDE, SIDE), value, np.uint8) for value in (0, 60, 120, 180)])
    assert near_copies(plain, list("abcd")) == []


def test_the_number_of_pairs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcli.data.images.duplicates.MAX_PAIRS", 10)
    same = np.repeat(thumbnails(1), 50, axis=0)
    assert len(near_copies(same, [str(i) for i in range(50)])) == 10


@pytest.mark.parametrize("pairs_at_a_time", [7, 2**20])
def test_all_pairs_are_found_that_a_comparison_of_all_finds(
    monkeypatch: pytest.MonkeyPatch, pairs_at_a_time: int
) -> None:
    monkeypatch.setattr("dlcli.data.images.duplicates.PAIRS_AT_A_TIME", pairs_at_a_time)
    rng = np.random.default_rng(3)
    originals = np.concatenate([thumbnails(60), np.full((3, SIDE, SIDE), 9, np.uint8)])
    images = [originals]
    for strength in (1, 3, 9, 14):  # from near copies to images that only resemble each other
        noise = rng.integers(-strength, strength + 1, originals.shape)
        images.append(np.clip(originals.astype(int) + noise, 0, 255).astype(np.uint8))
    everything = np.concatenate(images)[rng.permutation(5 * len(originals))]
    values = everything.reshape(len(everything), -1).astype(float)
    with np.errstate(invalid="ignore"):  # of plain images
        correlation = np.corrcoef(values)
    hashes = _difference_hashes(everything)
    distance = np.bitwise_count(hashes[:, None] ^ hashes)
    one, other = np.nonzero((distance <= MAX_BITS) & (correlation >= MIN_CORRELATION))
    expected = sorted((a, b) for a, b in zip(one.tolist(), other.tolist(), strict=True) if a < b)
    found = near_copies(everything, [str(i) for i in range(len(everything))])
    assert sorted(found) == expected
    assert 60 < len(expected) < 600


def test_suffixes(tmp_path: Path) -> None:
    assert not has_wrong_suffix(tmp_path / "a.PNG", "PNG")
    assert has_wrong_suffix(tmp_path / "b.png", "JPEG")
