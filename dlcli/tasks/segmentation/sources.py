"""Reads the images and masks that the recipe's ``data`` section names."""

from pathlib import Path
from typing import Any, assert_never

from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.shards import is_packed
from dlcli.data.masks.dataset import refuse_other_classes
from dlcli.data.masks.sources.coco import read_coco_masks
from dlcli.data.masks.sources.files import codings_of, read_masks
from dlcli.data.masks.sources.polygons import read_polygons
from dlcli.data.masks.sources.shards import read_mask_shards
from dlcli.data.synthetic.scenes import read_scenes
from dlcli.errors import InputError
from dlcli.recipe.sections.mask_data import (
    CocoMasks,
    MaskData,
    MaskFiles,
    MaskImages,
    MaskShards,
    Polygons,
    Regions,
    Scenes,
)
from dlcli.runtime.console import Console
from dlcli.tasks.images.image_keys import image_keys
from dlcli.tasks.remote_shards import local_shards


def read_dataset(section: MaskData, console: Console, *, classes: tuple[str, ...] | None = None) -> Dataset:
    """Read the data of a ``data`` section; every image and mask is read once.

    Args:
        classes: of a trained model, in the order of its outputs, which the data must have; None to find them.

    Raises:
        InputError: the data cannot be used.
    """
    common = image_keys(
        section,
        file_range=section.value_range if isinstance(section, MaskFiles | MaskShards) else None,
        tiles=None if section.tiles is None else (section.tiles.size, section.tiles.overlap),
    )
    match section:
        case Scenes():
            dataset = read_scenes(num_samples=section.num_samples, seed=section.seed, **common)
            refuse_other_classes(dataset.classes, classes, Path("scenes"))
            return dataset
        case MaskImages():
            return read_masks(
                path=section.path,
                images=section.images,
                masks=section.masks,
                codings=codings_of(
                    classes=section.classes,
                    palette=section.palette,
                    foreground_class=section.foreground,
                    ignore=section.ignore,
                ),
                on_missing=section.on_missing,
                on_bad_image=section.on_bad_image,
                exclude=section.exclude,
                image=section.image,
                mask=section.mask,
                split=section.split,
                group=section.group,
                allow_outside=section.allow_outside,
                classes=classes,
                progress=console.reading,
                **common,
            )
        case CocoMasks():
            return read_coco_masks(
                path=section.path,
                images=section.images,
                validation_path=section.validation_path,
                test_path=section.test_path,
                allow_outside=section.allow_outside,
                **_region_keys(section),
                classes=classes,
                progress=console.reading,
                **common,
            )
        case Polygons():
            return read_polygons(
                path=section.path,
                images=section.images,
                polygons=section.polygons,
                on_missing=section.on_missing,
                **_region_keys(section),
                classes=classes,
                progress=console.reading,
                **common,
            )
        case MaskShards():
            return read_mask_shards(
                path=local_shards(section, console),
                reading=Reading(section.on_bad_image, section.exclude, classes=classes, progress=console.reading),
                **common,
            )
        case _:
            assert_never(section)


def _region_keys(section: Regions) -> dict[str, Any]:
    return {
        "labels": section.classes,
        "background": section.background,
        "ignore": section.ignore,
        "on_bad_image": section.on_bad_image,
        "exclude": section.exclude,
    }


def section_for(path: Path, trained_on: MaskData, images: dict[str, Any]) -> MaskData:
    """A ``data`` section that reads a folder or table like a trained model's data, without dividing them.

    Args:
        trained_on: the ``data`` section that the model was trained on.
        images: how the model's images are resized, from its run.json.

    Raises:
        InputError: the model's data are generated or packed, so that the meaning of other masks is not known.
    """
    whole: dict[str, Any] = {"path": str(path.absolute()), "validation": 0.0, "test": 0.0, "allow_leakage": True}
    if is_packed(path):
        return MaskShards(kind="shards", **images, **whole)
    if isinstance(trained_on, Scenes | MaskShards):
        raise InputError(
            f"{path}: what the values in its masks mean is not known. Give a recipe whose data section says so: "
            "dlcli recipe init FOLDER writes one for a folder of images and masks."
        )
    if isinstance(trained_on, CocoMasks):
        whole |= {"images": None, "validation_path": None, "test_path": None}  # beside the file
    return trained_on.model_copy(update={**images, **whole, "limit": None})
