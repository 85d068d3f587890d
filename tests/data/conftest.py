"""What tests of the data sources share: the recipe's defaults, and small pictures that differ from each other."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SavePicture = Callable[..., Path]


@pytest.fixture
def common() -> dict[str, Any]:
    """The keys that every source has, with the schema's defaults."""
    return {
        "image_size": None,
        "color_mode": None,
        "resize": "stretch",
        "interpolation": "bilinear",
        "antialias": True,
        "validation": None,
        "test": None,
        "split_seed": 0,
        "limit": None,
    }


@pytest.fixture
def save_picture(tmp_path: Path) -> SavePicture:
    """Writes a picture below tmp_path; its pixels follow from its name, so that no two are alike."""

    def save(name: str, *, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(path)
        return path

    return save


@pytest.fixture
def save_classes(save_picture: SavePicture, tmp_path: Path) -> Callable[..., Path]:
    """Writes folders of pictures below tmp_path/data: the number of pictures by folder."""

    def save(**numbers: int) -> Path:
        for folder, number in numbers.items():
            for i in range(number):
                save_picture(f"data/{folder.replace('__', '/')}/{i:03}.png")
        return tmp_path / "data"

    return save
