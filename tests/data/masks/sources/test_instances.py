"""Masks in which each object has its own value."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.boxes import Frame
from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.data.images.samples import Dataset
from dlcli.data.masks.sources.instances import FileInstances, read_instance_masks
from dlcli.errors import InputError

Common = dict[str, Any]
HEIGHT, WIDTH = 8, 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images and masks of a.png with objects 1 and 3, which touch, b.png without objects, and c.png with 300."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    masks = np.zeros((3, HEIGHT, WIDTH), np.uint16)
    masks[0, 1:4, 2:6], masks[0, 1:4, 6:9] = 1, 3
    masks[0, 2, 3] = 255
    masks[2, 7, 11] = 300
    for i, (name, mask) in enumerate(zip("abc", masks, strict=True)):
        Image.fromarray(mask if mask.max() > 255 else mask.astype(np.uint8)).save(tmp_path / "masks" / f"{name}.png")
        Image.new("RGB", (WIDTH, HEIGHT), (i, 50, 90)).save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def read(folder: Path, common: Common, **options: Any) -> Dataset:
    keys: dict[str, Any] = {"images": None, "masks": None, "label": "person", "ignore": (255,), **options}
    reading = ObjectReading(min_visible=0.3, instances=FileInstances.of, on_bad_image=keys.pop("on_bad_image", "error"))
    return read_instance_masks(path=folder, reading=reading, **keys, **{**common, "validation": 0.0, "test": 0.0})


def objects(dataset: Dataset) -> ObjectBoxes:
    found = objects_of(dataset.splits["train"])
    assert found is not None
    return found


def test_each_value_is_an_object(folder: Path, common: Common) -> None:
    dataset = read(folder, common)
    assert dataset.classes == ("person",)
    assert dataset.splits["train"].names == ("images/a.png", "images/b.png", "images/c.png")
    found = objects(dataset)
    assert found.corners.tolist() == [[2, 1, 6, 4], [6, 1, 9, 4], [11, 7, 12, 8]]
    assert found.areas.tolist() == [11, 9, 1]
    assert found.counts.tolist() == [2, 0, 1]
    assert found.frames == (Frame(WIDTH, HEIGHT),) * 3
    assert (found.slots, found.min_visible) == (2, 0.3)
    assert found.instances is not None
    masks = found.instances[0].read()
    assert (masks.dtype, masks.shape) == (np.uint8, (2, HEIGHT, WIDTH))
    assert masks.sum(axis=(1, 2)).tolist() == [11, 9]
    assert not masks[:, 2, 3].any()
    assert found.instances[1].read().shape == (0, HEIGHT, WIDTH)
    assert np.argwhere(found.instances[2].read()).tolist() == [[0, 7, 11]]


def test_images_are_left_out_if_their_masks_cannot_be_read(folder: Path, common: Common) -> None:
    for name in "bc":
        (folder / "masks" / f"{name}.png").write_bytes(b"no image")
    with pytest.raises(InputError) as error:
        read(folder, common)
    lines = str(error.value).splitlines()
    assert [line.split(": ")[0] for line in lines[:2]] == [f"{folder}/masks/b.png", f"{folder}/masks/c.png"]
    assert lines[2].endswith("or leave them out by `data.on_bad_image: skip`.")
    dataset = read(folder, common, on_bad_image="skip")
    assert dataset.splits["train"].names == ("images/a.png",)
    assert [(item.name, item.kind) for item in dataset.left_out if item.kind != "unused"] == [
        ("images/b.png", "unreadable"),
        ("images/c.png", "unreadable"),
    ]
    (folder / "masks" / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"masks/a\.png"):
        read(folder, common, on_bad_image="skip")


def test_each_color_is_an_object(folder: Path, common: Common) -> None:
    mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    mask[1:4, 2:6], mask[1:4, 6:9] = (9, 0, 200), (0, 9, 200)
    Image.fromarray(mask).save(folder / "masks" / "a.png")
    found = objects(read(folder, common))
    assert sorted(found.corners[:2].tolist()) == [[2, 1, 6, 4], [6, 1, 9, 4]]
    assert found.instances is not None
    assert found.instances[0].read().sum(axis=(1, 2)).tolist() == [9, 12]


def test_values_that_are_not_ignored_are_objects(folder: Path, common: Common) -> None:
    assert objects(read(folder, common, ignore=())).counts.tolist() == [3, 0, 1]


def test_a_mask_that_changed_is_named(folder: Path, common: Common) -> None:
    found = objects(read(folder, common))
    assert found.instances is not None
    Image.new("L", (WIDTH, HEIGHT), 1).save(folder / "masks" / "a.png")
    with pytest.raises(InputError, match=r"masks/a\.png: its content has changed\. It was modified or removed"):
        found.instances[0].read()


def test_masks_that_cannot_be_used_are_named_together(folder: Path, common: Common) -> None:
    Image.new("L", (WIDTH, HEIGHT + 1)).save(folder / "masks" / "a.png")
    Image.new("L", (WIDTH, HEIGHT), 1).save(folder / "masks" / "b.jpg")
    (folder / "masks" / "b.png").unlink()
    (folder / "masks" / "c.png").write_bytes(b"no image")
    with pytest.raises(InputError) as error:
        read(folder, common)
    lines = str(error.value).replace(f"{folder}/", "").splitlines()
    assert lines[0] == (
        "masks/a.png: must have the size of its image, images/a.png, which has 12x8 pixels. Received 12x9."
    )
    assert lines[1].startswith("masks/b.jpg: ids of objects must be stored without loss: save masks without loss")
    assert lines[2].startswith("masks/c.png: ")
    assert lines[3] == (
        "Correct these masks, or remove them with their images, or leave them out by `data.on_bad_image: skip`."
    )


def test_shades_are_no_ids(folder: Path, common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcli.data.masks.sources.instances.MOST_OBJECTS", 3)
    with pytest.raises(InputError, match=r"a\.png: there must be at most 3 values, one for each object\. Received 4\."):
        read(folder, common)


def test_no_object_at_all_is_refused(folder: Path, common: Common) -> None:
    for name in ("a", "c"):
        Image.new("L", (WIDTH, HEIGHT)).save(folder / "masks" / f"{name}.png")
    with pytest.raises(InputError, match="no image to train on has an object"):
        read(folder, common)
