"""Boxes are checked against images, repaired or left out; one object of each image is chosen."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.annotated import Annotated, whole
from dlcli.data.boxes.boxes import Corners, Frame, Object, boxes_of
from dlcli.data.boxes.dataset import BoxReading, Chosen, assemble_objects, choose_objects
from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.table import parse_number
from dlcli.errors import InputError

Common = dict[str, Any]
SOUND = (10.0, 5.0, 30.0, 15.0)


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


def image(folder: Path, name: str, *found: Corners | None, label: str = "cat", **options: Any) -> Annotated:
    objects = tuple(Object(f"list: {name}: object {i}", label, corners) for i, corners in enumerate(found, 1))
    return Annotated(
        name=name, place=f"list: {name}", file=folder / name, objects=objects, **{"split": "train", **options}
    )


def choose(folder: Path, *images: Annotated, **options: Any) -> Chosen:
    return choose_objects(images, folder=folder, **{"several": "largest", "on_bad_box": "error", **options})


def error(folder: Path, *images: Annotated, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        choose(folder, *images, **options)
    return [line.removeprefix(f"{folder}/") for line in str(error.value).splitlines()]


def assemble(folder: Path, common: Common, *images: Annotated, **options: Any) -> Dataset:
    known = {"left_out": (), **options}
    how = BoxReading.__annotations__ | Reading.__annotations__
    reading = BoxReading(**{key: known.pop(key) for key in list(known) if key in how})
    extra = {key: known.pop(key) for key in list(known) if key in common}
    common = {**common, "validation": 0.0, "test": 0.0, **extra}
    return assemble_objects(images, source=folder, reading=reading, common=common, **known)


# Choosing -----------------------------------------------------------------------------------------------------------


def test_one_object_is_chosen_for_each_image(folder: Path) -> None:
    images = [
        image(folder, "0.png", SOUND),
        image(folder, "1.png"),
        image(folder, "2.png", (0, 0, 5, 5), SOUND, label="dog"),
        image(folder, "3.png", None),
        image(folder, "4.png", SOUND, (0, 0, 5, 5), (0, 0, 1, 1)),
    ]
    largest = choose(folder, *images)
    assert [taken.name for taken in largest.images] == ["0.png", "2.png", "3.png", "4.png"]
    assert largest.labels == ("cat", "dog", "cat", "cat")
    expected = [SOUND, SOUND, (math.nan,) * 4, SOUND]
    assert np.array_equal(largest.boxes.corners, expected, equal_nan=True)
    assert largest.boxes.frames == (Frame(60, 40),) * 4
    assert [(item.name, item.reason) for item in largest.left_out] == [("1.png", "no object")]
    assert tuple(map(str, largest.warnings)) == (
        "2 images have several objects; the largest is learned (data.several).",
    )

    first = choose(folder, *images[:3], several="first")
    assert first.boxes.corners[1].tolist() == [0, 0, 5, 5]
    assert tuple(map(str, first.warnings)) == ("1 image has several objects; the first is learned (data.several).",)

    alone = choose(folder, *images, several="leave_out")
    assert [taken.name for taken in alone.images] == ["0.png", "3.png"]
    assert [item.reason for item in alone.left_out] == ["no object", "several objects: 2", "several objects: 3"]
    assert alone.warnings == ()


def test_an_object_listed_twice_is_used_once(folder: Path) -> None:
    chosen = choose(folder, image(folder, "0.png", SOUND, SOUND), several="leave_out")
    assert len(chosen.images) == 1
    assert [(item.name, item.reason) for item in chosen.left_out] == [("list: 0.png: object 2", "listed again")]
    assert chosen.warnings == ()


def test_the_frame_is_that_of_the_annotated_size(folder: Path) -> None:
    stored = choose(folder, image(folder, "turned.jpg", (0, 0, 60, 40), size=(60, 40)))
    assert stored.boxes.frames == (Frame(60, 40, 6),)
    upright = choose(folder, image(folder, "turned.jpg", (0, 0, 40, 60), size=(40, 60)))
    assert upright.boxes.frames == (Frame(40, 60),)
    assert choose(folder, image(folder, "turned.jpg", (0, 0, 40, 60))).boxes.frames == (Frame(40, 60),)
    assert error(folder, image(folder, "turned.jpg", (0, 0, 60, 40)))[0].endswith(
        "its box is outside of the image of 40x60: xmax is 60"
    )


# Bad boxes ----------------------------------------------------------------------------------------------------------

REMEDY = "Correct them, or set data.on_bad_box in a recipe: repair or skip."


def test_every_bad_box_is_named(folder: Path) -> None:
    images = [
        image(folder, "0.png", SOUND, (30, 5, 10, 15)),
        image(folder, "1.png", (10, 5, 10, 15), (10, 5, 80, 15), SOUND),
        image(folder, "2.png", (10, 5, math.nan, 15), label="dog"),
        image(folder, "3.png", (10, -math.inf, 20, 15)),
        image(folder, "4.png", (10, 5, 1e300, 15)),
        image(folder, "5.png", SOUND, (0, 0, 9, 9), size=(120, 80)),
        image(folder, "6.png", None, size=(120, 80)),
        image(folder, "7.png", size=(120, 80)),
    ]
    assert error(folder, *images) == [
        "list: 0.png: object 2 (cat): its corners are swapped: xmin 30 is greater than xmax 10",
        "list: 1.png: object 1 (cat): its box is empty: it has no area in the image",
        "list: 1.png: object 2 (cat): its box is outside of the image of 60x40: xmax is 80",
        "list: 2.png: object 1 (dog): its box must be in pixels of the image: xmax is nan",
        "list: 3.png: object 1 (cat): its box must be in pixels of the image: ymin is -inf",
        "list: 4.png: object 1 (cat): its box must be in pixels of the image: xmax is 1e+300",
        "list: 5.png: the annotation is for an image of 120x80, but the image has 60x40",
        f"8 of 10 boxes cannot be used. {REMEDY}",
    ]


def test_many_bad_boxes_are_counted(folder: Path) -> None:
    lines = error(folder, *[image(folder, f"{i}.png", (9, 9, 5, 12)) for i in range(13)])
    assert len(lines) == 12
    assert lines[9].startswith("list: 9.png: object 1")
    assert lines[10:] == ["… and 3 more", f"13 of 13 boxes cannot be used. {REMEDY}"]


def test_bad_boxes_are_repaired(folder: Path) -> None:
    chosen = choose(
        folder,
        image(folder, "0.png", (30, 15, 10, 5)),
        image(folder, "1.png", (10, 5, 800, 15)),
        image(folder, "2.png", (20, 10, 60, 30), size=(120, 80)),
        image(folder, "3.png", (70, 5, 80, 15), SOUND),
        image(folder, "4.png", (10, 5, math.inf, 15)),
        image(folder, "5.png", SOUND),
        image(folder, "6.png", (9, 9, 1, 1)),
        on_bad_box="repair",
    )
    assert [taken.name for taken in chosen.images] == ["0.png", "1.png", "2.png", "3.png", "5.png", "6.png"]
    assert chosen.boxes.corners.tolist() == [
        [10, 5, 30, 15],
        [10, 5, 60, 15],
        [10, 5, 30, 15],
        list(SOUND),
        list(SOUND),
        [1, 1, 9, 9],
    ]
    assert chosen.boxes.frames == (Frame(60, 40),) * 6
    assert [(item.name, item.reason) for item in chosen.left_out] == [("4.png", "no valid box")]
    assert tuple(map(str, chosen.warnings)) == (
        "4 bad boxes were repaired (data.on_bad_box): "
        "list: 0.png: object 1, list: 1.png: object 1, list: 2.png: object 1, ….",
        "2 bad boxes were left out (data.on_bad_box): list: 3.png: object 1, list: 4.png: object 1.",
    )


def test_objects_with_bad_boxes_are_left_out(folder: Path) -> None:
    chosen = choose(
        folder,
        image(folder, "0.png", (30, 15, 10, 5), SOUND),
        image(folder, "1.png", SOUND, size=(120, 80)),
        image(folder, "2.png", SOUND),
        on_bad_box="skip",
        several="leave_out",
    )
    assert [taken.name for taken in chosen.images] == ["0.png", "2.png"]
    assert [(item.name, item.reason) for item in chosen.left_out] == [("1.png", "no valid box")]
    assert tuple(map(str, chosen.warnings)) == (
        "2 bad boxes were left out (data.on_bad_box): list: 0.png: object 1, list: 1.png: object 1.",
    )
    one = choose(folder, image(folder, "0.png", (30, 15, 10, 5), SOUND), on_bad_box="skip")
    assert tuple(map(str, one.warnings)) == ("1 bad box was left out (data.on_bad_box): list: 0.png: object 1.",)


# Assembling ---------------------------------------------------------------------------------------------------------


def test_images_are_sorted_by_name(folder: Path, common: Common) -> None:
    dataset = assemble(
        folder,
        common,
        image(folder, "2.png", SOUND, label="dog", group="x"),
        image(folder, "0.png", (1, 2, 3, 4), group="y"),
        image(folder, "1.png", None, split="validation", group="z"),
    )
    assert dataset.classes == ("cat", "dog")
    rows = [tuple(row.values())[:4] + tuple(row.values())[5:] for row in dataset.split_rows()]
    assert rows == [
        ("0.png", "train", "cat", "y", "1", "2", "3", "4"),
        ("2.png", "train", "dog", "x", "10", "5", "30", "15"),
        ("1.png", "validation", "cat", "z", "", "", "", ""),
    ]
    assert tuple(map(str, dataset.warnings)) == ("validation has no sample of class 'dog'.",)


def test_one_class_is_enough(folder: Path, common: Common) -> None:
    assert assemble(folder, common, image(folder, "0.png", SOUND)).classes == ("cat",)


def test_classes_of_a_trained_model(folder: Path, common: Common) -> None:
    images = [image(folder, "0.png", SOUND), image(folder, "1.png", SOUND, label="hound")]
    trained = {"classes": ("dog", "bird", "cat"), "aliases": {"hound": "dog"}}
    dataset = assemble(folder, common, *images, **trained)
    assert dataset.classes == ("dog", "bird", "cat")
    assert dataset.splits["train"].labels.tolist() == [2, 0]
    with pytest.raises(InputError, match=r"every class must be one of the trained model's. Received 'hound'"):
        assemble(folder, common, *images, classes=("cat", "dog"))


def test_a_class_whose_images_are_all_unreadable(folder: Path, common: Common) -> None:
    images = [image(folder, "0.png", SOUND), image(folder, "broken.png", SOUND, label="dog")]
    with pytest.raises(
        InputError, match=r"train must have a readable image of each class. Received none of class 'dog'"
    ):
        assemble(folder, common, *images, on_bad_image="skip")
    dataset = assemble(folder, common, *images, on_bad_image="skip", classes=("cat", "dog"))
    assert dataset.splits["train"].names == ("0.png",)


def test_copies_stay_in_one_split(folder: Path, common: Common) -> None:
    for i in range(10, 20):
        (folder / f"{i}.png").write_bytes((folder / f"{i - 10}.png").read_bytes())
    images = [image(folder, f"{i}.png", SOUND) for i in range(20)]
    dataset = assemble(folder, common, *images, validation=0.3, test=0.3)
    split_of = {row["file"]: row["split"] for row in dataset.split_rows()}
    assert len(set(split_of.values())) == 3
    assert all(split_of[f"{i}.png"] == split_of[f"{i + 10}.png"] for i in range(10))


def test_an_unreadable_image_is_reported_once(folder: Path, common: Common) -> None:
    images = [
        image(folder, "0.png", SOUND),
        image(folder, "broken.png", (9, 9, 1, 1)),
        image(folder, "missing.png", SOUND),
    ]
    with pytest.raises(InputError) as error:
        assemble(folder, common, *images)
    assert str(error.value).splitlines()[:2] == [
        f"{folder}/list: broken.png: broken.png: its PNG header is corrupt or truncated",
        f"{folder}/list: missing.png: missing.png: no such file",
    ]
    dataset = assemble(folder, common, *images, on_bad_image="skip")
    assert dataset.splits["train"].names == ("0.png",)
    assert [item.name for item in dataset.left_out] == ["broken.png", "missing.png"]


def test_boxes_follow_the_remaining_images(folder: Path, common: Common) -> None:
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:60])  # its header is complete
    images = [image(folder, f"{i}.png", (i, 0, i + 5, 9)) for i in range(4)]
    dataset = assemble(folder, common, *images, on_bad_image="skip")
    boxes = boxes_of(dataset.splits["train"])
    assert boxes is not None
    assert dataset.splits["train"].names == ("0.png", "2.png", "3.png")
    assert boxes.corners[:, 0].tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (("train", "test"), "test must contain an image with an object to learn. Received none."),
        (("validation", "train"), "train must contain an image with an object to learn. Received none."),
    ],
)
def test_a_split_without_objects(folder: Path, common: Common, splits: tuple[str, str], message: str) -> None:
    images = [image(folder, "0.png", SOUND, split=splits[0]), image(folder, "1.png", split=splits[1])]
    with pytest.raises(InputError) as error:
        assemble(folder, common, *images)
    assert str(error.value) == f"{folder}: {message}"


def test_an_image_listed_twice(folder: Path, common: Common) -> None:
    images = [image(folder, "0.png", SOUND), image(folder, "0.png", SOUND, split="test")]
    with pytest.raises(InputError) as error:
        assemble(folder, common, *images)
    assert str(error.value).splitlines() == [
        f"{folder}/list: 0.png: an image must be listed once. '0.png' is also in list: 0.png.",
        "Remove the repeated entries, or correct the names of the images.",
    ]


# Numbers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number", "side"),
    [
        ("12", 12.0, 12),
        (" 12.0 ", 12.0, 12),
        ("1e3", 1000.0, 1000),
        ("-3", -3.0, None),
        ("1.5", 1.5, None),
        ("1e12", 1e12, None),
        ("inf", math.inf, None),
        ("1_000", None, None),
        ("12px", None, None),
        ("", None, None),
    ],
)
def test_numbers(text: str, number: float | None, side: int | None) -> None:
    assert parse_number(text) == number
    assert whole(parse_number(text)) == side
