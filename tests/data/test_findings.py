"""What the chief finds out about files is what workers get, which do not read them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.boxes import Frame
from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.boxes.shapes import DrawnInstances
from dlcli.data.boxes.sources.coco import read_coco
from dlcli.data.findings import Sharing, find_once, sharing
from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.class_folders import read_folder
from dlcli.data.masks.sources.files import codings_of, read_masks
from dlcli.data.masks.sources.instances import FileInstances, read_instance_masks
from dlcli.errors import InputError

Common = dict[str, Any]
WIDTH, HEIGHT = 9, 6


def in_both(root: Path, read: Callable[[Path], Dataset]) -> tuple[Dataset, Dataset]:
    """Data as the chief reads them, and as a worker does in whose folder each image is an empty file."""
    sent: list[bytes] = []
    with sharing(Sharing(True, lambda content: sent.append(content) or content, "worker 0")):  # type: ignore[func-returns-value]
        chief = read(root)
    for path in root.rglob("*"):
        if path.suffix in (".png", ".jpg"):
            path.write_bytes(b"")
    with sharing(Sharing(False, lambda content: sent.pop(0), "worker 1")):
        worker = read(root)
    assert sent == []
    return chief, worker


def assert_same(chief: Dataset, worker: Dataset) -> None:
    assert worker.fingerprint() == chief.fingerprint()
    assert worker.split_rows() == chief.split_rows()
    assert worker.policy == chief.policy
    assert worker.warnings == chief.warnings
    assert worker.left_out == chief.left_out
    for split, samples in chief.splits.items():
        assert worker.splits[split].checked == samples.checked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images beside masks of the values 0 to 2; one mask has a pixel to ignore."""
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for i in range(8):
        rng = np.random.default_rng(i)
        Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / f"data/images/{i}.png")
        mask = np.repeat(np.arange(3, dtype=np.uint8), 2 * WIDTH).reshape(HEIGHT, WIDTH)
        mask[0, 0] = 9 if i == 3 else 0
        Image.fromarray(mask).save(tmp_path / f"data/masks/{i}.png")
    return tmp_path / "data"


@pytest.mark.parametrize("limit", [None, 9])
def test_class_folders(save_classes: Callable[..., Path], common: Common, limit: int | None) -> None:
    root = save_classes(dogs=12, cats=9)
    Image.fromarray(np.arange(48, dtype=np.uint16).reshape(8, 6) * 1000).save(root / "cats" / "deep.png")
    (root / "dogs" / "bad.png").write_bytes(b"no image")
    reading = Reading(on_bad_image="skip")
    chief, worker = in_both(root, lambda path: read_folder(path=path, reading=reading, **(common | {"limit": limit})))
    assert_same(chief, worker)
    assert limit is not None or [item.name for item in worker.left_out] == ["dogs/bad.png"]
    with pytest.raises(InputError, match=r"the file is empty|its content has changed"):
        worker.splits["train"].load(np.arange(1))  # a sample is checked when it is loaded


def test_masks(folder: Path, common: Common) -> None:
    keys: dict[str, Any] = {"images": None, "masks": None, "on_missing": "error", "on_bad_image": "error"}
    codings = codings_of(classes=("a", "b", "c"), ignore=(9,))
    assert_same(*in_both(folder, lambda path: read_masks(path=path, codings=codings, **keys, **common)))


def test_masks_of_ids(folder: Path, common: Common) -> None:
    keys: dict[str, Any] = {"images": None, "masks": None, "label": "object", "ignore": (9,)}
    reading = ObjectReading(instances=FileInstances.of)
    assert_same(*in_both(folder, lambda path: read_instance_masks(path=path, reading=reading, **keys, **common)))


def test_objects_of_coco(folder: Path, common: Common) -> None:
    images = [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in range(8)]
    found = {"category_id": 1, "bbox": [1, 1, 4, 3], "segmentation": [[1, 1, 5, 1, 5, 4]], "iscrowd": 0}
    objects = [{"id": i, "image_id": i, **found} for i in range(8)]
    content = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "images" / "coco.json").write_text(json.dumps(content))
    keys: dict[str, Any] = {"images": None, "validation_path": None, "test_path": None}
    reading = ObjectReading(instances=DrawnInstances.of)
    path = folder / "images" / "coco.json"
    chief, worker = in_both(folder, lambda _: read_coco(path=path, reading=reading, **keys, **common))
    assert_same(chief, worker)
    frames = worker.splits["train"].annotations["objects"].frames  # type: ignore[attr-defined]
    assert set(frames) == {Frame(WIDTH, HEIGHT)}


def test_another_folder_of_a_worker_is_refused(save_classes: Callable[..., Path], common: Common) -> None:
    root = save_classes(dogs=4, cats=4)
    sent: list[bytes] = []
    with sharing(Sharing(True, lambda content: sent.append(content) or content, "worker 0")):  # type: ignore[func-returns-value]
        read_folder(path=root, reading=Reading(), **common)
    (root / "dogs" / "more.png").write_bytes(b"")
    with (
        pytest.raises(InputError) as error,
        sharing(Sharing(False, lambda content: sent.pop(0), "worker 1 (b:2222)")),
    ):
        read_folder(path=root, reading=Reading(), **common)
    assert str(error.value) == (
        "worker 1 (b:2222): the data must have the 8 files that they have on the chief. Received 9 files."
    )


def test_a_process_that_is_alone_finds_it_itself() -> None:
    assert find_once(["a"], lambda: 7, encode=lambda found: b"", decode=lambda content: 0) == 7
