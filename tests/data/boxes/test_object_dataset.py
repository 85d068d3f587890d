"""All objects of each image: negatives are kept, bad boxes are named one by one, classes are numbered and counted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.annotated import Annotated
from dlcli.data.boxes.boxes import Corners, Frame, Object
from dlcli.data.boxes.dataset import assemble_objects
from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.errors import InputError

Common = dict[str, Any]
A, B, C = (10.0, 5.0, 30.0, 15.0), (0.0, 0.0, 60.0, 40.0), (40.0, 20.0, 50.0, 39.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """0.png to 19.png of 60x40 pixels; turned.jpg, stored as 60x40 and 40x60 when turned upright; broken.png."""
    for i in range(20):
        Image.new("RGB", (60, 40), (i, 0, 0)).save(tmp_path / f"{i}.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40), (99, 0, 0)).save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


def found(*corners: Corners | None, label: str = "cat", **options: Any) -> list[Object]:
    return [Object("", label, box, **options) for box in corners]


def image(folder: Path, name: str, *objects: Sequence[Object], **options: Any) -> Annotated:
    listed = [item for part in objects for item in part]
    placed = tuple(
        Object(f"list: {name}: object {i}", item.label, item.corners, item.flaw, *_marks(item))
        for i, item in enumerate(listed, 1)
    )
    return Annotated(name=name, place=f"list: {name}", file=folder / name, objects=placed, split="train", **options)


def _marks(item: Object) -> tuple[bool, bool, float | None]:
    return item.is_crowd, item.is_difficult, item.area


def assemble(folder: Path, common: Common, *images: Annotated, **options: Any) -> Dataset:
    how = ObjectReading.__annotations__ | Reading.__annotations__
    reading = ObjectReading(**{key: options.pop(key) for key in list(options) if key in how})
    keys = {**common, "image_size": (40, 60), "validation": 0.0, "test": 0.0, **options}
    return assemble_objects(images, source=folder, reading=reading, left_out=(), common=keys)  # type: ignore[arg-type]


def objects(dataset: Dataset, split: str = "train") -> ObjectBoxes:
    objects = objects_of(dataset.splits[split])
    assert objects is not None
    return objects


def error(folder: Path, common: Common, *images: Annotated, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        assemble(folder, common, *images, **options)
    return [line.removeprefix(f"{folder}/") for line in str(error.value).splitlines()]


def warnings(dataset: Dataset) -> list[str]:
    return list(map(str, dataset.warnings))


# What is kept ---------------------------------------------------------------------------------------------------------


def test_every_object_of_every_image_is_kept(folder: Path, common: Common) -> None:
    dataset = assemble(
        folder,
        common,
        image(folder, "2.png", found(A, label="dog"), found(B, C)),
        image(folder, "0.png", found(C)),
        image(folder, "1.png"),
    )
    assert dataset.classes == ("cat", "dog")
    assert not dataset.has_classes
    assert dataset.splits["train"].names == ("0.png", "1.png", "2.png")
    boxes = objects(dataset)
    assert boxes.corners.tolist() == [list(C), list(A), list(B), list(C)]
    assert boxes.labels.tolist() == [0, 1, 0, 0]
    assert boxes.offsets.tolist() == [0, 1, 1, 4]  # a negative has none
    assert boxes.areas.tolist() == [195, 200, 2400, 195]
    assert boxes.frames == (Frame(60, 40),) * 3
    assert boxes.slots == 3
    assert dataset.left_out == ()
    assert dataset.warnings == ()


def test_crowds_difficult_objects_and_areas_are_those_of_the_annotation(folder: Path, common: Common) -> None:
    dataset = assemble(
        folder,
        common,
        image(folder, "0.png", found(A), found(B, is_crowd=True, area=77.0), found(C, is_difficult=True)),
    )
    boxes = objects(dataset)
    assert boxes.is_crowd.tolist() == [False, True, False]
    assert boxes.is_difficult.tolist() == [False, False, True]
    assert boxes.areas.tolist() == [200, 77, 195]
    assert boxes.slots == 1  # what is trained on


def test_an_object_listed_again_is_used_once(folder: Path, common: Common) -> None:
    dataset = assemble(folder, common, image(folder, "0.png", found(A, A), found(A, label="dog"), found(B)))
    assert objects(dataset).corners.tolist() == [list(A), list(A), list(B)]
    assert [(item.name, item.reason) for item in dataset.left_out] == [("list: 0.png: object 2", "listed again")]


def test_the_frame_is_that_of_the_annotated_size(folder: Path, common: Common) -> None:
    boxes = objects(
        assemble(
            folder,
            common,
            image(folder, "0.png", found(A)),
            image(folder, "turned.jpg", found((0, 0, 60, 40)), size=(60, 40)),
        )
    )
    assert boxes.frames == (Frame(60, 40), Frame(60, 40, 6))


# Bad boxes ------------------------------------------------------------------------------------------------------------


def bad_images(folder: Path) -> list[Annotated]:
    return [
        image(folder, "0.png", found(A, (30, 5, 10, 15), (10, 5, 10, 15))),
        image(folder, "1.png", found((0, 0, 5, 5)), size=(30, 20)),
        image(folder, "2.png", found(None), found(B, label="dog")),
        image(folder, "3.png", found(None, flaw="there is no box (bndbox)")),
    ]


def test_every_bad_box_is_named(folder: Path, common: Common) -> None:
    assert error(folder, common, *bad_images(folder)) == [
        "list: 0.png: object 2 (cat): its corners are swapped: xmin 30 is greater than xmax 10",
        "list: 0.png: object 3 (cat): its box is empty: it has no area in the image",
        "list: 1.png: the annotation is for an image of 30x20, but the image has 60x40",
        "list: 2.png: object 1 (cat): there is no box",
        "list: 3.png: object 1 (cat): there is no box (bndbox)",
        "5 of 7 boxes cannot be used. Correct them, or set data.on_bad_box in a recipe: repair or skip.",
    ]


def test_skipping_leaves_out_objects_and_no_image_silently(folder: Path, common: Common) -> None:
    dataset = assemble(folder, common, *bad_images(folder), on_bad_box="skip")
    assert dataset.splits["train"].names == ("0.png", "2.png")
    assert objects(dataset).corners.tolist() == [list(A), list(B)]
    assert [(item.name, item.reason) for item in dataset.left_out] == [
        ("list: 0.png: object 2", "its corners are swapped: xmin 30 is greater than xmax 10"),
        ("list: 0.png: object 3", "its box is empty: it has no area in the image"),
        ("list: 1.png: object 1", "the annotation is for an image of 30x20, but the image has 60x40"),
        ("list: 2.png: object 1", "there is no box"),
        ("list: 3.png: object 1", "there is no box (bndbox)"),
        ("1.png", "none of its objects has a valid box"),
        ("3.png", "none of its objects has a valid box"),
    ]
    assert warnings(dataset) == [
        "5 bad boxes were left out (data.on_bad_box): list: 0.png: object 2, list: 0.png: object 3, list: 1.png: "
        "object 1, ….",
        "2 images are left out: none of their objects has a valid box (data.on_bad_box).",
    ]


def test_repairing(folder: Path, common: Common) -> None:
    dataset = assemble(folder, common, *bad_images(folder), on_bad_box="repair")
    assert dataset.splits["train"].names == ("0.png", "1.png", "2.png")
    assert objects(dataset).corners.tolist() == [list(A), [10, 5, 30, 15], [0, 0, 10, 10], list(B)]
    assert warnings(dataset) == [
        "2 bad boxes were repaired (data.on_bad_box): list: 0.png: object 2, list: 1.png: object 1.",
        "3 bad boxes were left out (data.on_bad_box): list: 0.png: object 3, list: 2.png: object 1, list: 3.png: "
        "object 1.",
        "1 image is left out: none of its objects has a valid box (data.on_bad_box).",
    ]


def test_proportions_are_refused(folder: Path, common: Common) -> None:
    lines = error(folder, common, image(folder, "0.png", found((0.1, 0.2, 0.5, 0.9), (0, 0, 1, 1))))
    assert lines[0].endswith(
        "boxes must be in pixels of their images. Received 2 boxes, all between 0 and 1: multiply them by the images' "
        "width and height."
    )


def test_a_corrupt_image_is_named_or_left_out_with_its_objects(folder: Path, common: Common) -> None:
    images = [image(folder, "0.png", found(A)), image(folder, "broken.png", found(A, B))]
    assert "1 of 2 images cannot be read" in error(folder, common, *images)[-1]
    dataset = assemble(folder, common, *images, on_bad_image="skip")
    assert dataset.splits["train"].names == ("0.png",)
    assert objects(dataset).corners.tolist() == [list(A)]
    assert objects(dataset).slots == 1


# Classes and splits ---------------------------------------------------------------------------------------------------


def of_split(folder: Path, name: str, split: str, *objects: Sequence[Object]) -> Annotated:
    made = image(folder, name, *objects)
    return Annotated(**{**vars(made), "split": split})


def test_classes_that_a_split_lacks_are_reported(folder: Path, common: Common) -> None:
    dataset = assemble(
        folder,
        common,
        of_split(folder, "0.png", "train", found(A), found(B, label="dog"), found(C, label="bird", is_crowd=True)),
        of_split(folder, "1.png", "validation", found(A, label="dog", is_difficult=True), found(A, B)),
        of_split(folder, "2.png", "test"),
        validation=None,
        test=None,
    )
    assert dataset.classes == ("bird", "cat", "dog")
    assert warnings(dataset) == [
        "train has no object of class 'bird'.",
        "validation has no object of 2 of the 3 classes: 'bird', 'dog'.",
        "test has no object of 3 of the 3 classes: 'bird', 'cat', 'dog'.",
    ]


def test_a_class_that_train_lacks_is_refused(folder: Path, common: Common) -> None:
    images = [
        of_split(folder, "0.png", "train", found(A)),
        of_split(folder, "1.png", "validation", found(A, label="cta")),
    ]
    lines = error(folder, common, *images, validation=None, test=None)
    assert "every class in validation must also be in train. Received 'cta'" in lines[0]


def test_the_classes_to_learn_can_be_chosen_and_ordered(folder: Path, common: Common) -> None:
    images = [
        image(folder, "0.png", found(A, label="dog"), found(B)),
        image(folder, "1.png", found(C, label="tree")),
    ]
    dataset = assemble(folder, common, *images, learned=("dog", "cat"))
    assert dataset.classes == ("dog", "cat")
    assert objects(dataset).labels.tolist() == [0, 1]
    assert objects(dataset).counts.tolist() == [2, 0]  # the image of a tree is a negative
    assert [(item.name, item.reason) for item in dataset.left_out] == [
        ("list: 1.png: object 1", "not one of data.classes: 'tree'")
    ]
    unknown = assemble(folder, common, *images, learned=("dog", "bird"))
    assert warnings(unknown) == ["train has no object of class 'bird'."]


def test_the_labels_of_a_trained_model(folder: Path, common: Common) -> None:
    images = [image(folder, "0.png", found(A, label="dog"), found(B, label="Katze"))]
    dataset = assemble(folder, common, *images, classes=("cat", "dog", "bird"), aliases={"Katze": "cat"})
    assert dataset.classes == ("cat", "dog", "bird")
    assert objects(dataset).labels.tolist() == [1, 0]
    assert "must be one of the trained model's" in error(folder, common, *images, classes=("cat", "dog"))[0]
    negatives = assemble(folder, common, image(folder, "0.png"), classes=("cat",))  # to count false detections on
    assert objects(negatives).counts.tolist() == [0]


@pytest.mark.parametrize("marks", [{"is_crowd": True}, {"is_difficult": True}, None])
def test_there_must_be_an_object_to_learn(folder: Path, common: Common, marks: dict[str, bool] | None) -> None:
    listed = [] if marks is None else found(A, **marks)
    lines = error(folder, common, image(folder, "0.png", listed), image(folder, "1.png"))
    rule = "no image to train on has an object." if marks is None else "train must contain an image with an object"
    assert rule in lines[0]


def test_train_and_validation_have_room_for_the_most_of_both(folder: Path, common: Common) -> None:
    rng = np.random.default_rng(0)
    boxes = [tuple(map(float, (i, i, i + 5, i + 5))) for i in range(20)]
    images = [
        of_split(folder, "0.png", "train", found(*boxes[:3])),
        of_split(folder, "1.png", "validation", found(*boxes[:4])),
        of_split(folder, "2.png", "test", found(*boxes[:7])),
    ]
    dataset = assemble(folder, common, *images, validation=None, test=None)
    assert [objects(dataset, split).slots for split in dataset.splits] == [4, 4, 7]
    drawn = assemble(
        folder,
        common,
        *(image(folder, f"{i}.png", found(*boxes[: rng.integers(0, 5)])) for i in range(20)),
        validation=0.2,
        test=0.2,
    )
    sizes = {split: len(samples) for split, samples in drawn.splits.items()}
    assert sizes == {"train": 12, "validation": 4, "test": 4}
    assert objects(drawn).slots == max(objects(drawn).most_trained, objects(drawn, "validation").most_trained)


def test_a_change_of_a_box_changes_the_fingerprint(folder: Path, common: Common) -> None:
    def fingerprint(*corners: Corners) -> str:
        return assemble(folder, common, image(folder, "0.png", found(*corners))).fingerprint()

    assert fingerprint(A, B) == fingerprint(A, B)
    assert len({fingerprint(A, B), fingerprint(A), fingerprint(A, (0, 0, 60, 39))}) == 3
    rows = assemble(folder, common, image(folder, "0.png", found(A, B))).split_rows()
    assert rows[0]["label"] == ""
    assert rows[0]["objects"] == "2"
