"""The sources on real data sets, if they are available."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.boxes import Several, relative_boxes
from dlcli.data.boxes.dataset import BoxReading
from dlcli.data.boxes.sources.voc import read_voc
from dlcli.data.images.dataset import Reading
from dlcli.data.images.sources.class_folders import read_folder
from dlcli.data.images.sources.keras_datasets import read_keras_dataset
from dlcli.data.images.sources.npz import read_npz
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
    dataset = read_folder(path=shared_data / folder, reading=Reading("error"), **common)
    assert dataset.shape == shape
    assert {split: len(samples) for split, samples in dataset.splits.items()} == counts
    assert len(dataset.classes) == 10
    assert dataset.warnings == ()
    samples = dataset.splits["test"]
    loaded = samples.load(np.arange(0, len(samples), 50))
    assert samples.files is not None
    for position, image in zip(range(0, len(samples), 50), loaded, strict=True):
        with Image.open(samples.files[position]) as expected:
            assert np.array_equal(image.squeeze(), np.asarray(expected))


def test_photos_of_many_sizes(shared_data: Path, common: Common) -> None:
    root = shared_data / "hymenoptera"
    with pytest.raises(InputError, match=r"smallest \[130, 193\], median \[374, 500\], largest \[1944, 2592\]"):
        read_folder(path=root, reading=Reading("error"), **common)
    sized = {**common, "image_size": (224, 224), "resize": "crop", "limit": 40}
    dataset = read_folder(path=root, reading=Reading("error"), **sized)
    assert dataset.classes == ("ants", "bees")
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 40, "validation": 40}
    assert [item.name for item in dataset.left_out] == ["SOURCE.md"]
    loaded = dataset.splits["validation"].load(np.arange(40))
    assert loaded.shape == (40, 224, 224, 3)
    assert 60 < loaded.mean() < 180


@pytest.mark.parametrize(
    ("several", "counts"),
    [
        ("leave_out", {"train": 129, "validation": 18, "test": 37}),
        ("largest", {"train": 140, "validation": 20, "test": 40}),
    ],
)
def test_raccoons_in_voc(shared_data: Path, common: Common, several: Several, counts: dict[str, int]) -> None:
    keys = {**common, "image_size": (96, 128), "resize": "pad"}
    dataset = read_voc(
        path=shared_data / "raccoon",
        images=None,
        annotations=None,
        train_list=None,
        validation_list=None,
        test_list=None,
        reading=BoxReading("error", several=several),
        **keys,
    )
    assert {split: len(samples) for split, samples in dataset.splits.items()} == counts
    assert dataset.classes == ("raccoon",)
    if several == "leave_out":
        reasons = Counter(item.reason for item in dataset.left_out)
        assert sum(reasons.values()) == 16
        assert set(reasons) == {"several objects: 2", "several objects: 3"}
        assert dataset.warnings == ()
    else:
        assert tuple(map(str, dataset.warnings)) == (
            "16 images have several objects; the largest is learned (data.several).",
        )
    split_of: dict[str, set[str]] = {}
    copies = Counter(row["digest"] for row in dataset.split_rows())
    for row in dataset.split_rows():
        split_of.setdefault(row["digest"], set()).add(row["split"])
    assert max(copies.values()) == 2  # the data has copies
    assert all(len(splits) == 1 for splits in split_of.values())
    for samples in dataset.splits.values():
        relative = relative_boxes(samples)
        assert relative is not None
        assert not np.isnan(relative).any()
        assert (relative[:, :2] < relative[:, 2:]).all()
        assert samples.load(np.arange(4)).shape == (4, 96, 128, 3)
