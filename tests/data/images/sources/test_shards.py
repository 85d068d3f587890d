"""Images in shards: packed and read again, they are the same data set, whatever happened to the shards in between."""

import csv
import dataclasses
import errno
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images import decoding, discovery
from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.shard_writer import write_shards
from dlcli.data.images.sources.class_folders import read_folder
from dlcli.data.images.sources.shards import COLUMNS, INDEX, index_rows, read_shards
from dlcli.errors import InputError

Save = Callable[..., Path]
Common = dict[str, Any]


def pack(dataset: Dataset, folder: Path, max_bytes: int = 2000) -> Path:
    folder.mkdir()
    places = write_shards(dataset, folder, max_bytes=max_bytes, progress=lambda done, total: None)
    with open(folder / INDEX, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *index_rows(dataset, places)])
    return folder


@pytest.fixture
def photos(save_classes: Save, common: Common) -> Dataset:
    """Images of two classes in the three splits, one of them of another format, and one of 16 bits."""
    root = save_classes(dogs=12, cats=9)
    Image.fromarray(np.full((8, 6, 3), 9, np.uint8)).save(root / "dogs" / "photo.jpg")
    Image.fromarray(np.arange(48, dtype=np.uint16).reshape(8, 6) * 1000).save(root / "cats" / "deep.png")
    return read_folder(path=root, reading=Reading(), **common)


@pytest.fixture
def packed(photos: Dataset, tmp_path: Path) -> Path:
    return pack(photos, tmp_path / "packed")


def test_the_data_set_is_the_same(photos: Dataset, packed: Path, common: Common) -> None:
    again = read_shards(path=packed, reading=Reading(), **common)
    assert again.fingerprint() == photos.fingerprint()
    assert again.policy == photos.policy
    assert list(again.splits) == ["train", "validation", "test"]
    for split, samples in photos.splits.items():
        assert again.splits[split].checked == samples.checked
        order = np.random.default_rng(0).permutation(len(samples))
        np.testing.assert_array_equal(again.splits[split].load(order), samples.load(order))


def test_no_image_is_decoded_before_it_is_needed(packed: Path, common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((discovery, "read_with_status"), (decoding, "decode_with_extremes")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("an image was read"))
    assert len(read_shards(path=packed, reading=Reading(), **common).splits["train"]) > 10
    limited = read_shards(path=packed, reading=Reading(), **(common | {"limit": 4}))
    assert len(limited.splits["train"]) == 4


def test_shards_have_the_layout_that_other_programs_read(photos: Dataset, packed: Path) -> None:
    """As WebDataset has it: files of one sample follow each other and share the part before the first point."""
    shards = sorted(packed.glob("train-*.tar"))
    assert len(shards) > 1  # of at most 2,000 bytes
    found: dict[str, tuple[int, bytes]] = {}
    for shard in shards:
        with tarfile.open(shard) as tar:
            names = tar.getnames()
            for image, label in zip(names[::2], names[1::2], strict=True):
                key, _, suffix = image.partition(".")
                assert label == f"{key}.cls"
                assert suffix in ("png", "jpg")
                content = [tar.extractfile(name).read() for name in (image, label)]  # type: ignore[union-attr]
                found[key] = int(content[1]), content[0]
    train = photos.splits["train"]
    assert len(found) == len(train)
    for position, file in enumerate(train.files or ()):
        assert found[f"{position:09d}"] == (train.labels[position], Path(file).read_bytes())
    assert list(found) != sorted(found)  # in random order


def test_packing_again_gives_the_same_bytes(photos: Dataset, packed: Path, tmp_path: Path) -> None:
    again = pack(photos, tmp_path / "again")
    assert [path.name for path in sorted(again.iterdir())] == [path.name for path in sorted(packed.iterdir())]
    assert all((again / path.name).read_bytes() == path.read_bytes() for path in packed.iterdir())


def test_groups_stay(photos: Dataset, tmp_path: Path, common: Common) -> None:
    grouped = dataclasses.replace(
        photos,
        splits={
            split: dataclasses.replace(samples, groups=tuple(f"{split} {i % 3}" for i in range(len(samples))))
            for split, samples in photos.splits.items()
        },
    )
    again = read_shards(path=pack(grouped, tmp_path / "grouped"), reading=Reading(), **common)
    assert again.fingerprint() == grouped.fingerprint()
    assert again.splits["train"].groups == grouped.splits["train"].groups


def test_values_of_more_than_8_bits_are_read_in_their_range(photos: Dataset, packed: Path, common: Common) -> None:
    of_deep = read_shards(path=packed, reading=Reading(), **(common | {"file_range": (0.0, 47000.0)}))
    (split, position), *_ = [
        (split, samples.names.index("cats/deep.png"))
        for split, samples in of_deep.splits.items()
        if "cats/deep.png" in samples.names
    ]
    loaded, whole = (dataset.splits[split].load(np.array([position])) for dataset in (of_deep, photos))
    assert loaded.max() == 255
    assert whole.max() < 200


def test_an_image_that_changed_since_it_was_checked(photos: Dataset, tmp_path: Path) -> None:
    file = Path((photos.splits["test"].files or ())[0])
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(InputError, match=r"its content has changed after the data was checked"):
        pack(photos, tmp_path / "changed")
    file.unlink()
    with pytest.raises(InputError, match=r"no such file"):
        pack(photos, tmp_path / "lost")


def test_a_full_disk(photos: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        pack(photos, tmp_path / "full")


# Corrupt shards -----------------------------------------------------------------------------------------------------


def rows_of(packed: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((packed / INDEX).read_text())))


def test_a_corrupt_shard_is_found_when_its_images_are_loaded(packed: Path, common: Common) -> None:
    row = next(row for row in rows_of(packed) if row["split"] == "test")
    shard = packed / row["shard"]
    content = bytearray(shard.read_bytes())
    content[int(row["offset"]) + 40] ^= 1
    shard.write_bytes(content)
    dataset = read_shards(path=packed, reading=Reading(), **common)
    with pytest.raises(InputError, match=rf"{row['shard']}/{row['image']}: its content has changed"):
        dataset.splits["test"].load(np.arange(len(dataset.splits["test"])))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("shard", "../other.tar", "shard must be the name of a .tar file in the folder"),
        ("shard", "/etc/passwd", "shard must be the name of a .tar file in the folder"),
        ("shard", "lost.tar", "lost.tar: no such shard in "),
        ("offset", "-1", "offset must be a whole number"),
        ("offset", "9" * 15, "train-000014.tar must have at least 1,000,000,000,000,219 bytes. Received 10,240"),
        ("bytes", "1e3", "bytes must be a whole number"),
        ("split", "extra", "split must be train, validation, test. Received 'extra'"),
        ("digest", "0", "digest, format and image must be those of a packed image"),
        ("format", "EXE", "digest, format and image must be those of a packed image"),
        ("image", "../a.png", "digest, format and image must be those of a packed image"),
        ("height", "tall", "height must be a whole number"),
        ("lowest", "low", "lowest must be a number"),
    ],
)
def test_a_corrupt_index(packed: Path, common: Common, column: str, value: str, message: str) -> None:
    rows = rows_of(packed)
    rows[1][column] = value
    with open(packed / INDEX, "w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *(row.values() for row in rows)])
    with pytest.raises(InputError) as error:
        read_shards(path=packed, reading=Reading(), **common)
    assert str(error.value).startswith(f"{packed / INDEX}:3: {message}")
    assert str(error.value).endswith("Pack or import the data again with dlcli data.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "shards.csv: no such file. Give a folder that dlcli data pack or import wrote."),
        ("", "shards.csv:1: must have the columns of this version, file, split,"),
        ("file,split\na,train\n", "shards.csv:1: must have the columns of this version, file, split,"),
        (",".join(COLUMNS) + "\na,train\n", "shards.csv:2: a row must have 17 values. Received 2. Pack or import"),
        (",".join(COLUMNS) + "\n", "there must be images to train on. Received none."),
    ],
)
def test_what_is_no_index(tmp_path: Path, common: Common, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / INDEX).write_text(content)
    with pytest.raises(InputError) as error:
        read_shards(path=tmp_path, reading=Reading(), **common)
    assert message in str(error.value)
