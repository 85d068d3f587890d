"""Packed images with masks are the same data set when they are read again, whatever their masks were made of."""

import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.files import hash_content
from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.shards import INDEX
from dlcli.data.masks.masks import Masks, masks_of
from dlcli.data.masks.sources.coco import read_coco_masks
from dlcli.data.masks.sources.files import codings_of, read_masks
from dlcli.data.masks.sources.shards import read_mask_shards
from dlcli.data.masks.stored import as_png
from dlcli.errors import InputError

Common = dict[str, Any]
Pack = Callable[[Dataset], Path]
Change = Callable[[Path, dict[str, Any]], None]
HEIGHT, WIDTH = 6, 9
TURNED = 6  # EXIF orientation: a quarter turn
COLORS = ((0, 0, 0), (200, 0, 0), (0, 200, 0))
AGAIN = "Pack or import the data again with dlcli data."


@pytest.fixture
def pairs(tmp_path: Path, common: Common) -> Dataset:
    """Ten images with colored masks of three classes, some pixels ignored; two are stored rotated."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for i in range(10):
        rng = np.random.default_rng(i)
        values = rng.integers(0, 4, (HEIGHT, WIDTH))
        exif = Image.Exif()
        exif[0x0112] = TURNED if i in (2, 3) else 1
        colors = np.array([*COLORS, (9, 9, 9)], np.uint8)[values]
        Image.fromarray(colors).save(tmp_path / f"masks/{i}.png", exif=exif)
        pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{i}.png", exif=exif)
    palette = dict(zip(("sky", "wall", "tree"), COLORS, strict=True))
    common["image_size"] = (HEIGHT, WIDTH)
    return read_masks(
        path=tmp_path,
        images=None,
        masks=None,
        codings=codings_of(palette=palette, ignore=((9, 9, 9),)),
        on_missing="error",
        on_bad_image="error",
        **common,
    )


def read(folder: Path, common: Common, **keys: Any) -> Dataset:
    return read_mask_shards(path=folder, reading=Reading(**keys), **common)


def masks(dataset: Dataset, split: str = "train") -> Masks:
    found = masks_of(dataset.splits[split])
    assert found is not None
    return found


def assert_same(dataset: Dataset, again: Dataset) -> None:
    assert again.fingerprint() == dataset.fingerprint()
    assert again.split_rows() == dataset.split_rows()
    assert again.classes == dataset.classes
    assert list(again.splits) == ["train", "validation", "test"]
    for split in dataset.splits:
        ours, theirs = masks(again, split), masks(dataset, split)
        np.testing.assert_array_equal(ours.counts, theirs.counts)
        for mask, other in zip(ours.masks, theirs.masks, strict=True):
            np.testing.assert_array_equal(mask.read(), other.read())


def test_colored_masks(pairs: Dataset, pack: Pack, common: Common) -> None:
    folder = pack(pairs)
    again = read(folder, common)
    assert_same(pairs, again)
    assert {mask.read().shape for mask in masks(again).masks} == {(HEIGHT, WIDTH), (WIDTH, HEIGHT)}
    assert {warning.kind for warning in again.warnings} == {warning.kind for warning in pairs.warnings}
    folder.rename(folder.parent / "moved")
    with pytest.raises(InputError, match=r"packed/train-000000\.tar/.*\.mask\.png: no such file"):
        masks(again).masks[0].read()


def test_regions_of_coco(tmp_path: Path, pack: Pack, common: Common) -> None:
    images, annotations = [], []
    for i in range(8):
        Image.fromarray(np.full((20, 30), 30 * i, np.uint8)).save(tmp_path / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 30, "height": 20})
        polygon = [1 / 3, 2, 10 + i, 2, 10 + i, 12.5, 1, 12]
        for k, shape in enumerate([[polygon], {"size": [20, 30], "counts": [i, 35, 565 - i]}][: 1 + i % 2]):
            annotations.append(
                {"id": 10 * i + k, "image_id": i, "category_id": k, "iscrowd": k, "area": 9, "segmentation": shape}
                | {"bbox": [1, 2, 9, 9]}
            )
    categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    file = tmp_path / "coco.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    keys: dict[str, Any] = {"images": None, "validation_path": None, "test_path": None, "allow_outside": False}
    keys |= {"labels": None, "background": "background", "ignore": (), "on_bad_image": "error", "exclude": ()}
    dataset = read_coco_masks(path=file, classes=None, progress=None, **keys, **common)
    assert sum(int(masks(dataset, split).counts[:, -1].sum()) for split in dataset.splits) > 0  # type: ignore[index]
    assert_same(dataset, read(pack(dataset), common))


def test_other_programs_find_the_mask_beside_its_image(pairs: Dataset, pack: Pack) -> None:
    with tarfile.open(pack(pairs) / "train-000000.tar") as tar:
        names = tar.getnames()
        assert [name.partition(".")[2] for name in names[:3]] == ["png", "mask.png", "json"]
        assert len({name.partition(".")[0] for name in names[:3]}) == 1
        position = int(names[1].partition(".")[0])
        file = tar.extractfile(names[1])
        assert file is not None
        np.testing.assert_array_equal(np.asarray(Image.open(file)), masks(pairs).masks[position].read())


def test_the_classes_of_a_trained_model(pairs: Dataset, pack: Pack, common: Common) -> None:
    folder = pack(pairs)
    assert read(folder, common, classes=("sky", "wall", "tree")).classes == ("sky", "wall", "tree")
    with pytest.raises(InputError, match=r"must be those of the trained model, in its order: tree, sky\. Received sky"):
        read(folder, common, classes=("tree", "sky"))


def place_of(folder: Path, common: Common) -> tuple[Path, int, int, Dataset]:
    """Shard, offset and number of bytes of the mask in line 3, and the data set."""
    dataset = read(folder, common)
    member = masks(dataset).masks[1].file  # type: ignore[attr-defined]
    return Path(member.shard), member.offset, member.num_bytes, dataset


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\nbroken", b"no image"])
def test_a_mask_that_is_no_png(pairs: Dataset, pack: Pack, common: Common, content: bytes) -> None:
    shard, offset, _, dataset = place_of(pack(pairs), common)
    data = bytearray(shard.read_bytes())
    data[offset : offset + len(content)] = content
    shard.write_bytes(data)
    target = dataset.splits["train"].targets()[0]
    with pytest.raises(InputError, match=rf"^{shard}/.*\.mask\.png: its content has changed\. {AGAIN}$"):
        target.loaders()["mask"].load(np.arange(3))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((5, 4), np.uint8), rf"must have the size of its image, {WIDTH}x{HEIGHT} .* Received 5x4\."),
        (np.full((HEIGHT, WIDTH), 3, np.uint8), r"it has values of no class: 3\."),
        (np.zeros((HEIGHT, WIDTH, 4), np.uint8), r"it has transparent pixels"),
    ],
)
def test_a_mask_that_was_exchanged(
    pairs: Dataset, pack: Pack, common: Common, change_row: Change, mask: Any, message: str
) -> None:
    """With its digest in the index, so that only its content can be wrong."""
    folder = pack(pairs)
    shard, offset, _, _ = place_of(folder, common)
    png = as_png(mask)
    data = bytearray(shard.read_bytes())
    data[offset : offset + len(png)] = png
    shard.write_bytes(data)
    change_row(folder, {"files": {"mask.png": [offset, len(png), hash_content(png)]}})
    with pytest.raises(InputError, match=message):
        masks(read(folder, common)).masks[1].read()


def test_a_truncated_shard(pairs: Dataset, pack: Pack, common: Common) -> None:
    folder = pack(pairs)
    shard, offset, num_bytes, _ = place_of(folder, common)
    os.truncate(shard, offset + num_bytes - 1)
    with pytest.raises(InputError) as error:
        read(folder, common)
    assert f"{folder / INDEX}:3: {shard.name} must have at least {offset + num_bytes:,} bytes." in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": None},
        {"files": {}},
        {"files": {"mask.png": [1, 2]}},
        {"files": {"mask.png": [-1, 2, "0" * 16]}},
        {"files": {"mask.png": [0, 2.5, "0" * 16]}},
        {"files": {"../mask.png": [0, 2, "0" * 16]}},
        {"files": 3},
        {"pixels": None},
        {"pixels": {"sky": HEIGHT * WIDTH}, "ignored": 0},
        {"pixels": {"sky": 1, "wall": 2, "tree": 3}, "ignored": 4},
        {"pixels": {"sky": -1, "wall": 2, "tree": 3}, "ignored": HEIGHT * WIDTH - 4},
        {"mask": {"file": 3}},
    ],
)
def test_a_corrupt_annotation(
    pairs: Dataset, pack: Pack, common: Common, change_row: Change, changes: dict[str, Any]
) -> None:
    folder = pack(pairs)
    change_row(folder, changes)
    with pytest.raises(InputError) as error:
        read(folder, common)
    assert str(error.value).startswith(f"{folder / INDEX}:3: ")
    assert str(error.value).endswith(AGAIN)
    assert "\n" not in str(error.value)


def test_shards_without_masks(pairs: Dataset, pack: Pack, common: Common) -> None:
    bare = replace(
        pairs,
        splits={
            split: replace(samples, annotations={}, labels=np.zeros(len(samples), np.int32))
            for split, samples in pairs.splits.items()
        },
    )
    folder = pack(bare)
    text = (folder / INDEX).read_text().replace(",annotation", "")
    (folder / INDEX).write_text(text)
    with pytest.raises(InputError, match=r"must have a mask each here\. They have one class each: give a recipe whose"):
        read(folder, common)
