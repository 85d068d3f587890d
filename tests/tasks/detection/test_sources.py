"""The same objects in every format, and the sections that read other data like those of a model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.data.images.samples import Dataset
from dlcli.errors import InputError
from dlcli.recipe.sections.detection_data import CocoObjects, DetectionData, InstanceFiles, SceneObjects
from dlcli.runtime.console import Console
from dlcli.tasks.detection.sources import instance_section_for, read_dataset, section_for

WIDTH, HEIGHT = 60, 40
OBJECTS: dict[str, list[tuple[str, tuple[int, int, int, int]]]] = {
    "a.png": [("cat", (10, 5, 30, 15)), ("dog", (0, 0, 60, 40))],
    "b.png": [],
    "c.png": [("dog", (45, 20, 51, 38)), ("cat", (3, 4, 9, 10)), ("cat", (30, 10, 42, 30))],
}


def pixels(name: str) -> np.ndarray:
    return np.random.default_rng(list(name.encode())).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def save_images(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in OBJECTS:
        Image.fromarray(pixels(name)).save(folder / name)


def voc(folder: Path) -> dict[str, Any]:
    save_images(folder / "JPEGImages")
    (folder / "Annotations").mkdir()
    for name, listed in OBJECTS.items():
        found = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
            "</bndbox></object>"
            for label, (x1, y1, x2, y2) in listed
        )
        text = f"<annotation><filename>{name}</filename>{found}</annotation>"
        (folder / "Annotations" / f"{name[:-4]}.xml").write_text(text)
    return {"kind": "voc", "path": str(folder)}


def coco(folder: Path, **marks: Any) -> dict[str, Any]:
    save_images(folder / "images")
    annotations = [
        {"image_id": i, "category_id": 1 + (label == "dog"), "bbox": [x1, y1, x2 - x1, y2 - y1], **marks}
        for i, listed in enumerate(OBJECTS.values())
        for label, (x1, y1, x2, y2) in listed
    ]
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(OBJECTS)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [{"id": i, **annotation} for i, annotation in enumerate(annotations)],
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return {"kind": "coco", "path": str(folder / "boxes.json")}


def yolo(folder: Path) -> dict[str, Any]:
    save_images(folder / "images")
    (folder / "labels").mkdir()
    (folder / "data.yaml").write_text("train: images\nnames: [cat, dog]\n")
    for name, listed in OBJECTS.items():
        lines = [
            f"{int(label == 'dog')} {(x1 + x2) / 2 / WIDTH} {(y1 + y2) / 2 / HEIGHT} "
            f"{(x2 - x1) / WIDTH} {(y2 - y1) / HEIGHT}"
            for label, (x1, y1, x2, y2) in listed
        ]
        (folder / "labels" / f"{name[:-4]}.txt").write_text("\n".join(lines))
    return {"kind": "yolo", "path": str(folder / "data.yaml")}


def csv(folder: Path) -> dict[str, Any]:
    save_images(folder)
    lines = ["path,label,xmin,ymin,xmax,ymax"]
    for name, listed in OBJECTS.items():
        lines += [f"{name},{label},{x1},{y1},{x2},{y2}" for label, (x1, y1, x2, y2) in listed]
        lines += [] if listed else [f"{name},,,,,"]
    (folder / "boxes.csv").write_text("\n".join(lines))
    return {"kind": "csv", "path": str(folder / "boxes.csv")}


def npz(folder: Path) -> dict[str, Any]:
    boxes = np.full((len(OBJECTS), 3, 4), -1)
    classes = np.full((len(OBJECTS), 3), "", "<U3")
    for i, listed in enumerate(OBJECTS.values()):
        for j, (label, corners) in enumerate(listed):
            boxes[i, j], classes[i, j] = corners, label
    x = np.stack([pixels(name) for name in OBJECTS])
    np.savez(folder / "boxes.npz", x_train=x, boxes_train=boxes, box_class_train=classes)
    return {"kind": "npz", "path": str(folder / "boxes.npz")}


FORMATS = {"voc": voc, "coco": coco, "yolo": yolo, "csv": csv, "npz": npz}
every_format = pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
Write = Callable[[Path], dict[str, Any]]


def section(keys: dict[str, Any]) -> DetectionData:
    adapter: TypeAdapter[DetectionData] = TypeAdapter(DetectionData)
    return adapter.validate_python({"validation": 0.0, "test": 0.0, **keys})


def objects(dataset: Dataset) -> ObjectBoxes:
    found = objects_of(dataset.splits["train"])
    assert found is not None
    return found


@pytest.fixture
def console() -> Console:
    return Console(quiet=True)


@every_format
def test_every_format_has_the_same_objects(write: Write, tmp_path: Path, console: Console) -> None:
    dataset = read_dataset(section(write(tmp_path)), console)
    assert dataset.classes == ("cat", "dog")
    found = objects(dataset)
    listed = [item for of_image in OBJECTS.values() for item in of_image]
    np.testing.assert_allclose(found.corners, [corners for _, corners in listed], atol=1e-9)
    assert [dataset.classes[label] for label in found.labels] == [label for label, _ in listed]
    assert found.counts.tolist() == [2, 0, 3]
    assert found.slots == 3
    assert found.min_visible == 0.3
    assert not found.is_crowd.any()
    assert not found.is_difficult.any()
    np.testing.assert_array_equal(dataset.splits["train"].load(np.array([2]))[0], pixels("c.png"))
    assert dataset.left_out == ()
    assert dataset.warnings == ()


@every_format
def test_other_data_are_read_like_those_of_a_model(write: Write, tmp_path: Path, console: Console) -> None:
    """Whatever the format of either; the classes are numbered as the model's."""
    given = write(tmp_path)
    path = tmp_path if given["kind"] == "voc" else Path(given["path"])
    images = {"image_size": (20, 30), "color_mode": "rgb", "resize": "pad"}
    for trained_on in (section({"kind": "scenes", "min_visible": 0.5}), section({**given, "min_visible": 0.5})):
        other = section_for(path, trained_on, images)
        assert (other.kind, other.image_size, other.resize) == (given["kind"], (20, 30), "pad")
        dataset = read_dataset(other, console, classes=("dog", "bird", "cat"))
        assert dataset.classes == ("dog", "bird", "cat")
        assert len(dataset.splits["train"]) == 3
        assert objects(dataset).labels.tolist() == [2, 0, 0, 2, 2]
        assert objects(dataset).min_visible == 0.5


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="expected a recipe, a Pascal VOC or YOLO folder"):
        section_for(tmp_path / "notes.txt", section({"kind": "scenes"}), {})


def test_scenes(console: Console) -> None:
    given = section({"kind": "scenes", "num_samples": 6, "image_size": (24, 24)})
    dataset = read_dataset(given, console)
    assert len(dataset.splits["train"]) == 6
    assert read_dataset(given, console, classes=dataset.classes).classes == dataset.classes
    with pytest.raises(InputError, match="the classes must be those of the model: cat"):
        read_dataset(given, console, classes=("cat",))


def test_crowds_are_kept(tmp_path: Path, console: Console) -> None:
    content = json.loads(Path(coco(tmp_path)["path"]).read_text())
    content["annotations"][1] |= {"iscrowd": 1, "area": 123.5}
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    found = objects(read_dataset(section({"kind": "coco", "path": str(tmp_path / "boxes.json")}), console))
    assert found.is_crowd.tolist() == [False, True, False, False, False]
    assert found.areas.tolist() == [200, 123.5, 108, 36, 240]


def test_difficult_objects_are_kept(tmp_path: Path, console: Console) -> None:
    given = section(voc(tmp_path))
    file = tmp_path / "Annotations" / "c.xml"
    file.write_text(file.read_text().replace("<bndbox>", "<difficult>1</difficult><bndbox>", 1))
    found = objects(read_dataset(given, console))
    assert found.is_difficult.tolist() == [False, False, True, False, False]
    assert found.slots == 2


def test_a_yolo_image_without_a_file_of_objects_is_a_negative(tmp_path: Path, console: Console) -> None:
    given = section(yolo(tmp_path))
    (tmp_path / "labels" / "b.txt").unlink()
    dataset = read_dataset(given, console)
    assert objects(dataset).counts.tolist() == [2, 0, 3]
    assert list(map(str, dataset.warnings)) == ["1 image has no .txt file of objects: taken as without objects."]


def test_a_row_with_a_class_and_without_a_box_is_a_bad_box(tmp_path: Path, console: Console) -> None:
    given = csv(tmp_path)
    file = tmp_path / "boxes.csv"
    file.write_text(file.read_text().replace("b.png,,,,,", "b.png,cat,,,,"))
    with pytest.raises(InputError, match=r"boxes\.csv:4 \(cat\): there is no box"):
        read_dataset(section(given), console)
    dataset = read_dataset(section({**given, "on_bad_box": "skip"}), console)
    assert dataset.splits["train"].names == ("a.png", "c.png")
    file.write_text(file.read_text().replace("b.png,cat,,,,", "b.png,,1,2,3,4"))
    with pytest.raises(InputError, match=r"boxes\.csv:4: column 'label' must not be empty\."):
        read_dataset(section(given), console)


def test_classes_are_chosen(tmp_path: Path, console: Console) -> None:
    dataset = read_dataset(section({**voc(tmp_path), "classes": ("dog",)}), console)
    assert dataset.classes == ("dog",)
    assert objects(dataset).counts.tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match=r"each class can be named once\. Received 'dog' twice"):
        section({"kind": "voc", "path": ".", "classes": ("dog", "cat", "dog")})


# Masks of objects -----------------------------------------------------------------------------------------------------


def assert_masks_fill_their_boxes(dataset: Dataset) -> None:
    found = objects(dataset)
    assert found.instances is not None
    assert len(found.instances) == len(found)
    for i, instances in enumerate(found.instances):
        own = slice(*found.offsets[i : i + 2])
        masks = instances.read()
        assert masks.shape == (found.counts[i], HEIGHT, WIDTH)
        for mask, corners in zip(masks, found.corners[own], strict=True):
            rows, columns = np.nonzero(mask)
            box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            np.testing.assert_allclose(box, corners, atol=1e-6)


def with_segmentations(folder: Path) -> DetectionData:
    """The COCO file with a rectangle as polygon for each object, and a run-length encoding for the last."""
    content = json.loads(Path(coco(folder)["path"]).read_text())
    for annotation in content["annotations"]:
        x, y, wide, high = annotation["bbox"]
        annotation["segmentation"] = [[x, y, x + wide, y, x + wide, y + high, x, y + high]]
    x, y, wide, high = content["annotations"][-1]["bbox"]
    column = [high, HEIGHT - high]
    counts = [x * HEIGHT + y, *(column * wide)[:-1], HEIGHT - y - high + (WIDTH - x - wide) * HEIGHT]
    content["annotations"][-1]["segmentation"] = {"counts": counts, "size": [HEIGHT, WIDTH]}
    (folder / "boxes.json").write_text(json.dumps(content))
    return section({"kind": "coco", "path": str(folder / "boxes.json")})


def test_masks_of_coco(tmp_path: Path, console: Console) -> None:
    given = with_segmentations(tmp_path)
    dataset = read_dataset(given, console, has_masks=True)
    assert_masks_fill_their_boxes(dataset)
    assert objects(dataset).areas.tolist() == [200, 2400, 108, 36, 240]
    assert objects(read_dataset(given, console)).instances is None


def test_objects_without_masks_and_encodings_of_other_sizes_are_bad(tmp_path: Path, console: Console) -> None:
    given = with_segmentations(tmp_path)
    content = json.loads((tmp_path / "boxes.json").read_text())
    content["annotations"][-1]["segmentation"]["counts"][-1] += 8
    content["annotations"][0]["segmentation"] = []
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    with pytest.raises(InputError) as error:
        read_dataset(given, console, has_masks=True)
    assert str(error.value).replace(f"{tmp_path}/", "").splitlines()[:2] == [
        "boxes.json: annotation 0 of a.png (cat): there is no mask",
        "boxes.json: annotation 4 of c.png (cat): its encoding is for 2,408 pixels, but the image has 2,400",
    ]
    skipped = read_dataset(given.model_copy(update={"on_bad_box": "skip"}), console, has_masks=True)
    assert objects(skipped).counts.tolist() == [1, 0, 2]
    assert_masks_fill_their_boxes(skipped)
    assert objects(read_dataset(given, console)).counts.tolist() == [2, 0, 3]  # boxes alone are not affected


def test_masks_of_yolo_segments(tmp_path: Path, console: Console) -> None:
    given = section(yolo(tmp_path))
    for name, listed in OBJECTS.items():
        lines = [
            f"{int(label == 'dog')} {x1 / WIDTH} {y1 / HEIGHT} {x2 / WIDTH} {y1 / HEIGHT} {x2 / WIDTH} {y2 / HEIGHT} "
            f"{x1 / WIDTH} {y2 / HEIGHT}"
            for label, (x1, y1, x2, y2) in listed
        ]
        (tmp_path / "labels" / f"{name[:-4]}.txt").write_text("\n".join(lines))
    dataset = read_dataset(given, console, has_masks=True)
    assert_masks_fill_their_boxes(dataset)


def test_masks_of_scenes(console: Console) -> None:
    given = section({"kind": "scenes", "num_samples": 6, "image_size": (HEIGHT, WIDTH)})
    assert_masks_fill_their_boxes(read_dataset(given, console, has_masks=True))
    assert objects(read_dataset(given, console)).instances is None


def test_masks_with_ids(tmp_path: Path, console: Console) -> None:
    save_images(tmp_path / "images")
    (tmp_path / "masks").mkdir()
    for name, listed in OBJECTS.items():
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for value, (_, (x1, y1, x2, y2)) in reversed(list(enumerate(listed, 1))):
            mask[y1:y2, x1:x2] = value
        Image.fromarray(mask).save(tmp_path / "masks" / name)
    given = InstanceFiles(kind="masks", path=str(tmp_path), label="animal", validation=0.0, test=0.0)
    dataset = read_dataset(given, console, has_masks=True)
    assert dataset.classes == ("animal",)
    assert objects(dataset).counts.tolist() == [2, 0, 3]
    assert_masks_fill_their_boxes(dataset)
    other = instance_section_for(tmp_path, given, {"image_size": (20, 30), "resize": "pad"})
    assert isinstance(other, InstanceFiles)
    assert (other.label, other.image_size, other.test) == ("animal", (20, 30), 0.0)
    assert objects(read_dataset(other, console, has_masks=True, classes=("animal",))).counts.tolist() == [2, 0, 3]


def test_arrays_have_no_masks(tmp_path: Path, console: Console) -> None:
    with pytest.raises(InputError, match="masks of objects must be in files"):
        read_dataset(section(npz(tmp_path)), console, has_masks=True)


def test_other_data_with_masks_are_read_like_those_of_a_model(tmp_path: Path, console: Console) -> None:
    given = with_segmentations(tmp_path)
    scenes = section({"kind": "scenes", "image_size": (24, 24)})
    assert isinstance(given, CocoObjects)
    assert isinstance(scenes, SceneObjects)
    for trained_on in (given, scenes):
        other = instance_section_for(tmp_path / "boxes.json", trained_on, {})
        assert_masks_fill_their_boxes(read_dataset(other, console, has_masks=True, classes=("cat", "dog")))
    with pytest.raises(InputError, match=r"expected a recipe, a YOLO folder, a COCO \.json or a folder of shards"):
        instance_section_for(tmp_path, given, {})
