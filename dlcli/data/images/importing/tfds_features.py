"""What a folder that TensorFlow Datasets has prepared says of its records: ``features.json``, and lists of names."""

from pathlib import Path
from typing import Any, NamedTuple

from dlcli.data.files import printable
from dlcli.data.images.importing.samples import read_names
from dlcli.data.json_file import read_json
from dlcli.data.listing import name_some
from dlcli.errors import InputError

FILE = "features.json"
MAX_BYTES = 2**24
REMEDY = "Prepare the data again with tfds build, or give the names of features with --image and --label."


class TfdsFeatures(NamedTuple):
    """The features of a record.

    Attributes:
        images: names of those that are image files.
        labels: names of those that are classes.
        names: of the classes, by feature; a feature without names is absent.
    """

    images: tuple[str, ...]
    labels: tuple[str, ...]
    names: dict[str, tuple[str, ...]]


def read_features(folder: Path) -> TfdsFeatures | None:
    """The features of the records in a folder; None without ``features.json``.

    Raises:
        InputError: the file is not that of TensorFlow Datasets, or no feature is an image with a class.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    content = read_json(file, noun="description of features", max_bytes=MAX_BYTES, remedy=REMEDY)
    try:
        features: dict[str, Any] = dict(content["featuresDict"]["features"])
        kinds = {name: str(feature["pythonClassName"]).rpartition(".")[2] for name, feature in features.items()}
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{file}: must describe the features as TensorFlow Datasets 4 does. {REMEDY}") from None
    images = tuple(name for name, kind in kinds.items() if kind == "Image")
    labels = tuple(name for name, kind in kinds.items() if kind == "ClassLabel")
    if not images or not labels:
        listed = name_some([f"{printable(name)} ({printable(kind)})" for name, kind in kinds.items()])
        raise InputError(f"{file}: there must be a feature Image and a feature ClassLabel. Received {listed}.")
    lists = {name: folder / f"{name}.labels.txt" for name in labels}
    return TfdsFeatures(images, labels, {name: read_names(path) for name, path in lists.items() if path.is_file()})
