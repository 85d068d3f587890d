"""Decoded images in a file: the same pixels, each decoded once, and nothing left behind."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.images.decoded_cache import DecodedFile
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples

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
