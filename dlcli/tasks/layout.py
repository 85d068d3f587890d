"""What a folder of data holds: the one place by which ``recipe init``, ``data check`` and ``transfer`` decide it."""

import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dlcli.data.boxes.sources.voc import ANNOTATION_FOLDERS, holds_voc
from dlcli.data.boxes.sources.yolo import find_yaml, is_yolo_index
from dlcli.data.files import list_folder, printable
from dlcli.data.folders import walk
from dlcli.data.images.discovery import classify_file
from dlcli.data.images.sources.class_folders import describe_empty
from dlcli.data.images.sources.shards import is_packed
from dlcli.data.junk import is_document, is_junk
from dlcli.data.listing import describe_too_few, name_some
from dlcli.data.masks.names import is_of_images, is_of_masks, mask_stems
from dlcli.data.split_folders import find_splits, name_files_of_splits
from dlcli.data.splits import split_named, split_word_in
from dlcli.errors import InputError
from dlcli.files import BadFile, open_file, suffix_of

Kind = Literal["images", "shards", "voc", "coco", "yolo", "masks", "polygons", "files", "lines", "file"]
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
OF_SPLITS = (".conllu", ".ts")  # files of which a split may have one each
NOT_TEXT = (".npz", ".npy", ".zip", ".gz", ".json", ".yaml", ".yml", ".h5", ".hdf5", ".keras", ".xml", ".py", ".sh")
TASK_KEY = re.compile(rb"^task\s*:", re.MULTILINE)  # of a recipe
COCO_KEYS = (b'"images"', b'"annotations"', b'"categories"')
MAX_DEPTH = 4  # folders that hold nothing but a folder
NUM_TRIED = 2000  # entries of a folder among which an image is looked for
SNIFFED = 2**16  # bytes of a file by which its format is recognized


@dataclass(frozen=True)
class Layout:
    """What a folder holds.

    Attributes:
        kind: a folder of class folders of images (images) or texts (files), or of a text file for each class (lines);
            images that are packed (shards); boxes in the format of Pascal VOC, COCO or YOLO; images with masks, or with
            a JSON file of polygons each; or a single file to read.
        path: the folder, which may be the only one in the folder given, or the file; for COCO that of train, for YOLO
            the data.yaml or its folder.
        others: for COCO and for a single file those of further splits.
    """

    kind: Kind
    path: Path
    others: dict[str, Path] = field(default_factory=dict)


def recognize(data: Path) -> Layout:
    """What a folder or a file holds.

    Raises:
        InputError: a folder cannot be listed, it holds nothing that is known, or it may be several things.
    """
    if data.is_dir():
        return _of_folder(data)
    if data.suffix.lower() in (".yaml", ".yml") and is_yolo_index(data):
        return Layout("yolo", data)
    return Layout("coco" if _is_coco(data) else "file", data)


def _of_folder(folder: Path) -> Layout:
    """What a folder holds; documents and junk do not matter, and folders that hold only a folder are entered."""
    inner = folder
    for _ in range(MAX_DEPTH):
        folders, files = _meant(inner)
        if len(folders) != 1 or files or split_named(folders[0].name) is not None:
            layout = _layout_of(inner, folders, files)
            if layout is not None:
                return layout
            break
        inner = folders[0]
    if inner != folder and any(classify_file(path.name) is None for path in _meant(inner)[1]):
        raise InputError(f"{inner.parent}: {describe_too_few([printable(inner.name)])}")
    if (folders := _meant(folder)[0]) and not any(entries for walked in walk(folder) if (entries := walked.files)):
        raise InputError(f"{folder}: {describe_empty([printable(path.name) for path in folders])}")
    raise InputError(
        f"{folder}: must hold images in folders named after their classes, such as {folder / 'cats' / '1.jpg'}; images "
        "with boxes (Pascal VOC, COCO, or YOLO with a data.yaml) or with masks (in folders images and masks, or side "
        "by side, as x.png and x_mask.png) or files of polygons (x.jpg and x.json); "
        f"texts in files or folders named after their classes, "
        f"such as {folder / 'praise.txt'} or {folder / 'praise' / '1.txt'}; or one table. {_received(folder)}"
    )


def _meant(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and files that are neither junk nor documents, nor recipes or runs of this program."""
    folders, files = list_folder(folder)
    return (
        [path for path in folders if not is_junk(path.name) and not _holds_runs(path)],
        [path for path in files if not is_junk(path.name) and not is_document(path.name) and not _is_recipe(path)],
    )


def _is_recipe(file: Path) -> bool:
    return file.suffix.lower() in (".yaml", ".yml") and TASK_KEY.search(_start(file)) is not None


def _holds_runs(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(
                os.path.isfile(os.path.join(entry.path, "run.json"))
                for entry in itertools.islice(entries, NUM_TRIED)
                if entry.is_dir()
            )
    except OSError:  # reported by whoever reads the folder
        return False


def _received(folder: Path) -> str:
    folders, files = _meant(folder)
    names = [f"{printable(path.name)}/" for path in folders] + [printable(path.name) for path in files]
    return f"Received {name_some(names) or 'nothing of the kind'}."


def _layout_of(folder: Path, folders: Sequence[Path], files: Sequence[Path]) -> Layout | None:
    if is_packed(folder):
        return Layout("shards", folder)
    yaml = find_yaml(folder)
    has_labels = any(path.name.lower() == "labels" for path in folders)
    if yaml is not None and (has_labels or is_yolo_index(yaml)):  # whose errors are reported where it is read
        return Layout("yolo", folder)
    if _is_voc(folder):
        return Layout("voc", folder)
    coco = _coco_files(folder, folders, files)
    if coco:
        return Layout("coco", coco.pop("train"), coco)
    if archived := _archive_of_series(files):
        return _files_of_splits(folder, archived)
    if _hold_masks_beside(files):
        return Layout("masks", folder)
    if _hold_polygons_beside(files) or _holds_polygons(folders):
        return Layout("polygons", folder)
    tables = [path for path in files if suffix_of(path) in TABLES]
    image_folders = [path for path in folders if _has_images(path)]
    if image_folders and not (tables and len(image_folders) < 2):
        if _holds_masks(folder, [path.name for path in image_folders]):
            return Layout("masks", folder)
        if files and len(image_folders) == 1 and _has_image_folders(image_folders[0]):
            names = name_some([printable(path.name) for path in (*image_folders, *files)])
            raise InputError(f"{folder}: may be several data sets. Name one of them instead of the folder: {names}.")
        splits, _, _ = find_splits(folder)
        if _has_image_folders(splits["train"]):
            return Layout("images", folder)
        if not tables:
            raise InputError(
                f"{splits['train']}: there must be a folder of images for each class, such as "
                f"{splits['train'] / 'cats' / '1.jpg'}, or a table of the classes. Received images without classes."
            )
    if tables:
        return Layout("file", _only_table(folder, tables))
    of_splits = [path for path in files if suffix_of(path) in OF_SPLITS]
    if of_splits and len(of_splits) == len(files):
        return _files_of_splits(folder, of_splits)
    return _of_texts(folder, folders, files)


def _is_voc(folder: Path) -> bool:
    try:
        return holds_voc(folder)
    except InputError:  # reported where its folders are read as classes
        return False


def _of_texts(folder: Path, folders: Sequence[Path], files: Sequence[Path]) -> Layout | None:
    texts = [path for path in files if is_text(path)]
    if texts and len(texts) == len(files):
        named = {split_word_in(path.stem) for path in texts}
        if len(texts) > 1 and len(named) == len(texts) and "train" in named and None not in named:
            return _files_of_splits(folder, texts)
        return Layout("lines", folder) if len(texts) > 1 else Layout("file", texts[0])
    if not folders:
        return None
    splits, _, _ = find_splits(folder)
    below, beside = _meant(splits["train"])
    if splits["train"] != folder and beside and all(map(is_text, beside)):
        return Layout("lines", folder)
    holding = [inner for path in below if (inner := _meant(path)[1])]
    if len(below) > 1 and holding and all(is_text(inner[0]) for inner in holding):
        return Layout("files", folder)
    return None


# Parts ----------------------------------------------------------------------------------------------------------------


def _has_images(folder: Path, depth: int = MAX_DEPTH) -> bool:
    """Whether a file with an image's suffix is in a folder or below it, as far as the first entries show."""
    below = []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number == NUM_TRIED:
                    break
                if is_junk(entry.name):
                    continue
                if entry.is_dir():
                    below.append(Path(entry.path))
                elif classify_file(entry.name) is None:
                    return True
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be listed ({error.strerror}). Fix its permissions.") from None
    return depth > 1 and any(_has_images(path, depth - 1) for path in below[:10])


def _has_image_folders(folder: Path) -> bool:
    return any(_has_images(path) for path in _meant(folder)[0])


def is_text(file: Path) -> bool:
    """Whether a file may be text: not by its suffix something else, and without null bytes at its start."""
    if classify_file(file.name) is None or file.suffix.lower() in NOT_TEXT:
        return False
    return b"\0" not in _start(file)


def _start(file: Path) -> bytes:
    try:
        with open_file(file) as opened:
            return opened.read(SNIFFED)
    except BadFile:
        return b"\0"


def _coco_files(folder: Path, folders: Sequence[Path], files: Sequence[Path]) -> dict[str, Path]:
    """The COCO files in a folder, in its folder of annotations or in its folders of splits, by split.

    Raises:
        InputError: there are several without the names of splits.
    """
    found = [path for path in files if _is_coco(path)]
    for inner in folders:
        if inner.name.lower() in ANNOTATION_FOLDERS or split_named(inner.name) is not None:
            found += [path for path in _meant(inner)[1] if _is_coco(path)]
    preferred = [path for path in found if path.stem.startswith("instances")] or found
    if len(preferred) == 1:
        return {"train": preferred[0]}
    by_split: dict[str, Path] = {}
    for path in preferred:
        split = split_word_in(path.stem) or split_named(path.parent.name)
        if split is None or split in by_split:
            names = name_some([printable(os.path.relpath(each, folder)) for each in preferred])
            raise InputError(f"{folder}: holds several COCO files, not one for each split. Name one of {names}.")
        by_split[split] = path
    if by_split and "train" not in by_split:
        raise InputError(f"{folder}: there must be a COCO file for train. Received {name_some(sorted(by_split))}.")
    return by_split


def _is_coco(file: Path) -> bool:
    if file.suffix.lower() != ".json":
        return False
    try:
        with open_file(file) as opened:
            data = opened.read(SNIFFED)
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - SNIFFED))
            data += opened.read(SNIFFED)
    except BadFile:
        return False
    return sum(key in data for key in COCO_KEYS) >= 2


def _only_table(folder: Path, tables: Sequence[Path]) -> Path:
    """The only table, or that of train; other splits' tables have no labels in competitions.

    Raises:
        InputError: there are several.
    """
    of_train = [path for path in tables if split_named(path.stem) == "train"]
    chosen = tables if len(tables) == 1 else of_train
    if len(chosen) != 1:
        names = name_some([printable(path.name) for path in tables])
        raise InputError(f"{folder}: holds several tables. Name one of them instead of the folder: {names}.")
    return chosen[0]


def _files_of_splits(folder: Path, files: Sequence[Path]) -> Layout:
    """One file of sentences or series, or one for each split.

    Raises:
        InputError: there are others.
    """
    by_split = name_files_of_splits(folder, files)
    return Layout("file", by_split.pop("train"), by_split)


def _archive_of_series(files: Sequence[Path]) -> list[Path]:
    """The .ts files of a folder that has nothing else but the same splits in other formats, as archives do."""
    series = [path for path in files if suffix_of(path) == ".ts"]
    return series if {path.stem for path in series} == {path.stem for path in files} else []


def _hold_masks_beside(files: Sequence[Path]) -> bool:
    """Whether most of the images among files have a mask beside them, by its name: ``x.jpg`` and ``x_mask.png``."""
    stems = [path.stem for path in files if classify_file(path.name) is None]
    named = set(stems)
    num_masks = sum(any(shorter in named for shorter in mask_stems(stem)[1:]) for stem in stems)
    return num_masks > 0 and 3 * num_masks >= len(stems)


def _hold_polygons_beside(files: Sequence[Path]) -> bool:
    """Whether most of the images among files have a JSON file of the same name beside them, as labelme writes it."""
    stems = [path.stem for path in files if classify_file(path.name) is None]
    of_polygons = {path.stem for path in files if path.suffix.lower() == ".json"}
    return 2 * sum(stem in of_polygons for stem in stems) > len(stems)


def _holds_polygons(folders: Sequence[Path]) -> bool:
    """Whether two folders are one of images and one of JSON files alone, as Cityscapes has them."""
    named = [path for path in folders if is_of_masks(path.name) or is_of_images(path.name)]
    if len(named) != 2 or len(folders) != 2:
        return False
    images, polygons = sorted(named, key=lambda path: is_of_masks(path.name))
    return is_of_masks(polygons.name) and _has_images(images) and not _has_images(polygons) and _has_json(polygons)


def _has_json(folder: Path, depth: int = MAX_DEPTH) -> bool:
    """Whether a JSON file is in a folder or below its first folders."""
    folders, files = _meant(folder)
    if any(path.suffix.lower() == ".json" for path in files):
        return True
    return depth > 1 and any(_has_json(path, depth - 1) for path in folders[:10])


def _holds_masks(folder: Path, names: Sequence[str]) -> bool:
    """Whether folders of images are beside folders of their masks, directly or in a folder for each split."""
    masks = [name for name in names if is_of_masks(name)]
    images = [name for name in names if name not in masks]
    if masks and all(is_of_images(name) or split_named(name) for name in images):
        return bool(images)
    inner = [folder / name for name in names if split_named(name) is not None]
    if masks or len(inner) < len(names):
        return False
    folders, files = _meant(inner[0])
    below = [path.name for path in folders if _has_images(path)]
    if not below:
        return _hold_masks_beside(files)
    return len(below) == 2 and sum(map(is_of_masks, below)) == 1 and any(map(is_of_images, below))
