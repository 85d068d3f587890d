"""Images with boxes in Pascal VOC's format: an XML file for each image, and lists of the splits."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from dlcli.data.boxes.annotated import Annotated, Listed
from dlcli.data.boxes.dataset import AnyReading, assemble_objects
from dlcli.data.boxes.sources.voc_xml import read_annotation
from dlcli.data.files import list_folder, name_below
from dlcli.data.images.dataset import CommonKeys
from dlcli.data.images.discovery import classify_file
from dlcli.data.images.samples import Dataset
from dlcli.data.junk import is_junk, reason_of_junk
from dlcli.data.listing import refuse
from dlcli.data.split_folders import find_splits
from dlcli.data.splits import SPLITS, DataWarning, LeftOut, split_named
from dlcli.errors import InputError
from dlcli.files import read_text

ANNOTATION_FOLDERS = (
    "annotations",
    "annotation",
    "annots",
    "annot",
    "anno",
    "labels",
    "label",
    "xmls",
    "xml",
    "bboxes",
)
IMAGE_FOLDERS = ("jpegimages", "pngimages", "images", "image", "imgs", "img", "photos", "photo", "data")
"""Usual names, in lowercase."""
LIST_FOLDER = "ImageSets/Main"
MAX_LIST_BYTES = 2**28


def read_voc(
    *,
    path: str | Path,
    images: str | None,
    annotations: str | None,
    train_list: str | None,
    validation_list: str | None,
    test_list: str | None,
    reading: AnyReading,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images of a folder that have an annotation, with the class and the box of one object each, or with all
    objects.

    Args:
        images, annotations: folders below ``path``. Default: the first folder of a usual name in any case, such as
            JPEGImages or images, and Annotations, annots or labels, that holds images or .xml files; else ``path``
            itself; or such folders, or both kinds of files together, in a folder for each split; or folders of the
            splits in both folders.
        train_list, validation_list, test_list: files with an image's name, without suffix, on each line, in
            ImageSets/Main or in ``path``. Without lists the splits are drawn.

    Raises:
        InputError: folders, annotations, lists, boxes or images are invalid.
    """
    listed = list_voc(
        path,
        images=images,
        annotations=annotations,
        train_list=train_list,
        validation_list=validation_list,
        test_list=test_list,
    )
    return assemble_objects(
        listed.images,
        source=Path(path),
        reading=reading,
        left_out=listed.left_out,
        warnings=listed.warnings,
        common=common,
    )


def list_voc(
    path: str | Path,
    *,
    images: str | None = None,
    annotations: str | None = None,
    train_list: str | None = None,
    validation_list: str | None = None,
    test_list: str | None = None,
) -> Listed:
    """The images and objects as the annotations list them, with the keys of :func:`read_voc`.

    Raises:
        InputError: folders, annotations or lists are invalid.
    """
    root = Path(path)
    lists = {"train": train_list, "validation": validation_list, "test": test_list}
    given = {split: name for split, name in lists.items() if name is not None}
    parts = {"train": Part(root, root)}
    left_out: list[LeftOut] = []
    warnings: list[DataWarning] = []
    if not given and annotations is None and images is None:
        parts, left_out, warnings = split_parts(root)
    else:
        parts = {"train": Part.of(root, annotations, images)}
    annotated: list[Annotated] = []
    errors: list[str] = []
    for split, part in parts.items():
        annotation_folder = part.annotations
        gallery = _Gallery(root, part.images)
        found, others = _list_annotations(root, annotation_folder, gallery.folder)
        split_of = _read_lists(root, given, found)
        for stem, file in found.items():
            if split_of is None or stem in split_of:
                try:
                    own = split if split_of is None else split_of[stem]
                    annotated.append(_read_annotation(file, root, gallery, own))
                except InputError as error:
                    errors.append(str(error))
        used = {image.file for image in annotated}
        unused = "no annotation" if split_of is None else "not in the lists"
        left_out += [*gallery.left_out, *others]
        left_out += [LeftOut(name_below(root, file), unused) for file in gallery.images if file not in used]
    refuse(errors, "Correct the files above, or remove them.")
    return Listed(tuple(annotated), tuple(left_out), tuple(warnings))


# Folders and lists --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """The folders of the annotations and of the images of a split."""

    annotations: Path
    images: Path

    @classmethod
    def of(cls, folder: Path, annotations: str | None = None, images: str | None = None) -> "Part":
        """Those of these names in a folder, or of usual ones.

        Raises:
            InputError: there is no folder of a given name.
        """
        return cls(
            _find_folder(folder, annotations, "data.annotations"),
            _find_folder(folder, images, "data.images"),
        )


def holds_voc(folder: Path) -> bool:
    """Whether a folder has .xml files in one of the usual places, in it or in a folder for each split."""
    return all(_holds(part.annotations, _is_xml) for part in split_parts(folder)[0].values())


def lists_of(root: Path) -> dict[str, str]:
    """The file names of the lists of splits in ImageSets/Main, by split; empty without one for train."""
    if not (root / LIST_FOLDER).is_dir():
        return {}
    files = [file for file in list_folder(root / LIST_FOLDER)[1] if file.suffix.lower() == ".txt"]
    lists = {split: file.name for file in reversed(files) if (split := split_named(file.stem)) is not None}
    return lists if "train" in lists else {}


def split_parts(root: Path) -> tuple[dict[str, Part], list[LeftOut], list[DataWarning]]:
    """The folders in which annotations and images are, by split: in the root, unless it has none of them and its
    folders are splits, or its folders of annotations and of images hold those of the splits.

    Raises:
        InputError: the folder cannot be listed.
    """
    whole_root = Part.of(root)
    if _holds(whole_root.annotations, _is_xml):
        return {"train": whole_root}, [], []
    inner = _inner_splits(root)
    if inner:
        return inner, [], []
    folders, left_out, warnings = find_splits(root)
    return {split: Part.of(folder) for split, folder in folders.items()}, left_out, warnings


def _inner_splits(root: Path) -> dict[str, Part]:
    """The folders of splits inside those of annotations and images, as ``annotations/train`` and ``images/train``;
    none unless both have the same splits."""
    annotations = _splits_in(root, ANNOTATION_FOLDERS, _is_xml)
    images = _splits_in(root, IMAGE_FOLDERS, _is_image)
    if "train" not in annotations or set(annotations) != set(images):
        return {}
    return {split: Part(annotations[split], images[split]) for split in SPLITS if split in annotations}


def _splits_in(root: Path, usual: Sequence[str], is_meant: Callable[[str], bool]) -> dict[str, Path]:
    """The folders of splits with such files, in the first folder of a usual name that has some."""
    for folder in sorted(list_folder(root)[0], key=lambda path: path.name):
        if folder.name.lower() in usual:
            found = {
                split: inner
                for inner in list_folder(folder)[0]
                if (split := split_named(inner.name)) is not None and _holds(inner, is_meant)
            }
            if found:
                return found
    return {}


def _find_folder(root: Path, given: str | None, key: str) -> Path:
    is_for_images = key == "data.images"
    if given is not None:
        if not (root / given).is_dir():
            raise InputError(f"{root / given}: no such folder. Correct {key}, or leave it out.")
        return root / given
    usual, is_meant = (IMAGE_FOLDERS, _is_image) if is_for_images else (ANNOTATION_FOLDERS, _is_xml)
    folders = {path.name: path for path in reversed(list_folder(root)[0])}
    by_name = sorted((name for name in folders if name.lower() in usual), key=lambda name: usual.index(name.lower()))
    candidates = [folders[name] for name in by_name]
    holding = [folder for folder in (*candidates, root) if _holds(folder, is_meant)]
    return next(iter((*holding, *candidates)), root)


def _holds(folder: Path, is_meant: Callable[[str], bool]) -> bool:
    """Whether a file that is meant is directly in a folder."""
    try:
        with os.scandir(folder) as entries:
            return any(is_meant(entry.name) and not is_junk(entry.name) and not entry.is_dir() for entry in entries)
    except OSError:  # reported by whoever lists it
        return False


def _is_xml(name: str) -> bool:
    return name.lower().endswith(".xml")


def _is_image(name: str) -> bool:
    return classify_file(name) is None


class _Gallery:
    """The files in the folder of images."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        files = [file for file in list_folder(folder)[1] if file.suffix.lower() != ".xml"]
        self.names = {file.name for file in files}
        self.images = [file for file in files if classify_file(file.name) is None]
        self.left_out = [
            LeftOut(name_below(root, file), reason) for file in files if (reason := classify_file(file.name))
        ]
        self._by_stem: dict[str, list[Path]] = {}
        for file in self.images:
            self._by_stem.setdefault(file.stem, []).append(file)

    def find(self, filename: str, stem: str) -> Path:
        """The image that an annotation names, else the one with the same name as the annotation.

        Raises:
            InputError: several images have this name.
        """
        name = filename.replace("\\", "/").rpartition("/")[2]  # some programs write a path
        alike = self._by_stem.get(stem, [])
        if name in self.names or not alike:
            return self.folder / (name or stem)
        if len(alike) > 1:
            raise InputError(
                f"there must be one image of this name. Received {alike[0].name} and {alike[1].name}: name one in "
                "<filename>."
            )
        return alike[0]


def _list_annotations(root: Path, folder: Path, image_folder: Path) -> tuple[dict[str, Path], list[LeftOut]]:
    """The annotations by their stems, and the other files in their folder."""
    found: dict[str, Path] = {}
    left_out = []
    for file in list_folder(folder)[1]:
        if is_junk(file.name):
            left_out.append(LeftOut(name_below(root, file), reason_of_junk(file.name)))
        elif file.suffix.lower() == ".xml":
            found[file.stem] = file
        elif folder != image_folder:
            left_out.append(LeftOut(name_below(root, file), "not an annotation"))
    if not found:
        raise InputError(f"{folder}: there must be an .xml file for each image. Received none.")
    return found, left_out


def _read_lists(root: Path, lists: Mapping[str, str], annotations: Mapping[str, Path]) -> dict[str, str] | None:
    """The split of each image, by its stem; None without lists."""
    if not lists:
        return None
    if "train" not in lists:
        raise InputError(f"{root}: there must be a list for train beside that for {next(iter(lists))}. Received none.")
    split_of: dict[str, str] = {}
    first: dict[str, str] = {}
    errors = []
    for split, name in lists.items():
        file = next((place for place in (root / LIST_FOLDER / name, root / name) if place.exists()), root / name)
        remedy = f"Give a list of images in {root / LIST_FOLDER} or in {root}."
        text = read_text(file, noun="list", max_bytes=MAX_LIST_BYTES, remedy=remedy)
        for line, stem in enumerate(map(str.strip, text.splitlines()), 1):
            place = f"{file}:{line}"
            if not stem:
                continue
            if stem not in annotations:
                errors.append(f"{place}: {_describe_unknown(stem)}")
            elif stem in first:
                errors.append(f"{place}: an image must be in the lists once. '{stem}' is also in {first[stem]}.")
            first.setdefault(stem, place)
            split_of[stem] = split
    refuse(errors, "Correct the lists.")
    return split_of


def _describe_unknown(stem: str) -> str:
    if stem.split()[-1] in ("-1", "0", "1") and len(stem.split()) > 1:
        return (
            f"a line must be only an image's name. Received '{stem}': this is the list of one class; "
            "give the list of all images, such as train.txt."
        )
    return f"a line must be the name, without suffix, of an image that has an annotation. Received '{stem}'."


# Annotations --------------------------------------------------------------------------------------------------------


def _read_annotation(file: Path, root: Path, gallery: _Gallery, split: str) -> Annotated:
    """Reads one XML file.

    Raises:
        InputError: it is not an annotation of one image.
    """
    place = name_below(root, file)
    annotation = read_annotation(file, place=place)
    try:
        image = gallery.find(annotation.file_name, file.stem)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    return Annotated(
        name=name_below(root, image),
        place=place,
        file=image,
        split=split,
        objects=annotation.objects,
        size=annotation.size,
    )
