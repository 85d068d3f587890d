"""The sources on real data, where it is there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.folder import read_folder
from dlcli.data.keras_datasets import read_keras_dataset
from dlcli.data.npz import read_npz
from dlcli.errors import InputError

Common = dict[str, Any]


def test_mnist_as_npz(shared_data: Path, common: Common) -> None:
    path = shared_data / "mnist" / "mnist.npz"
    dataset = read_keras_dataset(kind="mnist", path=path, **common)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 54_000,
        "validation": 6_000,
        "test": 10_000,
    }
    assert dataset.shape == (28, 28, 1)
    assert dataset.warnings == ()
    assert np.bincount(dataset.splits["test"].labels).tolist() == [
        *(980, 1135, 1032, 1010, 982),
        *(892, 958, 1028, 974, 1009),
    ]
    as_npz = read_npz(path=path, value_range=(0.0, 255.0), layout="image", **{**common, "limit": 100})
    assert {split: len(samples) for split, samples in as_npz.splits.items()} == dict.fromkeys(dataset.splits, 100)
    assert np.bincount(as_npz.splits["train"].labels).tolist() == [10] * 10


@pytest.mark.parametrize(
    ("folder", "shape", "counts"),
    [
        ("mnist/png_subset_1200", (28, 28, 1), {"train": 900, "validation": 100, "test": 200}),
        ("cifar10/subset_6000", (32, 32, 3), {"train": 4500, "validation": 500, "test": 1000}),
    ],
)
def test_class_folders(
    shared_data: Path, common: Common, folder: str, shape: tuple[int, ...], counts: dict[str, int]
) -> None:
    dataset = read_folder(path=shared_data / folder, on_bad_image="error", **common)
    assert dataset.shape == shape
    assert {split: len(samples) for split, samples in dataset.splits.items()} == counts
    assert len(dataset.classes) == 10
    assert dataset.warnings == ()
    samples = dataset.splits["test"]
    loaded = samples.load(np.arange(0, len(samples), 50))
    assert samples.files is not None
    for position, picture in zip(range(0, len(samples), 50), loaded, strict=True):
        with Image.open(samples.files[position]) as expected:
            assert np.array_equal(picture.squeeze(), np.asarray(expected))


def test_photos_of_many_sizes(shared_data: Path, common: Common) -> None:
    root = shared_data / "hymenoptera"
    with pytest.raises(InputError, match=r"smallest \[130, 193\], median \[374, 500\], largest \[1944, 2592\]"):
        read_folder(path=root, on_bad_image="error", **common)
    sized = {**common, "image_size": (224, 224), "resize": "crop", "limit": 40}
    dataset = read_folder(path=root, on_bad_image="error", **sized)
    assert dataset.classes == ("ants", "bees")
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 40, "validation": 40}
    assert [item.name for item in dataset.left_out] == ["SOURCE.md"]
    loaded = dataset.splits["validation"].load(np.arange(40))
    assert loaded.shape == (40, 224, 224, 3)
    assert 60 < loaded.mean() < 180
