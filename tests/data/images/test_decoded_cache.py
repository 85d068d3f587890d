"""Decoded images in a file: the same pixels, each decoded once, and nothing left behind."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.files import hash_content
from dlcli.data.images.decoded_cache import DecodedFile
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.data.images.scan_index import Checked
from dlcli.data.images.tiles import draw_windows
from dlcli.data.splits import NO_LABEL

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 6, 5, 3), np.uint8)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions that were decoded, in order."""
    positions: list[int] = []

    def load(self: Samples, index: np.ndarray) -> np.ndarray:
        positions.extend(index.tolist())
        return PIXELS[index]

    monkeypatch.setattr(Samples, "load", load)
    return positions


def make(folder: Path, said: list[str]) -> DecodedFile:
    names = tuple(str(i) for i in range(len(PIXELS)))
    samples = Samples(
        names=names,
        labels=np.zeros(len(PIXELS), np.int32),
        digests=names,
        groups=None,
        policy=ImagePolicy((6, 5), "rgb", "stretch", "bilinear", True),
        files=names,
    )
    return DecodedFile(samples, folder=folder, warn=said.append)


def test_each_image_is_decoded_once(tmp_path: Path, loaded: list[int]) -> None:
    said: list[str] = []
    file = make(tmp_path, said)
    for index in ([3, 1, 7], [7, 2, 3], list(range(12)), [11, 0]):
        np.testing.assert_array_equal(file.load(np.array(index)), PIXELS[index])
    assert sorted(loaded) == list(range(12))
    assert list(tmp_path.iterdir()) == []
    assert said == []


def test_the_file_is_closed_when_nothing_can_load_from_it(tmp_path: Path, loaded: list[int]) -> None:
    file = make(tmp_path, [])
    load, descriptor = file.load, file._descriptor
    del file
    load(np.arange(12))
    own = os.fstat(descriptor).st_ino
    del load
    try:
        now = os.fstat(descriptor).st_ino  # another file may have the same descriptor meanwhile
    except OSError:
        return
    assert now != own


def test_a_full_disk_is_reported_once_and_costs_only_time(
    tmp_path: Path, loaded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    file = make(tmp_path, said)
    write = os.pwrite

    def full(descriptor: int, data: Any, offset: int) -> int:
        if offset >= 4 * PIXELS[0].nbytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    for _ in range(3):
        np.testing.assert_array_equal(file.load(np.arange(12)), PIXELS)
    assert said == ["decoded images cannot be cached (No space left on device): they are decoded in each epoch"]
    assert loaded.count(0) == loaded.count(11) == 3
    assert os.fstat(file._descriptor).st_size == 0  # the space is freed for checkpoints


def write_images(folder: Path) -> Samples:
    """Files of several sizes, to be cut into tiles of 6x5."""
    rng = np.random.default_rng(0)
    sizes = ((6, 5), (20, 9), (4, 30), (15, 15))
    checked, files = [], []
    for number, size in enumerate(sizes):
        files.append(folder / f"{number}.png")
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(files[-1])
        checked.append(Checked(*size, is_gray=False, digest=hash_content(files[-1].read_bytes())))
    return Samples(
        names=tuple(file.name for file in files),
        labels=np.full(len(files), NO_LABEL, np.int32),
        digests=tuple(image.digest for image in checked),
        groups=None,
        policy=ImagePolicy((6, 5), "rgb", "stretch", "bilinear", True, overlap=2),
        files=tuple(map(str, files)),
        checked=tuple(checked),
    )


def test_tiles_are_cut_from_images_that_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = write_images(tmp_path)
    expected = samples.tile_reader()
    decoded: list[int] = []
    load_whole = Samples.load_whole
    monkeypatch.setattr(Samples, "load_whole", lambda self, i: decoded.append(i) or load_whole(self, i))
    said: list[str] = []
    file = DecodedFile(samples, folder=tmp_path, warn=said.append)
    for epoch in range(3):
        windows = draw_windows(samples.sizes, (6, 5), seed=0, epoch=epoch)
        index = np.array([2, 0, 1, 3, 2])
        found = file.load(index, windows[index])
        assert len(decoded) == 4
        np.testing.assert_array_equal(found, expected.load(index, windows[index]))
        del decoded[4:]
    assert said == []
    os.ftruncate(file._descriptor, 100)  # as after a full disk
    windows = draw_windows(samples.sizes, (6, 5), seed=0, epoch=9)
    np.testing.assert_array_equal(file.load(np.arange(4), windows), expected.load(np.arange(4), windows))
