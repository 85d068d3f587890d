"""Reads the images and objects that the recipe's ``data`` section names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.boxes.shapes import DrawnInstances
from dlcli.data.boxes.sources.coco import read_coco
from dlcli.data.boxes.sources.csv_table import read_box_csv
from dlcli.data.boxes.sources.object_npz import read_object_npz
from dlcli.data.boxes.sources.shards import read_object_shards
from dlcli.data.boxes.sources.voc import read_voc
from dlcli.data.boxes.sources.yolo import find_yaml, read_yolo
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.shards import is_packed
from dlcli.data.listing import NO_ALIASES
from dlcli.data.masks.sources.instances import FileInstances, read_instance_masks
from dlcli.data.masks.sources.object_shards import read_instance_shards
from dlcli.data.synthetic.scene_objects import read_scene_objects
from dlcli.errors import InputError
from dlcli.recipe.sections.detection_data import (
    CocoObjects,
    CsvObjects,
    DetectionData,
    InstanceData,
    InstanceFiles,
    LearnedObjects,
    NpzObjects,
    ObjectFiles,
    ObjectShards,
    SceneObjects,
    VocObjects,
    YoloObjects,
)
from dlcli.runtime.console import Console
from dlcli.tasks.images.image_keys import image_keys
from dlcli.tasks.images.sources import BoxKind, kind_of_boxes, of_arrays
from dlcli.tasks.remote_shards import local_shards

MASK_SUFFIXES = (".json", ".yaml", ".yml")  # of files whose objects may have masks: COCO, and YOLO's data.yaml


def read_dataset(
    section: DetectionData | InstanceData,
    console: Console,
    *,
    has_masks: bool = False,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
) -> Dataset:
    """Read the data of a ``data`` section; every image is read once.

    Args:
        has_masks: whether the masks of objects are read too; a source without masks is then refused.
        classes: of a trained model, in the order of its outputs, by which objects are numbered; None to find them.
        aliases: other names of these classes that the data may use.

    Raises:
        InputError: the data cannot be used.
    """
    common = image_keys(
        section,
        file_range=section.value_range if isinstance(section, ObjectFiles | ObjectShards | InstanceFiles) else None,
        tiles=None if section.tiles is None else (section.tiles.size, section.tiles.overlap),
    )

    def reading(files: ObjectFiles) -> ObjectReading:
        return ObjectReading(
            on_bad_image=files.on_bad_image,
            exclude=files.exclude,
            classes=classes,
            aliases=aliases,
            progress=console.reading,
            on_bad_box=files.on_bad_box,
            min_visible=files.min_visible,
            learned=files.classes,
            instances=DrawnInstances.of if has_masks else None,
        )

    match section:
        case SceneObjects():
            dataset = read_scene_objects(
                num_samples=section.num_samples,
                seed=section.seed,
                min_visible=section.min_visible,
                has_masks=has_masks,
                exclude=section.exclude,
                **common,
            )
            if classes is not None and classes != dataset.classes:
                raise InputError(
                    f"scenes: the classes must be those of the model: {', '.join(classes[:5])}. Received "
                    f"{', '.join(dataset.classes)}."
                )
            return dataset
        case VocObjects():
            return read_voc(
                path=section.path,
                images=section.images,
                annotations=section.annotations,
                train_list=section.train_list,
                validation_list=section.validation_list,
                test_list=section.test_list,
                reading=reading(section),
                **common,
            )
        case CocoObjects():
            return read_coco(
                path=section.path,
                images=section.images,
                validation_path=section.validation_path,
                test_path=section.test_path,
                allow_outside=section.allow_outside,
                reading=reading(section),
                **common,
            )
        case YoloObjects():
            return read_yolo(path=section.path, allow_outside=section.allow_outside, reading=reading(section), **common)
        case CsvObjects():
            return read_box_csv(
                path=section.path,
                image=section.image,
                label=section.label,
                box=section.box,
                size=section.size,
                split=section.split,
                group=section.group,
                allow_outside=section.allow_outside,
                reading=reading(section),
                **common,
            )
        case NpzObjects():
            if has_masks:
                raise InputError(
                    f"{section.path}: masks of objects must be in files. Received arrays: give kind: masks."
                )
            return read_object_npz(
                path=section.path,
                value_range=section.value_range,
                min_visible=section.min_visible,
                classes=classes,
                exclude=section.exclude,
                **common,
            )
        case ObjectShards():
            return (read_instance_shards if has_masks else read_object_shards)(
                path=local_shards(section, console),
                reading=ObjectReading(
                    on_bad_image=section.on_bad_image,
                    exclude=section.exclude,
                    classes=classes,
                    aliases=aliases,
                    progress=console.reading,
                    min_visible=section.min_visible,
                    learned=section.classes,
                ),
                **common,
            )
        case InstanceFiles():
            return read_instance_masks(
                path=section.path,
                images=section.images,
                masks=section.masks,
                label=section.label,
                ignore=section.ignore,
                on_missing=section.on_missing,
                reading=ObjectReading(
                    on_bad_image=section.on_bad_image,
                    exclude=section.exclude,
                    classes=classes,
                    aliases=aliases,
                    progress=console.reading,
                    min_visible=section.min_visible,
                    instances=FileInstances.of,
                ),
                **common,
            )
        case _:
            assert_never(section)


def section_for(path: Path, trained_on: DetectionData | InstanceData, images: dict[str, Any]) -> DetectionData:
    """A ``data`` section that reads a folder, a .json, .csv or .npz like a trained model's data, without dividing them.

    A folder is read as Pascal VOC, or as YOLO if it contains a data.yaml.

    Args:
        trained_on: the ``data`` section that the model was trained on.
        images: how the model's images are resized, from its run.json.

    Raises:
        InputError: the path is none of these.
    """
    kinds: dict[BoxKind, type[VocObjects | CocoObjects | YoloObjects | CsvObjects | NpzObjects]] = {
        "voc": VocObjects,
        "coco": CocoObjects,
        "yolo": YoloObjects,
        "csv": CsvObjects,
        "npz": NpzObjects,
    }
    if is_packed(path):
        learned = trained_on.classes if isinstance(trained_on, LearnedObjects) else None
        return ObjectShards(
            kind="shards", **images, **_undivided(path), min_visible=trained_on.min_visible, classes=learned
        )
    name = kind_of_boxes(path)
    kind = kinds[name]
    keys: dict[str, Any] = {
        **(of_arrays(images) if kind is NpzObjects else images),
        **_undivided(path),
        "min_visible": trained_on.min_visible,
    }
    if isinstance(trained_on, ObjectFiles) and issubclass(kind, ObjectFiles):
        keys |= {key: getattr(trained_on, key) for key in ("on_bad_box", "on_bad_image", "exclude", "classes")}
    if isinstance(trained_on, kind):  # the same names of columns and folders
        more = ("images", "annotations", "image", "label", "box", "size", "split", "value_range", "allow_outside")
        keys |= {key: getattr(trained_on, key) for key in more if hasattr(trained_on, key)}
        if isinstance(trained_on, CocoObjects):
            keys["images"] = None  # beside the file
    return kind(**keys | {"kind": name})


def instance_section_for(path: Path, trained_on: InstanceData, images: dict[str, Any]) -> InstanceData:
    """As :func:`section_for`, for sources that have masks of objects.

    Raises:
        InputError: the path is no such source.
    """
    is_other = path.is_dir() and (is_packed(path) or find_yaml(path) is not None)
    if is_other or path.suffix.lower() in MASK_SUFFIXES:
        section = section_for(path, trained_on, images)
        assert isinstance(section, CocoObjects | YoloObjects | ObjectShards)
        return section
    has_files = isinstance(trained_on, InstanceFiles)
    if has_files and path.is_dir():
        return trained_on.model_copy(update={**images, **_undivided(path), "limit": None})
    folder = " a folder of images and masks," if has_files else ""
    advice = ""
    if path.is_dir() and not has_files:
        advice = " For images beside masks: dlcli recipe init FOLDER --task instance_segmentation writes a recipe."
    raise InputError(
        f"{path}: expected a recipe,{folder} a YOLO folder, a COCO .json or a folder of shards, whose objects have "
        f"masks.{advice}"
    )


def _undivided(path: Path) -> dict[str, Any]:
    return {"path": str(path.absolute()), "validation": 0.0, "test": 0.0, "allow_leakage": True}
