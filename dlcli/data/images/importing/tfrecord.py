"""Images in TFRecord files of ``tf.train.Example``: a feature with an image file, and one with its class.

Each record has the checksums of its length and of its content, which TensorFlow compares.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import tensorflow as tf

from dlcli.data.files import printable
from dlcli.data.images.importing.samples import RELABEL, BadLabel, ForeignImage, class_of
from dlcli.data.images.importing.tfds_features import TfdsFeatures, read_features
from dlcli.data.listing import name_some
from dlcli.errors import InputError
from dlcli.files import GZIP, BadFile, open_file

IMAGES = ("image/encoded", "image", "img", "image_raw")  # the features that are tried
TEXTS, NUMBERS = ("image/class/text",), ("image/class/label", "label")
FILE_NAMES = ("image/filename", "file_name", "filename")


class TFRecordReader:
    """Reads TFRecord files; a folder that TensorFlow Datasets has prepared says what the features are.

    Args:
        image, label: names of features; None to find them.
        names: of the classes; None for those of TensorFlow Datasets, or those in the records.
    """

    def __init__(self, *, image: str | None, label: str | None, names: Sequence[str] | None) -> None:
        self._image, self._label = image, label
        self._names = names
        self._described: dict[Path, TfdsFeatures | None] = {}

    def count(self, file: Path) -> int:
        """As :meth:`Reader.count`; all of the file is read, and its checksums are compared."""
        return sum(1 for _ in _records(file))

    def read(self, file: Path, name: str) -> Iterator[ForeignImage]:
        """As :meth:`Reader.read`."""
        described = self._described.get(file.parent)
        if file.parent not in self._described:
            described = self._described[file.parent] = read_features(file.parent)
        for number, record in enumerate(_records(file), 1):
            place = f"{file}: record {number:,}"
            yield self._image_of(_features(record, place), described, place, f"{name}/{number}")

    def _image_of(
        self, features: Mapping[str, Any], described: TfdsFeatures | None, place: str, name: str
    ) -> ForeignImage:
        names = self._names
        images: tuple[str, ...] = IMAGES
        labels: tuple[str, ...] = (*TEXTS, *NUMBERS) if names is None else (*NUMBERS, *TEXTS)
        if described is not None:
            images, labels = described.images, described.labels
            _refuse_several(self._image, "image", images, place)
            _refuse_several(self._label, "label", labels, place)
        image = _chosen(self._image, "image", features, images, place)
        label = _chosen(self._label, "label", features, labels, place)
        if described is not None and names is None:
            names = described.names.get(label)
        data = _only(features[image])
        if not isinstance(data, bytes) or not data:
            raise InputError(f"{place}: feature '{printable(image)}' must be one image file, as bytes. Set --image.")
        try:
            found = features[label]
            of_class, label_name = class_of(found[0] if len(found) == 1 else found or None, names)
        except BadLabel as reason:
            raise InputError(f"{place}: feature '{printable(label)}': {reason}. {RELABEL}") from None
        own_name = next((_only(features[key]) for key in FILE_NAMES if key in features), None)
        if isinstance(own_name, bytes) and own_name:
            name += f"/{printable(PurePosixPath(own_name.decode(errors='backslashreplace')).name)}"
        return ForeignImage(name, place, data, of_class, label_name)


def _records(file: Path) -> Iterator[bytes]:
    """The records of a file, which gzip may have compressed.

    Raises:
        InputError: it cannot be opened, or a checksum is wrong.
    """
    try:
        with open_file(file) as opened:
            compression = "GZIP" if opened.read(len(GZIP)) == GZIP else ""
    except BadFile as reason:
        raise InputError(f"{file}: {reason}. Give a folder, or files, to import.") from None
    number = 0
    try:
        for record in tf.data.TFRecordDataset(str(file), compression_type=compression).as_numpy_iterator():
            number += 1
            yield record
    except tf.errors.OpError:
        what = "is not a TFRecord file, or its first record" if number == 0 else f"record {number + 1:,}"
        raise InputError(
            f"{file}: {what} is truncated or corrupt: its checksum is wrong. Download or write it again."
        ) from None


def _features(record: bytes, place: str) -> dict[str, Any]:
    """The values of each feature of a ``tf.train.Example``.

    Raises:
        InputError: the record is none.
    """
    try:
        example = tf.train.Example.FromString(record)
    except Exception:  # protobuf's DecodeError, which is in another place in each implementation
        raise InputError(f"{place}: must be a tf.train.Example. Give files of these.") from None
    found = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        found[name] = [] if kind is None else list(getattr(feature, kind).value)
    return found


def _chosen(given: str | None, what: str, features: Mapping[str, Any], likely: Sequence[str], place: str) -> str:
    """The feature that is given, or the first that is likely.

    Raises:
        InputError: the record lacks it.
    """
    name = given if given is not None else next((name for name in likely if name in features), None)
    if name is not None and name in features:
        return name
    rule = f"has no feature for the {what}" if name is None else f"has no feature '{printable(name)}' for --{what}"
    listed = name_some(sorted(map(printable, features))) or "none"
    raise InputError(f"{place}: {rule}. Set --{what}. Features: {listed}.")


def _refuse_several(given: str | None, what: str, described: Sequence[str], place: str) -> None:
    if given is None and len(described) > 1:
        listed = name_some(list(map(printable, described)))
        raise InputError(f"{place}: several features may be the {what}: {listed}. Choose one with --{what}.")


def _only(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else None
