"""What is known of masks is kept in the index of images: by content, and by the meaning of the values."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.data.masks import scan
from dlcli.data.masks.coding import Coding, by_index
from dlcli.data.masks.scan import Scanned, scan_masks

CODINGS = (by_index(("a", "b")), by_index(("a", "b", "c")))


def write(path: Path, *values: int) -> None:
    Image.fromarray(np.array([values], np.uint8)).save(path)
    os.utime(path, (1e9, 1e9))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("DLCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("dlcli.data.images.scan_index.GRANULARITY", 0.0)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, values in zip(paths, ((0, 1, 1), (2, 0, 0), (0, 0, 7)), strict=True):
        write(path, *values)
    (tmp_path / "bad.png").write_bytes(b"no image")
    return [*paths, tmp_path / "bad.png"]


def same(one: list[Scanned | str], other: list[Scanned | str]) -> bool:
    return [repr(result) for result in one] == [repr(result) for result in other]


def test_a_mask_is_decoded_once(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = scan_masks(files, CODINGS)
    decoded: list[Path] = []
    read = scan.read_with_status
    monkeypatch.setattr(scan, "read_with_status", lambda path: (decoded.append(path), read(path))[1])
    reported: list[tuple[int, int]] = []
    assert same(scan_masks(files, CODINGS, progress=lambda *done: reported.append(done)), first)
    assert decoded == files[3:]  # what cannot be read is tried again
    assert reported == [(4, 4)]
    write(files[1], 1, 1, 1)
    second = scan_masks(files, CODINGS)
    assert decoded == [files[3], files[1], files[3]]
    assert isinstance(second[1], Scanned)
    assert second[1].meanings[0].counts.tolist() == [0, 3, 0]


def test_another_meaning_of_the_values_is_counted_again(files: list[Path]) -> None:
    of_two: list[Coding] = [CODINGS[0]]
    first = scan_masks(files, of_two)
    scan_masks(files, CODINGS)
    again = scan_masks(files, of_two)
    assert same(again, first)
    assert isinstance(again[1], Scanned)
    assert again[1].meanings[0].undeclared == ("2",)
