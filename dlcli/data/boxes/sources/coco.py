"""Images with boxes in COCO's format: a JSON file that lists images, objects and their categories."""

import json
import os
import reprlib
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NoReturn, Unpack

from dlcli.data.boxes.boxes import Corners, Object, OnBadBox, Several
from dlcli.data.boxes.dataset import Annotated, assemble_objects, known_size, refuse, whole
from dlcli.data.files import Progress, printable
from dlcli.data.images.dataset import CommonKeys, OnBadImage
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import NO_ALIASES
from dlcli.data.paths import is_outside, outside_error, path_named
from dlcli.data.splits import LeftOut
from dlcli.errors import InputError
from dlcli.files import read_text

MAX_BYTES = 2**30  # of a file: the one of COCO's train2017 has 448 MB
NUM_TRIED = 100  # images by which their folder is found
Entry = dict[str, Any]
Id = int | str


class _BadEntry(Exception):
    """An invalid entry; the message is the reason, to be written after "annotation 7: "."""


def read_coco(
    *,
    path: str | Path,
    images: str | Path | None,
    validation_path: str | Path | None,
    test_path: str | Path | None,
    several: Several,
    on_bad_box: OnBadBox,
    on_bad_image: OnBadImage,
    exclude: Sequence[str] = (),
    allow_outside: bool = False,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    progress: Progress | None = None,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images of a COCO file, with the class and the box of one object each; crowds are left out.

    Args:
        path: the .json file of train, or of all samples.
        images: the folder to which the images' names are relative, itself relative to the folder of ``path``. Default:
            the first that contains images of the file among its own folder, ``images`` in it, and in the parent folder
            the one named like the file (``train2017`` for ``instances_train2017.json``) or ``images``.
        validation_path, test_path: further files. Without them the splits are drawn.
        several: how to treat an image with several objects.
        allow_outside: whether names of images may leave the folder of images.
        exclude: patterns of the names of images to leave out.
        classes: those of a trained model, to use its labels. Default: those of train, sorted.
        aliases: other names of these.

    Raises:
        InputError: files, boxes or images are invalid.
    """
    source = Path(path)
    annotated: list[Annotated] = []
    left_out: list[LeftOut] = []
    for split, part in (("train", path), ("validation", validation_path), ("test", test_path)):
        if part is not None:
            folder = None if images is None else source.parent / images
            listed, others = _read_file(
                Path(part), split, root=source.parent, folder=folder, allow_outside=allow_outside
            )
            annotated += listed
            left_out += others
    return assemble_objects(
        annotated,
        source=source,
        several=several,
        on_bad_box=on_bad_box,
        on_bad_image=on_bad_image,
        exclude=exclude,
        classes=classes,
        aliases=aliases,
        left_out=left_out,
        progress=progress,
        common=common,
    )


def _read_file(
    file: Path, split: str, *, root: Path, folder: Path | None, allow_outside: bool
) -> tuple[list[Annotated], list[LeftOut]]:
    """The images of one file, with names relative to ``root``, and the objects that are left out."""
    content = _parse(file)
    place = printable(os.path.relpath(file, root))
    errors: list[str] = []
    entries = {key: _entries(content, key, file) for key in ("images", "annotations", "categories")}
    categories: dict[Id, str] = {}
    images: dict[Id, Entry] = {}
    objects: dict[Id, list[Object]] = {}
    left_out: list[LeftOut] = []
    ids: dict[str, set[Id]] = {"category": set(), "image": set(), "annotation": set()}  # of invalid entries too
    for noun, key in (("category", "categories"), ("image", "images"), ("annotation", "annotations")):
        known = ids[noun]
        for position, entry in enumerate(entries[key]):
            where = f"{noun} at position {position}"
            try:
                own = _id(entry, "id")
                where = f"{noun} {own}"
                if own in known:
                    raise _BadEntry("ids must be unique. Received this one again.")
                known.add(own)
                if noun == "category":
                    categories[own] = printable(_name(entry, "name"))
                elif noun == "image":
                    images[own] = {"file_name": _name(entry, "file_name"), "size": _size(entry)}
                elif entry.get("iscrowd") == 1:
                    left_out.append(LeftOut(f"{place}: {where}", "outside the task: a crowd"))
                else:
                    image = _reference(entry, "image_id", ids["image"], "images")
                    category = _reference(entry, "category_id", ids["category"], "categories")
                    label = categories.get(category, "")  # a category without a name is reported, its objects are not
                    flaw = "" if entry.get("bbox") else "there is no box (bbox)"
                    corners = None if flaw else _corners(entry)
                    objects.setdefault(image, []).append(Object(f"{place}: {where}", label, corners, flaw))
            except _BadEntry as reason:
                errors.append(f"{file}: {where}: {reason}")
    refuse(errors, "Correct the file, or write it again.")
    names = [image["file_name"] for image in images.values()]
    folder = _find_images(file, names) if folder is None else folder
    annotated: list[Annotated] = []
    outside: list[str] = []
    for number, found in images.items():
        path = path_named(folder, found["file_name"])
        if not allow_outside and is_outside(folder, path):
            outside.append(f"{file}: image {number}: {outside_error(folder, found['file_name'])}")
            continue
        annotated.append(
            Annotated(
                name=printable(os.path.relpath(path, root)),
                place=f"{place}: image {number}",
                file=path,
                split=split,
                objects=tuple(objects.get(number, ())),
                size=found["size"],
            )
        )
    refuse(outside, "If the images are in another folder, name it in data.images.")
    return annotated, left_out


def _find_images(file: Path, names: list[str]) -> Path:
    own = file.parent
    for folder in (own, own / "images", own.parent / file.stem.removeprefix("instances_"), own.parent / "images"):
        if any(path_named(folder, name).is_file() for name in names[:NUM_TRIED]):
            return folder
    return own


# The file -----------------------------------------------------------------------------------------------------------


def _parse(file: Path) -> Any:
    text = read_text(file, noun="COCO file", max_bytes=MAX_BYTES, remedy="Give the .json file of the annotations.")

    def refuse_constant(name: str) -> NoReturn:
        raise InputError(f"{file}: numbers must be finite. Received {name}: correct the file, or write it again.")

    try:
        return json.loads(text, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{file}:{error.lineno}: this is not valid JSON ({error.msg}). Give the .json file of the annotations."
        ) from None
    except RecursionError:
        raise InputError(f"{file}: must be a COCO file. Received lists nested too deeply: give another file.") from None
    except ValueError:  # from int()
        raise InputError(f"{file}: numbers must be of usual length. Received one of thousands of digits.") from None


def _entries(content: Any, key: str, file: Path) -> list[Entry]:
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(
            f"{file}: a COCO file must have '{key}', a list of objects. Give the .json file of the annotations."
        )
    return entries


def _value(entry: Entry, key: str) -> Any:
    if key not in entry:
        raise _BadEntry(f"there must be '{key}'. Received none.")
    return entry[key]


def _id(entry: Entry, key: str) -> Id:
    value = _value(entry, key)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _BadEntry(f"{key} must be a whole number or text. Received {reprlib.repr(value)}.")
    return value


def _reference(entry: Entry, key: str, known: Set[Id], where: str) -> Id:
    value = _id(entry, key)
    if value not in known:
        raise _BadEntry(f"{key} must be the id of one of the {where}. Received {reprlib.repr(value)}.")
    return value


def _name(entry: Entry, key: str) -> str:
    value = _value(entry, key)
    if not isinstance(value, str) or not value.strip():
        raise _BadEntry(f"{key} must be a name. Received {reprlib.repr(value)}.")
    return value.strip()


def _size(entry: Entry) -> tuple[int, int] | None:
    """Width and height; None if the file does not give them, or gives 0."""
    if not entry.get("width") and not entry.get("height"):
        return None
    sides = [whole(_number(_value(entry, key))) for key in ("width", "height")]
    if sides[0] is None or sides[1] is None:
        received = reprlib.repr([entry["width"], entry["height"]])
        raise _BadEntry(f"width and height must be whole numbers of pixels. Received {received}.")
    return known_size(sides[0], sides[1])


def _corners(entry: Entry) -> Corners:
    value = _value(entry, "bbox")
    numbers = [_number(item) for item in value] if isinstance(value, list) else []
    if len(numbers) != 4 or None in numbers:
        raise _BadEntry(f"bbox must be four numbers [x, y, width, height]. Received {reprlib.repr(value)}.")
    x, y, width, height = (number for number in numbers if number is not None)
    return x, y, x + width, y + height


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond the range of float
        return float("inf")
