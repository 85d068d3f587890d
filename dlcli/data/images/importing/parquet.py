"""Images in Parquet files in the layout of Hugging Face datasets: a column of images, and one of their classes.

A column of images is a struct of ``bytes`` and ``path``, or the bytes alone. The schema's metadata describes the
columns under the key ``huggingface``, the names of classes among them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from dlcli.data.files import printable
from dlcli.data.images.importing.samples import RELABEL, BadLabel, ForeignImage, check_class_names, class_of
from dlcli.data.listing import name_some
from dlcli.errors import InputError
from dlcli.files import BadFile, open_file

BATCH = 64  # rows read at a time; bounds the memory
IMAGES = ("image", "img", "jpg", "png", "webp")  # the columns that are tried
LABELS = ("label", "labels", "class", "target")


class Columns(NamedTuple):
    """The columns of a file that are read, and the names of its classes."""

    image: str
    label: str
    is_struct: bool
    names: tuple[str, ...] | None


class ParquetReader:
    """Reads Parquet files.

    Args:
        image, label: names of columns; None to find them.
        names: of the classes; None for those of the files.

    Raises:
        InputError: pyarrow is not installed.
    """

    def __init__(self, *, image: str | None, label: str | None, names: Sequence[str] | None) -> None:
        try:
            import pyarrow.parquet
        except ImportError:
            raise InputError(
                "Parquet files need the package pyarrow. Install it with pip install 'dlcli[parquet]'."
            ) from None
        self._parquet: Any = pyarrow.parquet
        self._errors = (pyarrow.ArrowException, OSError)
        self._image, self._label = image, label
        self._names = names
        self._first: tuple[Path, tuple[str, ...] | None] | None = None

    def count(self, file: Path) -> int:
        """As :meth:`Reader.count`; the columns are checked too."""
        with self._opened(file) as opened:
            names = self._columns(opened, file).names
            first, names_of_first = self._first = self._first or (file, names)
            if names != names_of_first:
                raise InputError(
                    f"{file}: must have the names of classes of {first.name}. Received others: import them apart."
                )
            return int(opened.metadata.num_rows)

    def read(self, file: Path, name: str) -> Iterator[ForeignImage]:
        """As :meth:`Reader.read`."""
        with self._opened(file) as opened:
            columns = self._columns(opened, file)
            wanted = [f"{columns.image}.bytes", f"{columns.image}.path"] if columns.is_struct else [columns.image]
            try:
                row = 0
                for batch in opened.iter_batches(batch_size=BATCH, columns=[*wanted, columns.label]):
                    pairs = zip(batch[columns.image].to_pylist(), batch[columns.label].to_pylist(), strict=True)
                    for image, label in pairs:
                        row += 1
                        yield _image_of(image, label, columns, f"{file}: row {row:,}", f"{name}/{row}")
            except self._errors as error:
                raise _corrupt(file, error) from None

    def _opened(self, file: Path) -> Any:
        try:
            with open_file(file):
                pass
            return self._parquet.ParquetFile(file, memory_map=False)
        except BadFile as reason:
            raise InputError(f"{file}: {reason}. Give a folder, or files, to import.") from None
        except self._errors as error:
            raise _corrupt(file, error) from None

    def _columns(self, opened: Any, file: Path) -> Columns:
        schema = opened.schema_arrow
        described = _described(schema.metadata or {})
        types = {name: schema.field(name).type for name in schema.names}
        structs = {name for name, found in types.items() if _fields_of(found) >= {"bytes"}}
        likely = [name for name in types if described.get(name, {}).get("_type") == "Image" or name in structs]
        image = _chosen(self._image, "image", types, likely or [name for name in IMAGES if name in types], file)
        if image not in structs and not str(types[image]).endswith("binary"):
            raise InputError(
                f"{file}: column '{printable(image)}' must contain image files, as bytes. Received {types[image]}: set "
                f"--image. Columns: {_listed(types)}."
            )
        classes = [name for name in types if described.get(name, {}).get("_type") == "ClassLabel"]
        label = _chosen(self._label, "label", types, classes or [name for name in LABELS if name in types], file)
        names = described.get(label, {}).get("names") if self._names is None else self._names
        if names is not None:
            names = tuple(map(str, names))
            check_class_names(names, f"{file}: column '{printable(label)}'")
        return Columns(image, label, image in structs, names)


def _described(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """The features of the columns as Hugging Face's library describes them; nothing if it does not, or not validly."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: found for name, found in features.items() if isinstance(found, dict)}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _fields_of(found: Any) -> set[str]:
    return {found.field(i).name for i in range(found.num_fields)} if str(found).startswith("struct") else set()


def _chosen(given: str | None, what: str, columns: Mapping[str, Any], likely: Sequence[str], file: Path) -> str:
    """The column that is given, or the only one that is likely.

    Raises:
        InputError: it does not exist, or there is not exactly one.
    """
    if given is not None and given in columns:
        return given
    if given is not None:
        raise InputError(f"{file}: there is no column '{printable(given)}' for --{what}. Columns: {_listed(columns)}.")
    if len(likely) == 1:
        return likely[0]
    if likely:
        raise InputError(f"{file}: several columns may be the {what}: {_listed(likely)}. Choose one with --{what}.")
    raise InputError(f"{file}: no column is the {what} by its name. Set --{what}. Columns: {_listed(columns)}.")


def _listed(columns: Any) -> str:
    return name_some([printable(name) for name in columns])


def _image_of(image: Any, label: Any, columns: Columns, place: str, name: str) -> ForeignImage:
    own_name = None
    if columns.is_struct and image is not None:
        own_name, image = image.get("path"), image["bytes"]
    if not image:
        reason = (
            "has no image"
            if own_name is None
            else f"has the path of an image, '{printable(own_name)[:100]}', not its bytes"
        )
        raise InputError(f"{place}: {reason}. Write the Parquet file with the images in it.")
    try:
        number, label = class_of(label, columns.names)
    except BadLabel as reason:
        raise InputError(f"{place}: column '{printable(columns.label)}': {reason}. {RELABEL}") from None
    if own_name:
        name += f"/{printable(PurePosixPath(own_name).name)}"
    return ForeignImage(name, place, image, number, label)


def _corrupt(file: Path, error: Exception) -> InputError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else None
    if reason is not None:
        return InputError(f"{file}: cannot be read ({reason}).")
    return InputError(f"{file}: is not a Parquet file, or is truncated or corrupt. Download or write it again.")
