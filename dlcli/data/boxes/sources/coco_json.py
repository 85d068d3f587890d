"""What every reader of COCO's format needs: the JSON file, its entries and their values, and the folder of images."""

import reprlib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from dlcli.data.boxes.annotated import known_size, whole
from dlcli.data.files import printable
from dlcli.data.json_file import read_json
from dlcli.data.listing import refuse
from dlcli.data.paths import is_outside, outside_error, path_named
from dlcli.errors import InputError

MAX_BYTES = 2**30  # of a file: the one of COCO's train2017 has 448 MB
REMEDY = "Give the .json file of the annotations."
LARGEST_AREA = 1e18  # square pixels: more than any image has
NUM_TRIED = 100  # images by which their folder is found
Entry = dict[str, Any]
Id = int | str
Made = TypeVar("Made")


class BadEntry(Exception):
    """An invalid entry; the message is the reason, to be written after "annotation 7: "."""


@dataclass(frozen=True)
class CocoImage:
    """An image as a COCO file lists it.

    Attributes:
        size: width and height, if the file gives them.
    """

    file_name: str
    size: tuple[int, int] | None


@dataclass(frozen=True)
class CocoFile(Generic[Made]):
    """A COCO file: its images by their ids, the objects of each, and the places of the crowds that were left out."""

    images: Mapping[Id, CocoImage]
    objects: Mapping[Id, Sequence[Made]]
    crowds: tuple[str, ...]


def read_coco_file(
    file: Path, *, place: str, make: Callable[[str, str, Entry], Made], without_crowds: bool
) -> CocoFile[Made]:
    """The images and objects of a COCO file.

    Args:
        place: the file's name for messages about its objects.
        make: makes an object of its place, its label and its entry; raises BadEntry if the entry is invalid.
        without_crowds: leave out what is marked as a crowd.

    Raises:
        InputError: it is not a COCO file, or entries are invalid, which are reported together.
    """
    content = read_json(file, noun="COCO file", max_bytes=MAX_BYTES, remedy=REMEDY, allow_nan=True)
    errors: list[str] = []
    entries = {key: _entries(content, key, file) for key in ("images", "annotations", "categories")}
    categories: dict[Id, str] = {}
    images: dict[Id, CocoImage] = {}
    objects: dict[Id, list[Made]] = {}
    crowds: list[str] = []
    ids: dict[str, set[Id]] = {"category": set(), "image": set(), "annotation": set()}  # of invalid entries too
    for noun, key in (("category", "categories"), ("image", "images"), ("annotation", "annotations")):
        known = ids[noun]
        for position, entry in enumerate(entries[key]):
            where = f"{noun} at position {position}"
            try:
                own = _id(entry, "id")
                where = f"{noun} {own}"
                if own in known:
                    raise BadEntry("ids must be unique. Received this one again.")
                known.add(own)
                if noun == "category":
                    categories[own] = printable(_name(entry, "name"))
                elif noun == "image":
                    images[own] = CocoImage(_name(entry, "file_name"), _size(entry))
                elif is_crowd(entry) and without_crowds:
                    crowds.append(f"{place}: {where}")
                else:
                    image = _reference(entry, "image_id", ids["image"], "images")
                    if image in images:  # one without a name is reported
                        where += f" of {printable(images[image].file_name[:200])}"
                    category = _reference(entry, "category_id", ids["category"], "categories")
                    label = categories.get(category, "")  # a category without a name is reported, its objects are not
                    objects.setdefault(image, []).append(make(f"{place}: {where}", label, entry))
            except BadEntry as reason:
                errors.append(f"{file}: {where}: {reason}")
    refuse(errors, "Correct the file, or write it again.")
    return CocoFile(images, objects, tuple(crowds))


def locate_images(
    file: Path, images: Mapping[Id, CocoImage], *, folder: Path | None, allow_outside: bool
) -> dict[Id, Path]:
    """The path of each image of a COCO file.

    Args:
        folder: to which the images' names are relative; None to find it.
        allow_outside: whether names of images may leave it.

    Raises:
        InputError: they do, and may not.
    """
    folder = _find_images(file, [image.file_name for image in images.values()]) if folder is None else folder
    found: dict[Id, Path] = {}
    outside: list[str] = []
    for number, image in images.items():
        found[number] = path_named(folder, image.file_name)
        if not allow_outside and is_outside(folder, found[number]):
            outside.append(f"{file}: image {number}: {outside_error(folder, image.file_name)}")
    refuse(outside, "If the images are in another folder, name it in data.images.")
    return found


def _find_images(file: Path, names: list[str]) -> Path:
    own = file.parent
    for folder in (own, own / "images", own.parent / file.stem.removeprefix("instances_"), own.parent / "images"):
        if any(path_named(folder, name).is_file() for name in names[:NUM_TRIED]):
            return folder
    return own


# The file -----------------------------------------------------------------------------------------------------------


def _entries(content: Any, key: str, file: Path) -> list[Entry]:
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(
            f"{file}: a COCO file must have '{key}', a list of objects. Give the .json file of the annotations."
        )
    return entries


def value_of(entry: Entry, key: str) -> Any:
    """The value of a key.

    Raises:
        BadEntry: there is no such key.
    """
    if key not in entry:
        raise BadEntry(f"there must be '{key}'. Received none.")
    return entry[key]


def _id(entry: Entry, key: str) -> Id:
    value = value_of(entry, key)
    if isinstance(value, float) and value.is_integer():  # as tables of numbers are written
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadEntry(f"{key} must be a whole number or text. Received {reprlib.repr(value)}.")
    return value


def _reference(entry: Entry, key: str, known: Set[Id], where: str) -> Id:
    value = _id(entry, key)
    if value not in known:
        raise BadEntry(f"{key} must be the id of one of the {where}. Received {reprlib.repr(value)}.")
    return value


def _name(entry: Entry, key: str) -> str:
    value = value_of(entry, key)
    if not isinstance(value, str) or not value.strip():
        raise BadEntry(f"{key} must be a name. Received {reprlib.repr(value)}.")
    return value.strip()


def _size(entry: Entry) -> tuple[int, int] | None:
    """Width and height; None if the file does not give them, or gives 0."""
    if not entry.get("width") and not entry.get("height"):
        return None
    sides = [whole(as_number(value_of(entry, key))) for key in ("width", "height")]
    if sides[0] is None or sides[1] is None:
        received = reprlib.repr([entry["width"], entry["height"]])
        raise BadEntry(f"width and height must be whole numbers of pixels. Received {received}.")
    return known_size(sides[0], sides[1])


def is_crowd(entry: Entry) -> bool:
    """Whether an annotation marks a crowd.

    Raises:
        BadEntry: iscrowd is something else than 0, 1 or missing.
    """
    value = entry.get("iscrowd")
    if value not in (None, 0, 1):
        raise BadEntry(f"iscrowd must be 0 or 1. Received {reprlib.repr(value)}.")
    return value == 1


def area_of(entry: Entry) -> float | None:
    """The area of an annotation in square pixels; None if the file does not give it.

    Raises:
        BadEntry: it is not a number of at least 0.
    """
    value = entry.get("area")
    number = as_number(value)
    if value is not None and (number is None or not 0 <= number <= LARGEST_AREA):
        raise BadEntry(f"area must be a number of pixels. Received {reprlib.repr(value)}.")
    return number


def as_number(value: Any) -> float | None:
    """A JSON number, which may be NaN or infinite; None if the value is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond the range of float
        return float("inf")
