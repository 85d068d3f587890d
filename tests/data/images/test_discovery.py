"""Images are looked up in the index and read in blocks, which makes no difference but for the memory."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dlcli.data.images import discovery
from dlcli.data.images.discovery import check_images
from dlcli.data.images.scan_index import Checked


def test_blocks(save_image: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [save_image(f"{i}.png", size=(4, 5 + i)) for i in range(8)]
    (tmp_path / "bad.png").write_bytes(b"no image")
    files.insert(3, tmp_path / "bad.png")
    whole = check_images(files, by_suffix=True)
    monkeypatch.setattr(discovery, "BLOCK", 2)
    reported: list[tuple[int, int]] = []
    assert check_images(files, by_suffix=True, progress=lambda *done: reported.append(done)) == whole
    assert [result.width for result in whole if isinstance(result, Checked)] == list(range(5, 13))
    assert isinstance(whole[3], str)
    assert reported == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]
