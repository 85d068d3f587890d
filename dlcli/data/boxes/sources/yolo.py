"""Images with boxes in YOLO's format: a data.yaml with classes and splits, and a .txt file with each image's objects.

Files are read as Ultralytics documents them (https://docs.ultralytics.com/datasets/detect) and Roboflow writes them.
"""

import math
import os
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import yaml

from dlcli.data.boxes.annotated import Annotated, Listed, read_frames
from dlcli.data.boxes.boxes import Corners, Frame, Object
from dlcli.data.boxes.dataset import AnyReading, assemble_objects
from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.boxes.shapes import Shape
from dlcli.data.files import list_folder, printable
from dlcli.data.images.dataset import CommonKeys
from dlcli.data.images.discovery import find_images
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import NUM_NAMED, refuse
from dlcli.data.paths import is_outside, outside_error, path_named
from dlcli.data.splits import DataWarning, LeftOut, split_named
from dlcli.data.table import parse_number
from dlcli.errors import InputError
from dlcli.files import read_text

USUAL_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
MAX_YAML_BYTES = 2**20
MAX_BYTES = 8 * 2**20  # of the objects of an image
MAX_LIST_BYTES = 2**28
MAX_CLASSES = 100_000
CONFIDENCE = ": if the last is the confidence of a prediction, remove it"


@dataclass(frozen=True)
class _Index:
    """What a data.yaml says.

    Attributes:
        file: the data.yaml itself.
        names: of the classes, by their numbers.
        splits: the folders or lists of images of each split, as they are written.
        base: ``path``, as it is written; empty without one.
        line_of: the line of each split's key.
    """

    file: Path
    names: Mapping[int, str]
    splits: Mapping[str, Sequence[str]]
    base: str
    line_of: Mapping[str, int]

    @property
    def root(self) -> Path:
        return self.file.parent


def find_yaml(folder: Path) -> Path | None:
    """The data.yaml of a folder: the file with a usual name, or the only .yaml that has the keys ``train`` and
    ``names``; None without one."""
    files = list_folder(folder)[1]
    usual = next((file for name in USUAL_NAMES for file in files if file.name.lower() == name), None)
    if usual is not None:
        return usual
    others = [file for file in files if file.suffix.lower() in (".yaml", ".yml") and is_yolo_index(file)]
    return others[0] if len(others) == 1 else None


def is_yolo_index(file: Path) -> bool:
    """Whether a .yaml file names images to train on and classes, as a data.yaml does and a recipe does not."""
    try:
        content = _parse(file)[0]
    except InputError:
        return False
    return isinstance(content, dict) and "train" in content and ("names" in content or "nc" in content)


def yolo_splits(path: Path) -> tuple[str, ...]:
    """The splits that a data.yaml, or that of a folder, names.

    Raises:
        InputError: it is not as described.
    """
    file = find_yaml(path) if path.is_dir() else path
    return () if file is None else tuple(_read_index(file).splits)


def read_yolo(
    *,
    path: str | Path,
    allow_outside: bool = False,
    reading: AnyReading,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images of a data.yaml, with the class and the box of one object each, or with all objects.

    Args:
        path: the data.yaml, or its folder.
        allow_outside: whether paths may leave the folder of data.yaml.

    Raises:
        InputError: files, boxes or images are invalid.
    """
    listed = list_yolo(path, allow_outside=allow_outside)
    return assemble_objects(
        listed.images,
        source=_index_at(Path(path)),
        reading=reading,
        left_out=listed.left_out,
        warnings=listed.warnings if isinstance(reading, ObjectReading) else (),
        common=common,
    )


def _index_at(path: Path) -> Path:
    """The data.yaml at a path, or in a folder.

    Raises:
        InputError: there is none.
    """
    file = find_yaml(path) if path.is_dir() else path
    if file is None:
        raise InputError(f"{path}: there must be a data.yaml. Received none: name the file in data.path.")
    return file


def list_yolo(path: str | Path, *, allow_outside: bool = False) -> Listed:
    """The images and objects as the files list them, with the keys of :func:`read_yolo`.

    Raises:
        InputError: files are invalid.
    """
    index = _read_index(_index_at(Path(path)))
    left_out: list[LeftOut] = []
    images: list[tuple[str, Path]] = []
    errors: list[str] = []
    for split, specs in index.splits.items():
        for spec in specs:
            try:
                found, others = _images_of(index, split, spec, allow_outside=allow_outside)
            except InputError as error:
                errors.append(str(error))
                continue
            images += [(split, image) for image in found]
            left_out += others
    refuse(errors, "Correct the files above.")
    annotated: list[Annotated] = []
    num_unlisted = 0
    for (split, image), frame in zip(images, read_frames([image for _, image in images]), strict=True):
        labels = _labels_of(image, index.root)
        name = _name(image, index.root)
        objects: list[Object] = []
        has_labels = os.path.lexists(labels)
        num_unlisted += not has_labels
        if has_labels:
            try:
                objects = _read_objects(labels, index, frame)
            except InputError as error:
                errors.append(str(error))
        annotated.append(
            Annotated(
                name=name,
                place=_name(labels, index.root) if has_labels else name,
                file=image,
                split=split,
                objects=tuple(objects),
            )
        )
    refuse(errors, "Correct the files above.")
    return Listed(tuple(annotated), tuple(left_out), tuple(_warn_of_unlisted(num_unlisted)))


def _warn_of_unlisted(number: int) -> list[DataWarning]:
    if not number:
        return []
    noun = "image has" if number == 1 else "images have"
    return [DataWarning("boxes", f"{number:,} {noun} no .txt file of objects: taken as without objects.")]


def _name(path: Path, root: Path) -> str:
    return printable(os.path.relpath(path, root).replace(os.sep, "/"))


# data.yaml ------------------------------------------------------------------------------------------------------------


def _parse(file: Path) -> tuple[Any, str]:
    text = read_text(file, noun="data.yaml", max_bytes=MAX_YAML_BYTES, remedy="Give the data.yaml of the images.")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise InputError(f"{file}: must have no aliases (*name), which could multiply. Write the values out.")
        return yaml.safe_load(text), text
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise InputError(f"{file}:{line}: this is not valid YAML ({error.problem or error.context}).") from None
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        raise InputError(f"{file}: must be the data.yaml of YOLO. Received YAML that cannot be read.") from None


def _read_index(file: Path) -> _Index:
    content, text = _parse(file)
    if not isinstance(content, dict):
        raise InputError(f"{file}: must be the data.yaml of YOLO, with the keys train and names. Received no keys.")
    splits: dict[str, tuple[str, ...]] = {}
    line_of: dict[str, int] = {}
    for key, value in content.items():
        split = split_named(key) if isinstance(key, str) else None
        if split is None or value in (None, "", []):
            continue
        specs = value if isinstance(value, list) else [value]
        if not all(isinstance(spec, str) and spec.strip() and "\0" not in spec for spec in specs):
            raise InputError(f"{file}: {key} must be a path, or a list of paths. Received {reprlib.repr(value)}.")
        if split in splits:
            raise InputError(f"{file}: each split must be given once. '{key}' is the {split} split again.")
        splits[split] = tuple(spec.strip() for spec in specs)
        same = next((other for other, theirs in splits.items() if other != split and theirs == splits[split]), None)
        if same is not None:
            raise InputError(
                f"{file}: each split must have its own images. '{key}' names those of {same} again: remove the key, "
                "and a part of the training images is held out."
            )
        found = re.search(rf"^['\"]?{re.escape(key)}['\"]?\s*:", text, re.MULTILINE)
        line_of[split] = text.count("\n", 0, found.start()) + 1 if found else 1
    if "train" not in splits:
        raise InputError(f"{file}: there must be train, the path of the images to train on. Received none.")
    base = content.get("path")
    return _Index(file, _class_names(file, content), splits, base.strip() if isinstance(base, str) else "", line_of)


def _class_names(file: Path, content: Mapping[Any, Any]) -> dict[int, str]:
    names = content.get("names")
    if isinstance(names, list):
        pairs: list[tuple[Any, Any]] = list(enumerate(names))
    elif isinstance(names, dict):
        pairs = [(int(key) if isinstance(key, str) and key.isdecimal() else key, name) for key, name in names.items()]
    elif isinstance(content.get("nc"), int) and 0 < content["nc"] <= MAX_CLASSES:
        pairs = [(number, number) for number in range(content["nc"])]
    else:
        raise InputError(f"{file}: names must be the classes: a list, or numbers with names. Received none.")
    result: dict[int, str] = {}
    for number, name in pairs:
        is_number = isinstance(number, int) and not isinstance(number, bool) and number >= 0
        if not is_number or isinstance(name, (list, dict)) or name is None or not str(name).strip():
            received = f"{reprlib.repr(number)}: {reprlib.repr(name)}"
            raise InputError(f"{file}: names must be the classes by their numbers. Received {received}.")
        result[number] = printable(str(name).strip())
    again = [name for name in result.values() if list(result.values()).count(name) > 1] if len(result) < 1000 else []
    if again:
        raise InputError(f"{file}: names must be different. Received '{again[0]}' again.")
    return result


# Images ---------------------------------------------------------------------------------------------------------------


def _images_of(index: _Index, split: str, spec: str, *, allow_outside: bool) -> tuple[list[Path], list[LeftOut]]:
    """The images of a folder, or of a list in a .txt file.

    Raises:
        InputError: it does not exist, leads out of the folder of data.yaml, or lists such paths.
    """
    root = index.root
    place = f"{index.file}:{index.line_of[split]}"
    usual = [path_named(path_named(root, index.base), spec)] if index.base else []
    inside = re.sub(r"^(\.\.?[/\\])+", "", spec)  # Roboflow writes ../train/images for train/images
    candidates = [*usual, path_named(root, spec), path_named(root, inside)]
    existing = [path for path in candidates if path.exists()]
    allowed = [path for path in existing if allow_outside or not is_outside(root, path)]
    if not allowed:
        if existing:
            raise InputError(f"{place}: {outside_error(root, spec)}")
        raise InputError(
            f"{place}: {split} must be a folder or list of images that exists. Received '{printable(spec)}'."
        )
    source = allowed[0]
    if source.is_dir():
        found, others = find_images(source, root=source)
        prefix = _name(source, root)
        return [source / image for image in found], [
            LeftOut(f"{prefix}/{item.name}", item.reason) for item in others if not item.name.endswith(".txt")
        ]
    if source.suffix.lower() != ".txt":
        raise InputError(f"{place}: {split} must be a folder of images or a .txt list. Received '{printable(spec)}'.")
    text = read_text(source, noun="list", max_bytes=MAX_LIST_BYTES, remedy="Give a list of images.")
    listed: list[Path] = []
    errors: list[str] = []
    for line, name in enumerate(map(str.strip, text.splitlines()), 1):
        if not name:
            continue
        paths = [path_named(base, name) for base in (source.parent, root)]
        path = next((path for path in paths if os.path.lexists(path)), paths[0])
        if not allow_outside and is_outside(root, path):
            errors.append(f"{source}:{line}: {outside_error(root, name)}")
        listed.append(path)
    if errors:
        raise InputError("\n".join(errors[:NUM_NAMED]))
    return listed, []


def _labels_of(image: Path, root: Path) -> Path:
    """The file with an image's objects: in ``labels`` where the image is in ``images``, else beside the image."""
    parts = image.parts
    first = len(root.parts) if image.is_relative_to(root) else 0  # folders above the data have no part in it
    for i in reversed(range(first, len(parts) - 1)):
        if parts[i].lower() == "images":
            labels = Path(*parts[:i], "labels", *parts[i + 1 :]).with_suffix(".txt")
            if labels.exists():
                return labels
    return image.with_suffix(".txt")


# Objects --------------------------------------------------------------------------------------------------------------


def _read_objects(file: Path, index: _Index, frame: Frame | None) -> list[Object]:
    """The objects of an image, with boxes in pixels of the upright image; of a segment, the box around its points.

    Raises:
        InputError: lines are not as described; all of them are reported.
    """
    text = read_text(file, noun="file of objects", max_bytes=MAX_BYTES, remedy="Fix its permissions or remove it.")
    width, height = (1, 1) if frame is None else frame.upright_size  # of an image that cannot be read
    objects: list[Object] = []
    errors: list[str] = []
    for line, content in enumerate(text.splitlines(), 1):
        if not content.strip():
            continue
        numbers = [parse_number(cell) for cell in content.split()]
        if any(number is None or not math.isfinite(number) for number in numbers):
            errors.append(
                f"{file}:{line}: a line must be finite numbers. Received '{printable(content.strip()[:50])}'."
            )
            continue
        label, *values = (number for number in numbers if number is not None)
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            errors.append(
                f"{file}:{line}: a line must be a class and either 4 numbers (x, y, width, height) or at least 3 "
                f"points. Received {len(values)} numbers after the class{CONFIDENCE if len(values) == 5 else ''}."
            )
        elif len(values) == 4 and min(values[2:]) < 0:
            errors.append(
                f"{file}:{line}: the width and height of a box must be >= 0. Received {values[2]:g} and {values[3]:g}."
            )
        elif label not in index.names:
            errors.append(
                f"{file}:{line}: the class must be a number of {index.file.name}'s names, such as "
                f"{min(index.names, default=0)}. Received {label:g}."
            )
        else:
            left, top, right, bottom = _corners(values)
            corners = (left * width, top * height, right * width, bottom * height)
            shape = None
            if len(values) > 4:
                points = np.array(values, np.float64).reshape(-1, 2) * [width, height]
                shape = Shape(polygons=(points.astype(np.float32),))
            objects.append(Object(f"{_name(file, index.root)}:{line}", index.names[int(label)], corners, shape=shape))
    if errors:
        raise InputError("\n".join(errors[:NUM_NAMED]))
    return objects


def _corners(values: Sequence[float]) -> Corners:
    """The corners of a center with sizes, or of the box around points; proportions of the image's sides."""
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    xs, ys = values[0::2], values[1::2]
    return min(xs), min(ys), max(xs), max(ys)
