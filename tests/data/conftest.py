"""Fixtures of the data tests: the recipe's defaults, and small distinct images."""

import csv
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.augmentation.augmentation import Augmentation, ColorJitter, RandAugment, RandomCrop, RandomErasing
from dlcli.data.images.samples import Dataset
from dlcli.data.images.shard_writer import write_shards
from dlcli.data.images.sources.shards import ANNOTATED_COLUMNS, INDEX, index_rows

SaveImage = Callable[..., Path]


@pytest.fixture
def common() -> dict[str, Any]:
    """The keys of every source, with the schema's defaults."""
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
        "allow_leakage": False,
    }


@pytest.fixture
def save_image(tmp_path: Path) -> SaveImage:
    """Writes an image below tmp_path; its pixels are derived from its name, so that all differ."""

    def save(name: str, *, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(path)
        return path

    return save


@pytest.fixture
def save_classes(save_image: SaveImage, tmp_path: Path) -> Callable[..., Path]:
    """Writes folders of images below tmp_path/data, with the given number of images in each."""

    def save(**numbers: int) -> Path:
        for folder, number in numbers.items():
            for i in range(number):
                save_image(f"data/{folder.replace('__', '/')}/{i:03}.png")
        return tmp_path / "data"

    return save


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[Dataset], Path]:
    """Packs a data set with annotations into the folder tmp_path/packed."""

    def write(dataset: Dataset) -> Path:
        folder = tmp_path / "packed"
        folder.mkdir()
        places = write_shards(dataset, folder, max_bytes=10**6, progress=lambda done, total: None)
        with open(folder / INDEX, "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([ANNOTATED_COLUMNS, *index_rows(dataset, places)])
        return folder

    return write


@pytest.fixture
def change_row() -> Callable[[Path, dict[str, Any]], None]:
    """Replaces keys of the annotation in line 3 of the index of a folder of shards; those of None are removed."""

    def change(folder: Path, changes: dict[str, Any]) -> None:
        with open(folder / INDEX, newline="") as file:
            rows = list(csv.DictReader(file))
        content = json.loads(rows[1]["annotation"]) | changes
        rows[1]["annotation"] = json.dumps({key: value for key, value in content.items() if value is not None})
        with open(folder / INDEX, "w", newline="") as file:
            csv.writer(file).writerows([ANNOTATED_COLUMNS, *(row.values() for row in rows)])

    return change


@pytest.fixture
def everything() -> Augmentation:
    """An augmentation with every transform."""
    return Augmentation(
        rotation_range=20.0,
        width_shift_range=0.2,
        height_shift_range=2,
        brightness_range=(0.8, 1.2),
        shear_range=5.0,
        zoom_range=(0.9, 1.1),
        channel_shift_range=9.0,
        fill_mode="reflect",
        cval=0.0,
        horizontal_flip=True,
        vertical_flip=True,
        random_crop=RandomCrop((0.5, 1.0), (0.8, 1.25)),
        color_jitter=ColorJitter(0.2, 0.2, 0.2, 0.1),
        random_erasing=RandomErasing(0.5, (0.1, 0.2), (0.5, 2.0), 0.0),
        rand_augment=RandAugment(2, 9.0),
    )


@pytest.fixture
def still() -> Augmentation:
    """An augmentation that changes nothing, to be given some transforms; the outside of an image is black."""
    return Augmentation(
        rotation_range=0.0,
        width_shift_range=0.0,
        height_shift_range=0.0,
        brightness_range=None,
        shear_range=0.0,
        zoom_range=(1.0, 1.0),
        channel_shift_range=0.0,
        fill_mode="constant",
        cval=0.0,
        horizontal_flip=False,
        vertical_flip=False,
        random_crop=None,
        color_jitter=None,
        random_erasing=None,
        rand_augment=None,
    )
