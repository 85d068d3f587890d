"""YOLO's data.yaml and .txt files, as Ultralytics documents and Roboflow writes them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.boxes import boxes_of
from dlcli.data.boxes.dataset import BoxReading
from dlcli.data.boxes.sources.yolo import find_yaml, is_yolo_index, read_yolo
from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.errors import InputError

Common = dict[str, Any]
Save = Callable[..., Path]
YAML = "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\nroboflow: {version: 1}\n"


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a data.yaml, and images of 60x40 pixels with the lines of their objects; None for no file of objects."""

    def write(index: str = YAML, /, **objects: str | None) -> Path:
        (tmp_path / "data.yaml").write_text(index)
        for name, lines in objects.items():
            image = tmp_path / f"{name.replace('__', '/')}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (60, 40), tuple(name.encode()[-3:])).save(image)
            labels = Path(str(image.with_suffix(".txt")).replace("/images/", "/labels/"))
            labels.parent.mkdir(parents=True, exist_ok=True)
            if lines is not None:
                labels.write_text(lines)
        return tmp_path / "data.yaml"

    return write


def read(path: Path, common: Common, **options: Any) -> Dataset:
    known = {"several": "largest", "on_bad_box": "error", "on_bad_image": "error", **options}
    reading = BoxReading(
        **{key: known.pop(key) for key in list(known) if key in BoxReading.__annotations__ | Reading.__annotations__}
    )
    return read_yolo(path=path, reading=reading, **known, **{**common, "test": 0.0})


def error(path: Path, common: Common, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, common, **options)
    return str(error.value).replace(f"{path.parent}/", "").splitlines()


def corners(dataset: Dataset, split: str = "train") -> list[list[float]]:
    boxes = boxes_of(dataset.splits[split])
    assert boxes is not None
    return boxes.corners.tolist()


def test_roboflow_writes_paths_that_leave_its_folder(save: Save, common: Common) -> None:
    path = save(
        train__images__a="0 0.5 0.5 0.5 0.25\n",
        train__images__b="1 0.5 0.5 0.1 0.1\n1 0.25 0.5 0.5 1\n",
        train__images__none=None,
        train__images__empty="\n",
        valid__images__c="1 0.1 0.1 0.9 0.1 0.9 0.6 0.2 0.7\n",
    )
    dataset = read(path, common)
    assert dataset.classes == ("cat", "dog")
    assert dataset.splits["train"].names == ("train/images/a.png", "train/images/b.png")
    assert dataset.splits["train"].labels.tolist() == [0, 1]
    np.testing.assert_allclose(corners(dataset), [[15, 15, 45, 25], [0, 0, 30, 40]])
    np.testing.assert_allclose(corners(dataset, "validation"), [[6, 4, 54, 28]])  # the box around a segment
    left_out = {item.name: item.reason for item in dataset.left_out}
    assert left_out == {"train/images/none.png": "no object", "train/images/empty.png": "no object"}
    assert [item.text for item in dataset.warnings][:1] == [
        "1 image has several objects; the largest is learned (data.several)."
    ]


@pytest.mark.parametrize(
    "index",
    [
        "path: .\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n",
        "path: ../datasets/none\ntrain: [images/train]\nval: images/val\nnames:\n  - cat\n  - dog\n",
        "train: train.txt\nvalid: images/val/\nnames: {'0': cat, '1': dog}\n",
    ],
)
def test_paths_and_names_as_they_are_written(save: Save, common: Common, tmp_path: Path, index: str) -> None:
    path = save(
        index,
        images__train__a="0 0.5 0.5 0.5 0.5\n",
        images__train__b="1 0.5 0.5 0.5 0.5\n",
        images__val__c="1 .5 .5 .5 .5",
    )
    (tmp_path / "train.txt").write_text("./images/train/a.png\nimages\\train\\b.png\n")
    for source in (path, tmp_path):
        dataset = read(source, common)
        assert dataset.splits["train"].names == ("images/train/a.png", "images/train/b.png")
        assert dataset.splits["validation"].names == ("images/val/c.png",)


def test_boxes_refer_to_the_upright_image(save: Save, common: Common, tmp_path: Path) -> None:
    path = save("train: images\nnames: [cat]\n", images__a="0 0.25 0.25 0.5 0.5\n")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "images" / "a.png", exif=exif)
    assert corners(read(path, {**common, "validation": 0.0})) == [[0, 0, 20, 30]]


def test_errors_are_reported_with_file_and_line(save: Save, common: Common) -> None:
    path = save(
        train__images__a="0 0.5 0.5\n\n2 0.5 0.5 0.1 0.1\n0 x 0.5 0.1 0.1\n",
        train__images__b="0 0.5 0.5 0.1 nan\n0 0.5 0.5 0.1 -inf\n0 0.5 0.5 -0.1 0.1\n0 0.5 0.5 0.1 0.1 0.87\n",
        valid__images__c="",
    )
    assert error(path, common) == [
        "train/labels/a.txt:1: a line must be a class and either 4 numbers (x, y, width, height) or at least 3 points. "
        "Received 2 numbers after the class.",
        "train/labels/a.txt:3: the class must be a number of data.yaml's names, such as 0. Received 2.",
        "train/labels/a.txt:4: a line must be finite numbers. Received '0 x 0.5 0.1 0.1'.",
        "train/labels/b.txt:1: a line must be finite numbers. Received '0 0.5 0.5 0.1 nan'.",
        "train/labels/b.txt:2: a line must be finite numbers. Received '0 0.5 0.5 0.1 -inf'.",
        "train/labels/b.txt:3: the width and height of a box must be >= 0. Received -0.1 and 0.1.",
        "train/labels/b.txt:4: a line must be a class and either 4 numbers (x, y, width, height) or at least 3 points. "
        "Received 5 numbers after the class: if the last is the confidence of a prediction, remove it.",
        "Correct the files above.",
    ]


def test_bad_boxes_obey_on_bad_box(save: Save, common: Common) -> None:
    path = save(
        train__images__a="0 0.9 0.5 0.5 0.5\n", train__images__b="0 0.5 0.5 0.1 0.1", valid__images__c="0 .5 .5 .1 .1"
    )
    assert error(path, common)[0].startswith("train/labels/a.txt:1 (cat): its box is outside of the image of 60x40")
    assert corners(read(path, common, on_bad_box="repair"))[0] == pytest.approx([39, 10, 60, 30])
    assert read(path, common, on_bad_box="skip").splits["train"].names == ("train/images/b.png",)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("train: [\n", "data.yaml:2: this is not valid YAML"),
        ("a: &a [1]\ntrain: *a\nnames: [a]\n", "data.yaml: must have no aliases (*name), which could multiply."),
        ("train: !!python/name:os.system\n", "data.yaml:1: this is not valid YAML (could not determine a constructor"),
        ("- a\n", "data.yaml: must be the data.yaml of YOLO, with the keys train and names. Received no keys."),
        ("names: [a]\nval: x\n", "data.yaml: there must be train, the path of the images to train on. Received none."),
        ("train: images\n", "data.yaml: names must be the classes: a list, or numbers with names. Received none."),
        (
            "train: images\nval: images\nnames: [a]\n",
            "data.yaml: each split must have its own images. 'val' names those",
        ),
        ("train: images\nnames: [a, a]\n", "data.yaml: names must be different. Received 'a' again."),
        ("train: images\nnames: [a, {}]\n", "data.yaml: names must be the classes by their numbers. Received 1: {}."),
        ("train: 3\nnames: [a]\n", "data.yaml: train must be a path, or a list of paths. Received 3."),
        ("train: x\ntraining: y\nnames: [a]\n", "data.yaml: each split must be given once. 'training' is the train"),
        (
            "names: [a]\ntrain: none\n",
            "data.yaml:2: train must be a folder or list of images that exists. Received 'none'.",
        ),
        ("train: images/a.png\nnames: [a]\n", "data.yaml:1: train must be a folder of images or a .txt list."),
    ],
)
def test_an_index_that_cannot_be_used(save: Save, common: Common, index: str, message: str) -> None:
    assert error(save(index, images__a="0 0.5 0.5 0.1 0.1"), common)[0].startswith(message)


def test_images_outside_of_the_folder_need_permission(save: Save, common: Common, tmp_path: Path) -> None:
    save(images__a="0 .5 .5 .5 .5", images__b="0 .5 .5 .5 .5")
    index = tmp_path / "index" / "data.yaml"
    index.parent.mkdir()
    index.write_text(f"train: {tmp_path}/images\nnames: [cat]\n")
    refusal = error(index, common)[0]
    assert refusal.startswith(f"data.yaml:1: images must be in {index.parent}. Received '{tmp_path}/images': move")
    assert refusal.endswith("or set data.allow_outside: true in a recipe.")
    names = read(index, {**common, "validation": 0.0}, allow_outside=True).splits["train"].names
    assert names == ("../images/a.png", "../images/b.png")
    (index.parent / "list.txt").write_text("../images/a.png\n")
    index.write_text("train: list.txt\nnames: [cat]\n")
    assert error(index, common)[0].startswith("list.txt:1: images must be in ")


def test_a_recipe_is_not_mistaken_for_an_index(tmp_path: Path, save: Save) -> None:
    (tmp_path / "r.yaml").write_text("task: classification\ndata: {kind: digits}\ntrain: {epochs: 1}\n")
    assert find_yaml(tmp_path) is None
    (tmp_path / "pets.yaml").write_text("train: images\nnames: [cat]\n")
    assert find_yaml(tmp_path) == tmp_path / "pets.yaml"
    path = save()
    assert find_yaml(tmp_path) == path
    assert is_yolo_index(path)
    with pytest.raises(InputError, match=r"there must be a data\.yaml"):
        read(tmp_path / "..", {})
