"""Reading mask files: the values or colors of their pixels, exactly as they are stored, and the masks they encode."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlcli.data.images.decoding import BadImage, decode_stored, find_format
from dlcli.data.masks.coding import HIGHEST, Coding, Encoded, Mask

LOSSY = ("JPEG", "AVIF", "HEIF")  # and WebP without "VP8L"; JPEG 2000 may be either
SAVE_AS = "save masks without loss, as PNG"
GRAY_STEPS = {1: 1, 2: 85, 4: 17}  # by the bits of a gray PNG, by what Pillow multiplies values


@dataclass(frozen=True)
class Stored:
    """The content of a mask file, upright.

    Attributes:
        values: whole numbers ``[height, width]`` from 0 to 65535, or colors uint8 ``[height, width, 3]``.
        is_lossy: whether its compression changes values.
    """

    values: NDArray[Any]
    is_lossy: bool


def read_stored(data: bytes, *, is_colored: bool) -> Stored:
    """The values in the bytes of a mask file: indices of a palette, gray values of up to 16 bits; or its colors.

    A color image whose channels are equal has values too. Opaque transparency is ignored.

    Args:
        is_colored: whether colors are meant, also those of a palette.

    Raises:
        BadImage: it is not an image, or it has no such values.
    """
    image = decode_stored(data)
    is_lossy = find_format(data) in LOSSY or (find_format(data) == "WEBP" and b"VP8L" not in data[:64])
    if find_format(data) == "PNG" and data[24] == 16 and not image.mode.startswith("I"):
        raise BadImage(f"of 16 bits with color or transparency only the upper 8 are read: {SAVE_AS} of 8 bits")
    if is_colored:
        return Stored(_colors_of(image), is_lossy)
    if image.mode in ("1", "P"):
        return Stored(np.asarray(image).astype(np.uint8), is_lossy)
    if image.mode == "L":
        values = np.asarray(image)
        is_gray_png = find_format(data) == "PNG" and data[25] == 0
        return Stored(values // GRAY_STEPS.get(data[24], 1) if is_gray_png else values, is_lossy)
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > HIGHEST:
            raise BadImage(f"its values must be from 0 to {HIGHEST}. It has {values.min()} to {values.max()}")
        return Stored(values.astype(np.uint16), is_lossy)
    if image.mode == "LA":
        return Stored(_opaque(image)[..., 0], is_lossy)
    colors = _colors_of(image)
    if (colors != colors[..., :1]).any():
        example = colors[(colors != colors[..., :1]).any(axis=-1)][0].tolist()
        raise BadImage(f"it has colors, such as {example}: declare them in data.palette of a recipe")
    return Stored(colors[..., 0], is_lossy)


def read_ids(data: bytes) -> Stored:
    """The values of a mask that tell its objects apart, as :func:`read_stored`; of one in color, a whole number for
    each color, 0 for black.

    Raises:
        BadImage: as for :func:`read_stored`.
    """
    try:
        return read_stored(data, is_colored=False)
    except BadImage:
        colored = read_stored(data, is_colored=True)
        return Stored(colored.values.astype(np.int64) @ np.array([2**16, 2**8, 1]), colored.is_lossy)


def _colors_of(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 ``[height, width, 3]``."""
    if image.mode in ("RGBA", "LA", "PA"):
        return _opaque(image.convert("RGBA"))[..., :3]
    if image.mode not in ("1", "L", "P", "RGB"):
        raise BadImage(f"its color mode, {image.mode}, has no colors of 8 bits: {SAVE_AS}")
    return np.asarray(image.convert("RGB"))


def _opaque(image: Image.Image) -> NDArray[np.uint8]:
    values = np.asarray(image)
    if (values[..., -1] != 255).any():
        raise BadImage(f"it has transparent pixels, which have no class: {SAVE_AS}, without transparency")
    return values


def read_mask(data: bytes, coding: Coding) -> Encoded:
    """The mask in the bytes of a file, at its stored size, upright.

    Raises:
        BadImage: it cannot be read, or its compression has changed the values.
    """
    return encode(read_stored(data, is_colored=coding.is_colored), coding)


def as_png(mask: Mask) -> bytes:
    """A file of a mask's values, which are gray."""
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return file.getvalue()


def encode(stored: Stored, coding: Coding) -> Encoded:
    """The mask that stored values mean.

    Raises:
        BadImage: the compression has changed the values, so that they have no meaning.
    """
    if not stored.is_lossy:
        return coding.encode(stored.values)
    if coding.threshold is None:
        raise BadImage(f"its format is lossy, so that values and colors are not those that were saved: {SAVE_AS}")
    return coding.encode(np.where(stored.values >= coding.threshold, np.uint8(255), np.uint8(0)))
