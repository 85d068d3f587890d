"""Reads the samples that the recipe's ``data`` section names."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dlcli.data.boxes.dataset import BoxReading
from dlcli.data.boxes.sources.coco import read_coco
from dlcli.data.boxes.sources.csv_table import read_box_csv
from dlcli.data.boxes.sources.npz import read_box_npz
from dlcli.data.boxes.sources.shards import read_box_shards
from dlcli.data.boxes.sources.voc import read_voc
from dlcli.data.boxes.sources.yolo import find_yaml, read_yolo
from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.class_folders import read_folder
from dlcli.data.images.sources.csv_table import read_csv
from dlcli.data.images.sources.digits import read_digits
from dlcli.data.images.sources.keras_datasets import read_keras_dataset
from dlcli.data.images.sources.label_table import read_label_table
from dlcli.data.images.sources.npz import read_npz
from dlcli.data.images.sources.shards import is_packed, read_shards
from dlcli.data.images.sources.target_shards import read_target_shards
from dlcli.data.images.sources.target_table import folder_of, read_number_table
from dlcli.data.listing import NO_ALIASES
from dlcli.data.synthetic.scene_labels import LABELS, read_scene_labels
from dlcli.data.synthetic.shape_numbers import read_shape_numbers
from dlcli.data.synthetic.shapes import read_shapes
from dlcli.errors import InputError
from dlcli.files import suffix_of
from dlcli.recipe.sections.box_data import (
    Annotations,
    BoxCsv,
    BoxNpz,
    BoxShards,
    Coco,
    LocalizationData,
    Shapes,
    Voc,
    Yolo,
)
from dlcli.recipe.sections.image_data import (
    Csv,
    Digits,
    FilesOfImages,
    Folder,
    ImageData,
    KerasDataset,
    NoData,
    Npz,
    Shards,
)
from dlcli.recipe.sections.target_data import (
    ImageTable,
    LabelData,
    LabelShards,
    LabelTable,
    NumberData,
    NumberShards,
    NumberTable,
    SceneLabels,
    ShapeNumbers,
)
from dlcli.runtime.console import Console
from dlcli.tasks.images.image_keys import image_keys
from dlcli.tasks.remote_shards import local_shards

AnyData = ImageData | LocalizationData | NumberData | LabelData
"""The ``data`` sections that :func:`read_dataset` reads."""


def read_dataset(
    section: AnyData,
    console: Console,
    *,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
) -> Dataset:
    """Read the data of a ``data`` section.

    Args:
        classes: of a trained model, in the order of its outputs, by which labels are numbered; None to find them.
        aliases: other names of these classes that folders and tables may use.

    Raises:
        InputError: the data cannot be used.
    """
    common = image_keys(section, file_range=section.value_range if isinstance(section, FilesOfImages) else None)
    listed: dict[str, Any] = {"classes": classes, "aliases": aliases, "progress": console.reading}
    match section:
        case Digits():
            return _with_classes(read_digits(exclude=section.exclude, **common), classes)
        case KerasDataset():
            return _with_classes(
                read_keras_dataset(kind=section.kind, path=section.path, exclude=section.exclude, **common), classes
            )
        case Npz():
            return read_npz(
                path=section.path,
                value_range=section.value_range,
                layout=section.layout,
                classes=classes,
                exclude=section.exclude,
                **common,
            )
        case Folder():
            return read_folder(
                path=section.path,
                folders=section.folders,
                reading=Reading(section.on_bad_image, section.exclude, **listed),
                **common,
            )
        case Csv():
            return read_csv(
                path=section.path,
                image=section.image,
                label=section.label,
                split=section.split,
                group=section.group,
                allow_outside=section.allow_outside,
                reading=Reading(section.on_bad_image, section.exclude, **listed),
                **common,
            )
        case Shards():
            return read_shards(
                path=local_shards(section, console),
                reading=Reading(section.on_bad_image, section.exclude, **listed),
                **common,
            )
        case NumberShards() | LabelShards():
            return read_target_shards(
                path=local_shards(section, console),
                entry="value" if isinstance(section, NumberShards) else "labels",
                reading=Reading(section.on_bad_image, section.exclude, **listed),
                **common,
            )
        case BoxShards():
            return read_box_shards(
                path=local_shards(section, console),
                reading=Reading(section.on_bad_image, section.exclude, **listed),
                **common,
            )
        case Shapes():
            return read_shapes(
                num_samples=section.num_samples, seed=section.seed, classes=classes, exclude=section.exclude, **common
            )
        case Voc():
            return read_voc(
                path=section.path,
                images=section.images,
                annotations=section.annotations,
                train_list=section.train_list,
                validation_list=section.validation_list,
                test_list=section.test_list,
                reading=BoxReading(**_annotation_keys(section), **listed),
                **common,
            )
        case Coco():
            return read_coco(
                path=section.path,
                images=section.images,
                validation_path=section.validation_path,
                test_path=section.test_path,
                allow_outside=section.allow_outside,
                reading=BoxReading(**_annotation_keys(section), **listed),
                **common,
            )
        case Yolo():
            return read_yolo(
                path=section.path,
                allow_outside=section.allow_outside,
                reading=BoxReading(**_annotation_keys(section), **listed),
                **common,
            )
        case BoxCsv():
            return read_box_csv(
                path=section.path,
                image=section.image,
                label=section.label,
                box=section.box,
                size=section.size,
                split=section.split,
                group=section.group,
                allow_outside=section.allow_outside,
                reading=BoxReading(**_annotation_keys(section), **listed),
                **common,
            )
        case BoxNpz():
            return read_box_npz(
                path=section.path, value_range=section.value_range, classes=classes, exclude=section.exclude, **common
            )
        case NumberTable():
            return read_number_table(
                targets=section.targets,
                on_missing=section.on_missing,
                decimal=section.decimal,
                reading=Reading(section.on_bad_image, section.exclude, progress=console.reading),
                **_table_keys(section),
                **common,
            )
        case ShapeNumbers():
            return read_shape_numbers(
                num_samples=section.num_samples,
                seed=section.seed,
                targets=section.targets,
                exclude=section.exclude,
                **common,
            )
        case LabelTable():
            return read_label_table(
                labels=section.labels,
                label=section.label,
                separator=section.separator,
                on_missing=section.on_missing,
                reading=Reading(section.on_bad_image, section.exclude, **listed),
                **_table_keys(section),
                **common,
            )
        case SceneLabels():
            return read_scene_labels(
                num_samples=section.num_samples, seed=section.seed, exclude=section.exclude, **common
            )
        case NoData():
            raise InputError(
                "data.kind: none: there are no samples. Give some with --data, or in the recipe's data section."
            )


def _annotation_keys(section: Annotations) -> dict[str, Any]:
    return {
        "several": section.several,
        "on_bad_box": section.on_bad_box,
        "on_bad_image": section.on_bad_image,
        "exclude": section.exclude,
    }


def _table_keys(section: ImageTable) -> dict[str, Any]:
    keys = ("path", "image", "images", "suffix", "split", "group", "allow_outside")
    return {key: getattr(section, key) for key in keys}


def _with_classes(dataset: Dataset, classes: tuple[str, ...] | None) -> Dataset:
    """The data set, whose fixed classes must be those of the trained model."""
    if classes is not None and classes != dataset.classes:
        raise InputError(
            f"the classes of the data must be those of the model: {', '.join(classes[:5])}, … "
            f"Received {', '.join(dataset.classes[:5])}, …"
        )
    return dataset


def section_for(path: Path, trained_on: AnyData, images: dict[str, Any]) -> AnyData:
    """A ``data`` section that reads a folder, an .npz or a .csv like a trained model's data, without dividing them.

    With boxes, a folder is read as Pascal VOC and a .json file as COCO.

    Args:
        trained_on: the ``data`` section that the model was trained on.
        images: how the model's images are resized, from its run.json.

    Raises:
        InputError: the path is none of these.
    """
    common: dict[str, Any] = {
        **images,
        "path": str(path.absolute()),
        "validation": 0.0,
        "test": 0.0,
        "allow_leakage": True,
    }
    if isinstance(trained_on, (Shapes, Annotations, BoxNpz, BoxShards)):
        return BoxShards(kind="shards", **common) if is_packed(path) else _boxes_for(path, trained_on, common)
    if isinstance(trained_on, (NumberTable, ShapeNumbers, NumberShards)) and is_packed(path):
        return NumberShards(kind="shards", **common)
    if isinstance(trained_on, (LabelTable, SceneLabels, LabelShards)) and is_packed(path):
        return LabelShards(kind="shards", **common)
    if isinstance(trained_on, (NumberTable, ShapeNumbers, NumberShards, LabelTable, SceneLabels, LabelShards)):
        return _table_for(path, trained_on, common)
    if isinstance(trained_on, (Folder, Csv, Shards)) and path.suffix != ".npz":
        common["on_bad_image"] = trained_on.on_bad_image
    if is_packed(path):
        return Shards(kind="shards", **common)
    if path.is_dir():
        if isinstance(trained_on, Folder):
            common |= {"exclude": trained_on.exclude, "folders": trained_on.folders}
        return Folder(kind="folder", **common)
    if suffix_of(path) == ".csv":
        columns = (
            {key: getattr(trained_on, key) for key in ("image", "label", "split", "exclude", "allow_outside")}
            if isinstance(trained_on, Csv)
            else {}
        )
        return Csv(kind="csv", **common, **columns)
    if path.suffix.lower() == ".npz":
        if isinstance(trained_on, Npz):
            common |= {key: getattr(trained_on, key) for key in ("value_range", "layout")}
        return Npz(kind="npz", **of_arrays(common))
    raise InputError(f"{path}: expected a recipe, a folder of class folders, a .csv or an .npz.")


def _table_for(path: Path, trained_on: NumberData | LabelData, common: dict[str, Any]) -> NumberTable | LabelTable:
    if not path.is_dir() and suffix_of(path) not in (".csv", ".tsv"):
        raise InputError(f"{path}: expected a recipe, a table of images (.csv), or a folder that contains one.")
    if isinstance(trained_on, ImageTable):
        keys = ("image", "suffix", "split", "exclude", "allow_outside", "on_bad_image", "on_missing")
        common |= {key: getattr(trained_on, key) for key in keys}
        if trained_on.images is not None:  # at the same place beside the table
            moved = folder_of(path) / os.path.relpath(trained_on.images, folder_of(Path(trained_on.path)))
            common["images"] = str(moved.absolute())
    match trained_on:
        case NumberTable() | ShapeNumbers():
            decimal = getattr(trained_on, "decimal", None)
            return NumberTable(kind="csv", targets=trained_on.targets, decimal=decimal, **common)
        case LabelTable():
            columns = {key: getattr(trained_on, key) for key in ("labels", "label", "separator")}
            return LabelTable(kind="csv", **columns, **common)
        case SceneLabels():
            return LabelTable(kind="csv", labels=LABELS, **common)
        case NumberShards() | LabelShards():
            raise InputError(
                f"{path}: the model was trained on shards, so that the columns of a table are not known. Give a folder "
                "of shards, or a recipe."
            )


BoxKind = Literal["voc", "coco", "yolo", "csv", "npz"]
BOX_KINDS: Mapping[str, BoxKind] = {".json": "coco", ".yaml": "yolo", ".yml": "yolo", ".csv": "csv", ".npz": "npz"}


def kind_of_boxes(path: Path) -> BoxKind:
    """The kind of source of annotated objects that a path is, by its suffix; a folder is VOC, or YOLO if it contains a
    data.yaml.

    Raises:
        InputError: it is none.
    """
    if path.is_dir():
        return "voc" if find_yaml(path) is None else "yolo"
    if suffix_of(path) not in BOX_KINDS:
        raise InputError(f"{path}: expected a recipe, a Pascal VOC or YOLO folder, a COCO .json, a .csv or an .npz.")
    return BOX_KINDS[suffix_of(path)]


def _boxes_for(path: Path, trained_on: LocalizationData, common: dict[str, Any]) -> LocalizationData:
    kinds: dict[BoxKind, type[Voc | Coco | Yolo | BoxCsv | BoxNpz]] = {
        "voc": Voc,
        "coco": Coco,
        "yolo": Yolo,
        "csv": BoxCsv,
        "npz": BoxNpz,
    }
    name = kind_of_boxes(path)
    kind = kinds[name]
    if isinstance(trained_on, Annotations) and kind is not BoxNpz:
        common |= _annotation_keys(trained_on)
    if isinstance(trained_on, kind):  # the same names of columns and folders
        keys = ("images", "annotations", "image", "label", "box", "size", "split", "value_range", "allow_outside")
        common |= {key: getattr(trained_on, key) for key in keys if hasattr(trained_on, key)}
        if isinstance(trained_on, Coco):
            common["images"] = None  # beside the file
    return kind(**(of_arrays(common) if kind is BoxNpz else common) | {"kind": name})


def of_arrays(common: dict[str, Any]) -> dict[str, Any]:
    """The keys for arrays, whose range of values has a default of its own."""
    return {key: value for key, value in common.items() if key != "value_range" or value is not None}
