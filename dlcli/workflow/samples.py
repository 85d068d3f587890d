"""Samples that a program holds in memory, or names by paths, as a predictor takes them."""

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dlcli.data.files import printable
from dlcli.data.images.decoding import BadImage, read_file
from dlcli.data.images.discovery import find_images
from dlcli.errors import InputError
from dlcli.tasks.predictor import Predictor

PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16")  # that PNG stores unchanged
MOST_CHANNELS = 4  # of an image, if it is one: red, green, blue and alpha
ONE_MORE = {"images": 4, "signals": 3, "volumes": 5, "series": 3}  # axes of an array of several samples


def read_samples(predictor: Predictor, samples: Any) -> tuple[list[str | None], list[Any]]:
    """The samples as ``predictor.predict`` takes them, and the files that they are from.

    Args:
        samples: one, or a sequence of them. Images may be paths of files and folders, the bytes of files, PIL images
            and arrays; texts are strings; tables are paths, the bytes of files and data frames; series are arrays
            and data frames, whose columns are found by name; signals and volumes are arrays.

    Returns:
        The file of each sample, None for one in memory; and the samples.

    Raises:
        InputError: a sample cannot be used; it names the file, or the position.
    """
    items = list(_several(predictor.kind, samples))
    files: list[str | None] = []
    read: list[Any] = []
    for position, item in enumerate(items):
        name = f"sample {position}" if len(items) > 1 else None
        for path in _files(predictor.kind, item):
            file = None if path is None else printable(path.as_posix())
            sample = item if path is None else path if predictor.kind == "tables" else _content(path)
            read.append(predictor.read(_in_memory(predictor, sample), name=file or name))
            files.append(file)
    return files, read


def _several(kind: str, samples: Any) -> Iterable[Any]:
    """The samples one by one."""
    if isinstance(samples, str | bytes | os.PathLike | Image.Image | Mapping) or _is_frame(samples):
        return [samples]
    if hasattr(samples, "__array__"):
        values = np.asarray(samples)
        is_batch = values.ndim == ONE_MORE.get(kind, 1)
        is_batch |= kind == "images" and values.ndim == 3 and values.shape[2] > MOST_CHANNELS  # of gray images
        return values if is_batch else [values]
    if not isinstance(samples, Iterable):
        raise InputError(f"samples: expected {kind}. Received {type(samples).__name__}.")
    return samples


def _files(kind: str, item: Any) -> Sequence[Path | None]:
    """The files that an item names; [None] for a sample in memory.

    Raises:
        InputError: a folder has no image.
    """
    is_path = isinstance(item, os.PathLike) or (isinstance(item, str) and kind in ("images", "tables"))
    if not is_path:
        return [None]
    if kind not in ("images", "tables"):
        raise InputError(f"{item}: this model takes {kind} in memory. For files, use: dlcli predict")
    path = Path(item)
    if kind == "tables" or not path.is_dir():
        return [path]
    names, _ = find_images(path, root=path)
    if not names:
        raise InputError(f"{path}: there must be an image to predict. Received none.")
    return [path / name for name in names]


def _content(path: Path) -> bytes:
    try:
        return read_file(path)
    except BadImage as reason:
        raise InputError(f"{path}: {reason}.") from None


def _in_memory(predictor: Predictor, item: Any) -> Any:
    """A sample as ``predictor.read`` takes it."""
    if isinstance(item, Image.Image):
        return _bytes_of(item)
    if _is_frame(item):
        if predictor.kind == "tables":
            return item.to_csv(index=False).encode()
        features = predictor.run.read_info()["data"].get("features") or list(item.columns)
        if missing := [name for name in features if name not in item.columns]:
            raise InputError(f"the data frame: must have the columns {', '.join(features)}. {missing[0]} is missing.")
        return item[features].to_numpy()
    if predictor.kind in ("texts", "tables") or isinstance(item, str | bytes):
        return item
    return np.asarray(item)


def _bytes_of(image: Image.Image) -> bytes:
    """A PIL image as the bytes of a file, so that modes, transparency and orientation are treated as those of files."""
    buffer = io.BytesIO()
    is_png = image.mode in PNG_MODES
    options = {"compress_level": 0} if is_png else {}
    image.save(buffer, "PNG" if is_png else "TIFF", exif=image.getexif(), **options)
    return buffer.getvalue()


def _is_frame(value: Any) -> bool:
    """Whether it is a data frame, of pandas or any library with its methods; none of them needs to be installed."""
    return hasattr(value, "columns") and hasattr(value, "to_numpy")
