import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.boxes import boxes_of, relative_boxes
from dlcli.data.boxes.dataset import BoxReading
from dlcli.data.boxes.sources.coco import _object, read_coco
from dlcli.data.boxes.sources.coco_json import BadEntry
from dlcli.data.boxes.sources.csv_table import read_box_csv
from dlcli.data.boxes.sources.voc import read_voc
from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.errors import InputError

Common = dict[str, Any]
Save = Callable[..., Path]
HOW: dict[str, Any] = {"several": "largest", "on_bad_box": "error", "on_bad_image": "error"}


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a JSON file, and images of 60x40 pixels beside it."""

    def write(content: Any, name: str = "boxes.json", images: tuple[str, ...] = ("a.png", "b.png", "c.png")) -> Path:
        for image in images:
            path = tmp_path / image
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (60, 40), tuple(image.encode()[-7:-4].rjust(3))).save(path)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def content(*annotations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Images a.png, b.png and c.png with ids 1 to 3, cats (7) and dogs (8)."""
    defaults = {"image_id": 1, "category_id": 7, "bbox": [10, 5, 20, 10]}
    return {
        "images": [{"id": i, "file_name": f"{name}.png", "width": 60, "height": 40} for i, name in enumerate("abc", 1)],
        "categories": [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}],
        "annotations": [{"id": i, **defaults, **annotation} for i, annotation in enumerate(annotations, 1)],
        **changes,
    }


def read(path: Path, common: Common, **options: Any) -> Dataset:
    known = {"images": None, "validation_path": None, "test_path": None, **HOW, **options}
    extra = {key: known.pop(key) for key in list(known) if key in common}
    reading = BoxReading(
        **{key: known.pop(key) for key in list(known) if key in BoxReading.__annotations__ | Reading.__annotations__}
    )
    return read_coco(path=path, reading=reading, **known, **{**common, "validation": 0.0, "test": 0.0, **extra})


def error(path: Path, common: Common, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, common, **options)
    return str(error.value).replace(f"{path.parent}/", "").splitlines()


# What is read -------------------------------------------------------------------------------------------------------


def test_an_object_without_a_box_obeys_on_bad_box(save: Save, common: Common) -> None:
    path = save(content({"bbox": None}, {"image_id": 2}))
    assert error(path, common)[0] == "boxes.json: annotation 1 of a.png (cat): there is no box (bbox)"
    assert read(path, common, on_bad_box="skip").splits["train"].names == ("b.png",)
    assert read(path, common, on_bad_box="repair").splits["train"].names == ("b.png",)


def test_names_of_images_stay_in_their_folder(save: Save, common: Common) -> None:
    images = [{"id": 1, "file_name": "in\\a.png"}, {"id": 2, "file_name": "../b.png", "width": 0, "height": 0}]
    path = save(content({}, {"image_id": 2}, images=images), "c/boxes.json", ("c/in/a.png", "b.png"))
    assert error(path, common)[0].startswith(
        f"boxes.json: image 2: images must be in {path.parent}. Received '../b.png'"
    )
    assert read(path, common, allow_outside=True).splits["train"].names == ("../b.png", "in/a.png")
    excluded = read(path, common, allow_outside=True, exclude=("b.*",))
    assert excluded.splits["train"].names == ("in/a.png",)
    assert ("../b.png", "excluded by 'b.*'") in [(item.name, item.reason) for item in excluded.left_out]


def test_images_objects_and_categories(save: Save, common: Common) -> None:
    crowd = {"image_id": 3, "bbox": [0, 0, 60, 40], "iscrowd": 1}
    path = save(
        content({"image_id": 2, "category_id": 8, "bbox": [1.5, 2, 3, 4.25]}, {}, {"bbox": [0, 0, 5, 5]}, crowd)
    )
    dataset = read(path, common)
    samples = dataset.splits["train"]
    assert dataset.classes == ("cat", "dog")
    assert samples.names == ("a.png", "b.png")
    assert samples.labels.tolist() == [0, 1]
    assert boxes_of(samples) is not None
    assert boxes_of(samples).corners.tolist() == [[10, 5, 30, 15], [1.5, 2, 4.5, 6.25]]
    assert tuple(map(str, dataset.warnings)) == ("1 image has several objects; the largest is learned (data.several).",)
    assert [(item.name, item.reason) for item in dataset.left_out] == [
        ("boxes.json: annotation 4", "outside the task: a crowd"),
        ("c.png", "no object"),
    ]


def test_ids_may_be_written_as_floats(save: Save, common: Common) -> None:
    given = content({"id": 1.0, "image_id": 2.0, "category_id": 8.0})
    assert read(save(given), common).classes == ("dog",)


def test_only_categories_of_objects_are_classes(save: Save, common: Common) -> None:
    assert read(save(content({})), common).classes == ("cat",)


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("boxes.json", "."),
        ("boxes.json", "images"),
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/boxes.json", "images"),
    ],
)
def test_the_usual_folders_are_found(tmp_path: Path, save: Save, common: Common, name: str, images: str) -> None:
    path = save(content({}), name, tuple(f"{images}/{letter}.png" for letter in "abc"))
    samples = read(path, common).splits["train"]
    assert samples.files is not None
    assert Path(samples.files[0]).resolve() == (tmp_path / images / "a.png").resolve()


def test_the_folder_by_name(tmp_path: Path, save: Save, common: Common) -> None:
    path = save(content({}), "json/boxes.json", ("photos/a.png", "json/a.png"))
    for images in ("../photos", tmp_path / "photos"):
        assert read(path, common, images=images).splits["train"].names == ("../photos/a.png",)
    assert read(path, common).splits["train"].names == ("a.png",)


def test_further_files_are_further_splits(save: Save, common: Common) -> None:
    train = save(
        content({"category_id": 8}, {"image_id": 2}), "train/_annotations.json", ("train/a.png", "train/b.png")
    )
    valid = save(content({"category_id": 8}), "valid/_annotations.json", ("valid/a.png",))
    test = save(content({"image_id": 3}), "test/_annotations.json", ("test/c.png",))
    options = {"validation": None, "test": None, "allow_leakage": True}
    dataset = read(train, common, validation_path=valid, test_path=test, **options)
    assert {split: samples.names for split, samples in dataset.splits.items()} == {
        "train": ("a.png", "b.png"),
        "validation": ("../valid/a.png",),
        "test": ("../test/c.png",),
    }
    assert [samples.labels.tolist() for samples in dataset.splits.values()] == [[1, 0], [1], [0]]


def test_the_same_image_in_two_files(save: Save, common: Common) -> None:
    train = save(content({}))
    other = save(content({}), "other.json")
    assert error(train, common, test_path=other)[0] == (
        "other.json: image 1: an image must be listed once. 'a.png' is also in boxes.json: image 1."
    )


# What is wrong ------------------------------------------------------------------------------------------------------


def no_id(*, without: str, key: str = "annotations") -> dict[str, Any]:
    whole = content({})
    del whole[key][0][without]
    return whole


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (no_id(without="id"), "annotation at position 0: there must be 'id'. Received none."),
        (no_id(without="image_id"), "annotation 1: there must be 'image_id'. Received none."),
        (no_id(without="category_id"), "annotation 1 of a.png: there must be 'category_id'. Received none."),
        (no_id(without="id", key="images"), "image at position 0: there must be 'id'. Received none."),
        (no_id(without="file_name", key="images"), "image 1: there must be 'file_name'. Received none."),
        (no_id(without="width", key="images"), "image 1: there must be 'width'. Received none."),
        (no_id(without="name", key="categories"), "category 7: there must be 'name'. Received none."),
        (
            content({"image_id": 99}),
            "annotation 1: image_id must be the id of one of the images. Received 99.",
        ),
        (
            content({"category_id": "cat"}),
            "annotation 1 of a.png: category_id must be the id of one of the categories. Received 'cat'.",
        ),
        (content({"image_id": [1]}), "annotation 1: image_id must be a whole number or text. Received [1]."),
        (content({"id": True}), "annotation at position 0: id must be a whole number or text. Received True."),
        (content({}, {"id": 1}), "annotation 1: ids must be unique. Received this one again."),
        (
            content({}, categories=[{"id": 7, "name": "cat"}, {"id": 7, "name": "dog"}]),
            "category 7: ids must be unique. Received this one again.",
        ),
        (content({}, categories=[{"id": 7, "name": " "}]), "category 7: name must be a name. Received ' '."),
        *(
            (
                content({"bbox": bbox}),
                f"annotation 1 of a.png: bbox must be four numbers [x, y, width, height]. Received {bbox}.",
            )
            for bbox in ([1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, True], 5)
        ),
        (
            content({}, images=[{"id": 1, "file_name": "a.png", "width": 60, "height": -1}]),
            "image 1: width and height must be whole numbers of pixels. Received [60, -1].",
        ),
    ],
)
def test_invalid_entries(save: Save, common: Common, given: dict[str, Any], message: str) -> None:
    lines = error(save(given), common)
    assert lines[0] == f"boxes.json: {message}"
    assert lines[-1] == "Correct the file, or write it again."
    assert len(lines) == (3 if message.startswith("image at") else 2)  # consequences of another error are not reported


def test_many_errors_are_counted(save: Save, common: Common) -> None:
    lines = error(save(content(*[{"image_id": 99}] * 12)), common)
    assert lines[10:] == ["… and 2 more", "Correct the file, or write it again."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [],\n}', ":2: this is not valid JSON from column 1."),
        ("", ":1: this is not valid JSON from column 1."),
        ("[" * 100_000, ": must be a COCO file. Received lists nested too deeply"),
        ('{"images": [NaN]}', ": a COCO file must have 'images', a list of objects."),
        ('{"images": [' + "1" * 5000 + "]}", ": numbers must be of usual length. Received one of thousands of digits."),
        ("[]", ": a COCO file must have 'images', a list of objects. Give the .json file of the annotations."),
        ('{"images": {}}', ": a COCO file must have 'images', a list of objects."),
        ('{"images": [1]}', ": a COCO file must have 'images', a list of objects."),
        ('{"images": []}', ": a COCO file must have 'annotations', a list of objects."),
        ('{"images": [], "annotations": []}', ": a COCO file must have 'categories', a list of objects."),
        (json.dumps(content()), ": train must contain an image with an object to learn. Received none."),
    ],
)
def test_invalid_files(save: Save, common: Common, text: str, message: str) -> None:
    assert error(save(text), common)[0].startswith(f"boxes.json{message}")


def test_paths_that_are_not_files(tmp_path: Path, save: Save, common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    remedy = "Give the .json file of the annotations."
    assert error(tmp_path / "x.json", common) == [f"x.json: no such file. {remedy}"]
    (tmp_path / "y.json").write_bytes(b"{\n\xff}")
    assert error(tmp_path / "y.json", common) == [
        "y.json:2: the COCO file must be UTF-8 text. Received byte 0xff: save it as UTF-8."
    ]
    path = save(content({}))
    monkeypatch.setattr("dlcli.data.boxes.sources.coco_json.MAX_BYTES", 10)
    assert error(path, common) == ["boxes.json: a COCO file may have at most 10 bytes. Split it or give a smaller one."]


def test_bad_boxes_are_named_by_their_id(save: Save, common: Common) -> None:
    path = save(
        content(
            {"bbox": [10, 5, -20, 10]},
            {"image_id": 2, "bbox": [10, 5, 0, 10]},
            {"image_id": 3, "category_id": 8, "bbox": [10, 5, 10**400, 10]},
            images=[
                {"id": 1, "file_name": "a.png"},
                {"id": 2, "file_name": "b.png", "width": 60.0, "height": 40},
                {"id": 3, "file_name": "c.png", "width": 60, "height": 40},
            ],
        )
    )
    assert error(path, common) == [
        "boxes.json: annotation 1 of a.png (cat): its corners are swapped: xmin 10 is greater than xmax -10",
        "boxes.json: annotation 2 of b.png (cat): its box is empty: it has no area in the image",
        "boxes.json: annotation 3 of c.png (dog): its box must be in pixels of the image: xmax is inf",
        "3 of 3 boxes cannot be used. Correct them, or set data.on_bad_box in a recipe: repair or skip.",
    ]


def test_numbers_that_are_not_finite_are_named_by_what_they_belong_to(save: Save, common: Common) -> None:
    path = save(content({}, {"image_id": 2, "bbox": [10, float("nan"), 20, 10]}))
    assert error(path, common)[0] == (
        "boxes.json: annotation 2 of b.png (cat): its box must be in pixels of the image: ymin is nan"
    )
    size = {"id": 1, "file_name": "a.png", "width": float("inf"), "height": 40}
    assert error(save(content({}, images=[size])), common)[0] == (
        "boxes.json: image 1: width and height must be whole numbers of pixels. Received [inf, 40]."
    )
    assert read(save(content({"caption_score": float("nan")})), common).classes == ("cat",)  # nothing uses it


def test_a_missing_image_is_named_by_its_id(save: Save, common: Common) -> None:
    path = save(content({}, {"image_id": 2}), images=("a.png",))
    assert error(path, common)[0] == "boxes.json: image 2: b.png: no such file"


# The same objects in each format ------------------------------------------------------------------------------------


def test_all_formats_give_the_same_data_set(tmp_path: Path, common: Common) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    listed: list[tuple[str, tuple[int, int], list[tuple[str, list[int]]]]] = []
    for i in range(24):
        width, height = (int(side) for side in rng.integers(30, 60, 2))
        exif = Image.Exif()
        exif[0x0112] = 1 + i % 8
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{i}.jpg", exif=exif)
        objects = []
        for _ in range(1 + i % 3):
            x, y, w, h = (int(side) for side in rng.integers(1, 14, 4))
            objects.append((f"class {rng.integers(3)}", [x, y, x + w, y + h]))
        listed.append((f"{i}.jpg", (width, height), objects))

    names = sorted({label for _, _, objects in listed for label, _ in objects})
    coco: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
    coco["categories"] = [{"id": i, "name": name} for i, name in enumerate(reversed(names))]
    rows: list[list[Any]] = []
    for number, (name, (width, height), objects) in enumerate(reversed(listed)):
        coco["images"].append({"id": number, "file_name": name, "width": width, "height": height})
        text = f"<annotation><filename>{name}</filename>"
        text += f"<size><width>{width}</width><height>{height}</height></size>"
        for label, (x1, y1, x2, y2) in objects:
            category = next(entry["id"] for entry in coco["categories"] if entry["name"] == label)
            box = {"id": len(coco["annotations"]), "image_id": number, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            coco["annotations"].append({**box, "category_id": category})
            rows.append([f"images/{name}", label, x1, y1, x2, y2, width, height])
            text += f"<object><name>{label}</name><bndbox><ymax>{y2}</ymax><xmin>{x1}</xmin>"
            text += f"<ymin>{y1}</ymin><xmax>{x2}</xmax></bndbox></object>"
        (tmp_path / "annotations" / name.replace("jpg", "xml")).write_text(text + "</annotation>")
    (tmp_path / "boxes.json").write_text(json.dumps(coco))
    with open(tmp_path / "boxes.csv", "w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "xmin", "ymin", "xmax", "ymax", "w", "h"], *rows])

    keys = {
        "reading": BoxReading(**HOW),
        **common,
        "image_size": (32, 32),
        "resize": "pad",
        "validation": 0.25,
        "test": 0.25,
    }
    lists = dict.fromkeys(("images", "annotations", "train_list", "validation_list", "test_list"))
    columns: dict[str, Any] = {"image": "path", "label": "label", "split": None, "group": None, "size": ("w", "h")}
    sets = [
        read_voc(path=tmp_path, **lists, **keys),
        read_coco(path=tmp_path / "boxes.json", images=None, validation_path=None, test_path=None, **keys),
        read_box_csv(path=tmp_path / "boxes.csv", **columns, **keys),
    ]
    assert [len(samples) for samples in sets[0].splits.values()] == [12, 6, 6]
    for other in sets[1:]:
        assert other.split_rows() == sets[0].split_rows()
        assert other.fingerprint() == sets[0].fingerprint()
        assert other.warnings == sets[0].warnings
        for split, samples in sets[0].splits.items():
            index = np.arange(len(samples))
            assert np.array_equal(other.splits[split].load(index), samples.load(index))
            assert np.array_equal(other.splits[split].labels, samples.labels)
            assert boxes_of(other.splits[split]).frames == boxes_of(samples).frames  # type: ignore[union-attr]
            assert np.array_equal(relative_boxes(other.splits[split]), relative_boxes(samples))  # type: ignore[arg-type]
    assert {row["xmin"] for row in sets[0].split_rows()} != {""}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"area": -5}, "area must be a number of pixels. Received -5."),
        ({"area": "x"}, "area must be a number of pixels. Received 'x'."),
        ({"iscrowd": "maybe"}, "iscrowd must be 0 or 1. Received 'maybe'."),
    ],
)
def test_areas_and_marks_of_crowds_are_checked(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(BadEntry) as error:
        _object("a.json: annotation 3", "cat", {"bbox": [1, 2, 3, 4], **change})
    assert str(error.value) == rule
