"""From the recipe's ``data`` section to samples and batches."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlcli.data.augmentation.augmentation import Augmentation, ColorJitter, RandAugment, RandomCrop, RandomErasing
from dlcli.data.augmentation.mixup import Mixing
from dlcli.data.boxes.sources.coco import read_coco
from dlcli.data.boxes.sources.csv_table import read_box_csv
from dlcli.data.boxes.sources.npz import read_box_npz
from dlcli.data.boxes.sources.voc import read_voc
from dlcli.data.images.batches import Batches
from dlcli.data.images.dataset import CommonKeys
from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.images.sources.class_folders import read_folder
from dlcli.data.images.sources.csv_table import read_csv
from dlcli.data.images.sources.digits import read_digits
from dlcli.data.images.sources.keras_datasets import read_keras_dataset
from dlcli.data.images.sources.npz import read_npz
from dlcli.data.images.statistics import channel_statistics, whitening_matrix
from dlcli.data.listing import NO_ALIASES
from dlcli.data.synthetic.shapes import read_shapes
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.box_data import Annotations, BoxCsv, BoxNpz, Coco, LocalisationData, Shapes, Voc
from dlcli.recipe.sections.image_data import Csv, Digits, Folder, ImageData, KerasDataset, NoData, Npz
from dlcli.recipe.sections.image_model import BuiltModel
from dlcli.workflow.model import Standardization, scale_input
from dlcli.workflow.talk import Talk

AnyData = ImageData | LocalisationData

MAX_WHITENED = 4096  # values of a sample that is whitened: the matrix has the square of that
FITTED_AT_A_TIME = 256  # samples
MEMORY_BYTES = 64 * 2**20  # of a split's decoded pictures that are kept in memory
DISK_SHARE = 4  # decoded pictures are kept on disk if they take at most the 4th part of what is free


def open_dataset(loaded: LoadedRecipe, talk: Talk) -> Dataset:
    """Reads the recipe's data, every picture once to find damage before training starts.

    Raises:
        InputError: they cannot be used; a missing path is located in the recipe.
    """
    section = loaded.of_pictures.data
    loaded.check_data_path()
    return read_dataset(section, talk)


def read_dataset(
    section: AnyData,
    talk: Talk,
    *,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
) -> Dataset:
    """Reads the data of a ``data`` section.

    Args:
        classes: of a trained model, in the order of its outputs, whose labels are to be used.
        aliases: other names of these classes, which folders and tables may have.

    Raises:
        InputError: they cannot be used.
    """
    common = CommonKeys(
        image_size=section.image_size,
        color_mode=section.color_mode,
        resize=section.resize,
        interpolation=section.interpolation,
        antialias=section.antialias,
        validation=section.validation,
        test=section.test,
        split_seed=section.split_seed,
        limit=section.limit,
        allow_leakage=section.allow_leakage,
    )
    listed: dict[str, Any] = {"classes": classes, "aliases": aliases, "progress": talk.reading}
    match section:
        case Digits():
            return _with_classes(read_digits(**common), classes)
        case KerasDataset():
            return _with_classes(read_keras_dataset(kind=section.kind, path=section.path, **common), classes)
        case Npz():
            return read_npz(
                path=section.path,
                value_range=section.value_range,
                layout=section.layout,
                classes=classes,
                **common,
            )
        case Folder():
            return read_folder(
                path=section.path,
                on_bad_image=section.on_bad_image,
                exclude=section.exclude,
                **listed,
                **common,
            )
        case Csv():
            return read_csv(
                path=section.path,
                image=section.image,
                label=section.label,
                split=section.split,
                group=section.group,
                on_bad_image=section.on_bad_image,
                **listed,
                **common,
            )
        case Shapes():
            return read_shapes(num_samples=section.num_samples, seed=section.seed, classes=classes, **common)
        case Voc():
            return read_voc(
                path=section.path,
                images=section.images,
                annotations=section.annotations,
                train_list=section.train_list,
                validation_list=section.validation_list,
                test_list=section.test_list,
                **listed,
                **_of_annotations(section),
                **common,
            )
        case Coco():
            return read_coco(
                path=section.path,
                images=section.images,
                validation_path=section.validation_path,
                test_path=section.test_path,
                **listed,
                **_of_annotations(section),
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
                **listed,
                **_of_annotations(section),
                **common,
            )
        case BoxNpz():
            return read_box_npz(path=section.path, value_range=section.value_range, classes=classes, **common)
        case NoData():
            raise InputError(
                "data.kind: none: there are no samples. Name some: with --data, or in the recipe's data section."
            )


def _of_annotations(section: Annotations) -> dict[str, Any]:
    return {
        "several": section.several,
        "on_bad_box": section.on_bad_box,
        "on_bad_image": section.on_bad_image,
    }


def _with_classes(dataset: Dataset, classes: tuple[str, ...] | None) -> Dataset:
    """The data set, if its fixed classes are those of the trained model."""
    if classes is not None and classes != dataset.classes:
        raise InputError(
            f"the data's classes are not those of the model: {', '.join(dataset.classes[:5])}, … "
            f"where the model knows {', '.join(classes[:5])}, …"
        )
    return dataset


def section_for(path: Path, trained_on: AnyData, pictures: dict[str, Any]) -> AnyData:
    """A ``data`` section that reads a folder, an .npz or a .csv as a trained model's data were read, undivided.

    With boxes a folder is Pascal VOC's, and a .json file COCO's.

    Args:
        pictures: how the model's pictures are brought to size, from its run.json.

    Raises:
        InputError: the path is none of these.
    """
    common: dict[str, Any] = {
        **pictures,
        "path": str(path.absolute()),
        "validation": 0.0,
        "test": 0.0,
        "allow_leakage": True,
    }
    if isinstance(trained_on, (Shapes, Annotations, BoxNpz)):
        return _boxes_for(path, trained_on, common)
    if isinstance(trained_on, (Folder, Csv)) and path.suffix != ".npz":
        common["on_bad_image"] = trained_on.on_bad_image
    if path.is_dir():
        if isinstance(trained_on, Folder):
            common["exclude"] = trained_on.exclude
        return Folder(kind="folder", **common)
    if path.suffix == ".csv":
        columns = (
            {key: getattr(trained_on, key) for key in ("image", "label", "split")}
            if isinstance(trained_on, Csv)
            else {}
        )
        return Csv(kind="csv", **common, **columns)
    if path.suffix == ".npz":
        reading = (
            {key: getattr(trained_on, key) for key in ("value_range", "layout")} if isinstance(trained_on, Npz) else {}
        )
        return Npz(kind="npz", **common, **reading)
    raise InputError(f"{path}: expected a recipe, a folder of class folders, a .csv or an .npz.")


def _boxes_for(path: Path, trained_on: LocalisationData, common: dict[str, Any]) -> LocalisationData:
    kinds: dict[str, tuple[str, type[Voc | Coco | BoxCsv | BoxNpz]]] = {
        ".json": ("coco", Coco),
        ".csv": ("csv", BoxCsv),
        ".npz": ("npz", BoxNpz),
    }
    if not path.is_dir() and path.suffix not in kinds:
        raise InputError(f"{path}: expected a recipe, a folder of Pascal VOC, a .json of COCO, a .csv or an .npz.")
    name, kind = ("voc", Voc) if path.is_dir() else kinds[path.suffix]
    if isinstance(trained_on, Annotations) and kind is not BoxNpz:
        common |= _of_annotations(trained_on)
    if isinstance(trained_on, kind):  # what its columns and folders are called
        keys = ("images", "annotations", "image", "label", "box", "size", "split", "value_range")
        common |= {key: getattr(trained_on, key) for key in keys if hasattr(trained_on, key)}
        if isinstance(trained_on, Coco):
            common["images"] = None  # beside the file
    return kind(**common | {"kind": name})


def is_kept_in_memory(section: AnyData, samples: Samples) -> bool:
    """Whether the decoded pictures of a split are kept in memory, by the recipe or by how many bytes they are.

    Raises:
        InputError: the recipe wants it, and they are more than half of the memory.
    """
    if samples.pixels is not None:
        return True
    num_bytes = decoded_bytes(samples)
    if section.cache == "memory" and num_bytes > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2:
        raise InputError(
            f"data.cache: memory: {num_bytes / 2**30:,.1f} GiB of decoded pictures are more than half of this "
            "machine's memory. Set data.cache to disk or none."
        )
    return section.cache == "memory" or (section.cache == "auto" and num_bytes <= MEMORY_BYTES)


def is_kept_on_disk(section: AnyData, samples: Samples, *, num_epochs: int, folder: Path) -> bool:
    """Whether decoded pictures that are not in memory are kept on the disk that a folder is on."""
    if section.cache != "auto":
        return section.cache == "disk"
    has_use = num_epochs > 1  # of one epoch nothing would be read back
    return has_use and decoded_bytes(samples) <= shutil.disk_usage(folder).free // DISK_SHARE


def decoded_bytes(samples: Samples) -> int:
    """Bytes of all the samples as they come to the network's input."""
    return len(samples) * int(np.prod(samples.shape))


def in_memory(samples: Samples) -> Samples:
    """The samples, decoded once and kept."""
    if samples.pixels is not None:
        return samples
    return replace(samples, pixels=samples.load(np.arange(len(samples))), files=None, unsized=None)


def batches(
    samples: Samples,
    *,
    batch_size: int,
    seed: int | None = None,
    chosen: np.ndarray | None = None,
    augment: Augment | None = None,
    num_classes: int = 0,
) -> Batches:
    """The batches of a split, or of the ``chosen`` samples of it; with ``augment`` as the training split's are."""
    index = np.arange(len(samples)) if chosen is None else chosen
    boxes = samples.relative_boxes()
    mixes = augment is not None and (augment.mixup is not None or augment.cutmix is not None)
    return Batches(
        labels=samples.labels[index],
        boxes=None if boxes is None else boxes[index],
        pixels=None if samples.pixels is None else samples.pixels[index],
        load=lambda positions: samples.load(index[positions]),
        shape=samples.shape,
        batch_size=batch_size,
        seed=seed,
        augmentation=None if augment is None else make_augmentation(augment),
        mixing=Mixing(augment.mixup, augment.cutmix) if augment is not None and mixes else None,
        num_classes=num_classes,
    )


def make_augmentation(section: Augment) -> Augmentation:
    """The random changes to each picture that the recipe's ``augment`` section asks for."""
    zoom = section.zoom_range
    jitter, erasing, crop, some = (
        section.color_jitter,
        section.random_erasing,
        section.random_crop,
        section.rand_augment,
    )
    return Augmentation(
        rotation_range=section.rotation_range,
        width_shift_range=section.width_shift_range,
        height_shift_range=section.height_shift_range,
        brightness_range=section.brightness_range,
        shear_range=section.shear_range,
        zoom_range=zoom if isinstance(zoom, tuple) else (1.0 - zoom, 1.0 + zoom),
        channel_shift_range=section.channel_shift_range,
        fill_mode=section.fill_mode,
        cval=section.cval,
        horizontal_flip=section.horizontal_flip,
        vertical_flip=section.vertical_flip,
        random_crop=None if crop is None else RandomCrop(**crop.model_dump()),
        color_jitter=None if jitter is None else ColorJitter(**jitter.model_dump()),
        random_erasing=None if erasing is None else RandomErasing(**erasing.model_dump()),
        rand_augment=None if some is None else RandAugment(**some.model_dump()),
    )


def check_augment(loaded: LoadedRecipe, shape: tuple[int, ...]) -> None:
    """What of the ``augment`` section only the samples' shape can tell.

    Raises:
        InputError: located at the key.
    """
    augment = loaded.of_pictures.augment
    if augment is None:
        return
    num_features = int(np.prod(shape))
    if augment.zca_whitening and num_features > MAX_WHITENED:
        raise loaded.fault(
            "augment.zca_whitening",
            f"at most {MAX_WHITENED:,} values a picture can be whitened; these have {num_features:,}. "
            "Make data.image_size smaller, or use featurewise_std_normalization",
        )
    for key in ("hue", "saturation"):
        if augment.color_jitter is not None and getattr(augment.color_jitter, key) and shape[-1] != 3:
            raise loaded.fault(
                f"augment.color_jitter.{key}", f"grey pictures have no {key}; remove it, or set data.color_mode: rgb"
            )
    for key, side in (("height_shift_range", shape[0]), ("width_shift_range", shape[1])):
        value = getattr(augment, key)
        furthest = max(map(abs, value)) if isinstance(value, tuple) else value
        if furthest >= side:
            raise loaded.fault(f"augment.{key}", f"moves pictures of {side} pixels by {furthest:g}; at most {side - 1}")


def fit_standardization(loaded: LoadedRecipe, samples: Samples) -> Standardization:
    """Fits on the training split what of the network's input the ``augment`` section wants fitted."""
    recipe = loaded.of_pictures
    augment = recipe.augment
    if augment is None or not augment.centers_features or not isinstance(recipe.model, BuiltModel):
        return Standardization()
    inputs = keras.Input(shape=samples.shape, dtype="float32")
    scaled = keras.Model(inputs, scale_input(inputs, recipe.model, augment))

    def values() -> Iterator[np.ndarray]:
        for start in range(0, len(samples), FITTED_AT_A_TIME):
            index = np.arange(start, min(start + FITTED_AT_A_TIME, len(samples)))
            yield np.asarray(scaled(samples.load(index).astype(np.float32)))

    mean, std = channel_statistics(values())
    if not augment.zca_whitening:
        return Standardization(mean, std if augment.featurewise_std_normalization else None)
    matrix = whitening_matrix((batch - mean for batch in values()), epsilon=augment.zca_epsilon)
    return Standardization(mean, whitening=matrix)
