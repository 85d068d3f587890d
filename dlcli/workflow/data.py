"""From the recipe's ``data`` section to samples and batches."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.batches import Batches
from dlcli.data.csv_file import read_csv
from dlcli.data.digits import read_digits
from dlcli.data.folder import read_folder
from dlcli.data.keras_datasets import read_keras_dataset
from dlcli.data.listing import CommonKeys
from dlcli.data.npz import read_npz
from dlcli.data.samples import Dataset, Samples
from dlcli.errors import InputError
from dlcli.recipe.data import Csv, Digits, Folder, ImageData, KerasDataset, Npz
from dlcli.recipe.load import LoadedRecipe
from dlcli.workflow.talk import Talk

MEMORY_BYTES = 64 * 2**20  # of a split's decoded pictures that are kept


def open_dataset(loaded: LoadedRecipe, talk: Talk) -> Dataset:
    """Reads the recipe's data, every picture once to find damage before training starts.

    Raises:
        InputError: they cannot be used; a missing path is located in the recipe.
    """
    path = getattr(loaded.recipe.data, "path", None)
    if path is not None and not Path(path).exists():
        raise loaded.fault(
            "data.path", f"no such file or folder: {path}. Correct it, or name the place with --data PATH"
        )
    return read_dataset(loaded.recipe.data, talk)


def read_dataset(section: ImageData, talk: Talk, *, classes: tuple[str, ...] | None = None) -> Dataset:
    """Reads the data of a ``data`` section.

    Args:
        classes: of a trained model, in the order of its outputs, whose labels are to be used.

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
    )
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
                classes=classes,
                progress=talk.reading,
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
                classes=classes,
                progress=talk.reading,
                **common,
            )


def _with_classes(dataset: Dataset, classes: tuple[str, ...] | None) -> Dataset:
    """The data set, if its fixed classes are those of the trained model."""
    if classes is not None and classes != dataset.classes:
        raise InputError(
            f"the data's classes are not those of the model: {', '.join(dataset.classes[:5])}, … "
            f"where the model knows {', '.join(classes[:5])}, …"
        )
    return dataset


def section_for(path: Path, trained_on: ImageData, pictures: dict[str, Any]) -> ImageData:
    """A ``data`` section that reads a folder, an .npz or a .csv as a trained model's data were read, undivided.

    Args:
        pictures: how the model's pictures are brought to size, from its run.json.

    Raises:
        InputError: the path is none of these.
    """
    common: dict[str, Any] = {**pictures, "path": str(path.absolute()), "validation": 0.0, "test": 0.0}
    if isinstance(trained_on, (Folder, Csv)) and path.suffix != ".npz":
        common["on_bad_image"] = trained_on.on_bad_image
    if path.is_dir():
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


def in_memory(samples: Samples) -> Samples:
    """The samples, decoded once and kept where they are small; a large data set is decoded anew in each epoch."""
    num_bytes = len(samples) * int(np.prod(samples.shape))
    if samples.pixels is not None or num_bytes > MEMORY_BYTES:
        return samples
    return replace(samples, pixels=samples.load(np.arange(len(samples))), files=None, unsized=None)


def batches(samples: Samples, *, batch_size: int, seed: int | None = None, chosen: np.ndarray | None = None) -> Batches:
    """The batches of a split, or of the ``chosen`` samples of it."""
    index = np.arange(len(samples)) if chosen is None else chosen
    return Batches(
        labels=samples.labels[index],
        pixels=None if samples.pixels is None else samples.pixels[index],
        load=lambda positions: samples.load(index[positions]),
        shape=samples.shape,
        batch_size=batch_size,
        seed=seed,
    )
