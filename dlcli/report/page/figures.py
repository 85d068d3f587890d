"""Figures inside a page, as data URLs: photos and plots as WebP, curves as SVG."""

import base64
import contextlib
import io
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

PHOTO_QUALITY = 80
"""Of WebP, from 0 to 100: the size of a photo is a tenth of that of a PNG file."""


def embedded_png(png: bytes, *, max_width: int) -> str:
    """A PNG file as a data URL of a WebP file that is at most ``max_width`` pixels wide.

    Raises:
        OSError: it is not an image, or larger than an image in a page may be.
    """
    with _opened(io.BytesIO(png)) as image:
        pixels = image.convert("RGB")
    if pixels.width > max_width:
        height = max(1, round(pixels.height * max_width / pixels.width))
        pixels = pixels.resize((max_width, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    pixels.save(buffer, format="WEBP", quality=PHOTO_QUALITY, method=6)
    return _data_url("image/webp", buffer.getvalue())


def check_png(file: BinaryIO) -> None:
    """Read a PNG file without decoding its pixels.

    Raises:
        OSError: it is not a complete image, or larger than an image in a page may be.
    """
    with _opened(file) as image:
        image.verify()


@contextlib.contextmanager
def _opened(file: BinaryIO) -> Iterator[Image.Image]:
    """A PNG file as an image, whose errors are all OSError."""
    try:
        with Image.open(file, formats=["PNG"]) as image:
            yield image
    except (Image.DecompressionBombError, SyntaxError, ValueError, EOFError) as error:
        raise OSError(str(error)) from error


def embedded_svg(svg: bytes) -> str:
    """An SVG file as a data URL; as an image it cannot run scripts or load anything."""
    return _data_url("image/svg+xml", svg)


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
