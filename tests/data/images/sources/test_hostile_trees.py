"""Folders of images as they may be found: links in circles, pipes, devices, names with control characters, depth."""

import io
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.dataset import Reading
from dlcli.data.images.discovery import find_images
from dlcli.data.images.sources.class_folders import read_folder
from dlcli.errors import InputError
from dlcli.tasks.draft import draft_recipe
from dlcli.tasks.transfer import _has_few_gifs

NAMES = ("cats", "dogs", "a\x1b[31m", "b\u202ec", os.fsdecode(b"\xff\x9b"), "new\nline", ".hidden", "x.png", "d" * 200)


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def grow(root: Path, random_: random.Random) -> None:
    """Grows a tree of some 60 entries below two class folders."""
    folders = [root / "one", root / "two"]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / "image.png").write_bytes(png(number))
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "image.png").write_bytes(png(2))
    for number in range(60):
        parent = random_.choice(folders)
        path = parent / f"{random_.choice(NAMES)}{random_.choice(('', '.png', '.gif', '.txt', str(number)))}"
        if os.path.lexists(path):
            continue
        match random_.randrange(8):
            case 0 | 1:
                path.mkdir()
                folders.append(path)
            case 2:
                path.symlink_to(random_.choice(folders))
            case 3:
                path.symlink_to(random_.choice((root, root.parent, outside, path, Path("/dev/zero"), Path("gone"))))
            case 4:
                os.mkfifo(path)
            case 5:
                path.write_bytes(png(number + 10))
            case 6:
                path.write_bytes(random_.randbytes(300))
            case 7:
                path.write_bytes(b"")


def check(folder: Path, common: dict[str, Any], seed: int) -> None:
    root = folder / "data"
    grow(root, random.Random(seed))
    before = sorted(os.fsencode(path) for path in folder.rglob("*"))
    for name in ("one", "two"):
        names, left_out = find_images(root / name, root=root)
        found = [root / name / image for image in names]
        folders = {os.path.realpath(path.parent) for path in found}
        assert len({(path.name, os.path.realpath(path.parent)) for path in found}) == len(found)
        assert os.path.realpath(root) not in folders
        assert all(item.name.isprintable() and item.reason.isprintable() for item in left_out)
    for read in (
        lambda: read_folder(path=root, reading=Reading("skip"), **common | {"image_size": (8, 8), "color_mode": "rgb"}),
        lambda: read_folder(path=root, reading=Reading("error"), **common),
        lambda: draft_recipe(root, folder),
        lambda: _has_few_gifs(root),
    ):
        try:
            read()
        except InputError as error:
            assert len(str(error)) < 20_000  # noqa: PT017 - many trees can be read
    assert sorted(os.fsencode(path) for path in folder.rglob("*")) == before


@pytest.mark.parametrize("seed", range(20))
def test_trees(tmp_path: Path, common: dict[str, Any], seed: int) -> None:
    check(tmp_path, common, seed)
