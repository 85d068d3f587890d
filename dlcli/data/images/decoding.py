"""Reading images: from the bytes of a file to uint8 pixels [height, width, channels] of the given size.

Training, evaluation and prediction all read images here, so that they see exactly the same pixels.
"""

import contextlib
import io
import re
import struct
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlcli.data.files import hash_content, num_threads, workers
from dlcli.data.images.resizing import Interpolation, Resize, resize_image
from dlcli.errors import InputError
from dlcli.files import BadFile, open_file

ColorMode = Literal["grayscale", "rgb"]

MAX_PIXELS = 178_956_970  # of one image; Pillow's limit against decompression bombs
MAX_FILE_BYTES = 2**30  # of one image

SIGNATURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"BM": "BMP", b"GIF87a": "GIF", b"GIF89a": "GIF"}
SIGNATURE_BYTES = 16  # that `find_format` needs
END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND", "GIF": b";"}  # EOI, the last chunk, the trailer
END_BYTES = 64  # at the end of a file, in which its end marker must be: some programs append padding
CONVERT = "convert it to PNG or JPEG"

# EXIF orientation (Exif 2.32, tag 0x0112) -> the transposition that turns the image upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION_TAG = 0x0112


class BadImage(Exception):
    """A file that cannot be read as an image; the message is the reason, to be written after "file: "."""


@dataclass(frozen=True)
class ImagePolicy:
    """How every image of a data set is resized and converted, in training and prediction alike."""

    image_size: tuple[int, int]  # height, width
    color_mode: ColorMode
    resize: Resize
    interpolation: Interpolation
    antialias: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image: height, width, channels."""
        return (*self.image_size, 1 if self.color_mode == "grayscale" else 3)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, with the keys of a recipe's ``data`` section."""
        return {**asdict(self), "image_size": list(self.image_size)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "ImagePolicy":
        """The inverse of :meth:`to_dict`.

        Raises:
            InputError: a key is missing or has an invalid value.
        """
        try:
            height, width = value["image_size"]
            policy = cls(
                (height, width), value["color_mode"], value["resize"], value["interpolation"], value["antialias"]
            )
            valid = (
                all(type(side) is int and side > 0 for side in policy.image_size)
                and policy.color_mode in get_args(ColorMode)
                and policy.resize in get_args(Resize)
                and policy.interpolation in get_args(Interpolation)
                and isinstance(policy.antialias, bool)
            )
        except (KeyError, TypeError, ValueError):
            valid = False
        if not valid:
            raise InputError(f"the image settings of a run must be those of its training. Received {dict(value)}.")
        return policy


# One image --------------------------------------------------------------------------------------------------------


def read_image(source: Path | bytes, *, policy: ImagePolicy) -> NDArray[np.uint8]:
    """An image file, or its bytes, as pixels [height, width, channels] in [0, 255].

    JPEG, PNG, BMP and GIF (first frame), recognized by content. An image is rotated upright by its EXIF orientation,
    composited on white, converted to the color mode (grayscale by ITU-R 601), then resized.

    Raises:
        BadImage: it cannot be read.
    """
    image = decode(source if isinstance(source, bytes) else read_file(source))
    return _bring_to(image, policy)


def read_file(path: Path) -> bytes:
    """The bytes of an image file.

    Raises:
        BadImage: the file does not exist, cannot be read, or is too large.
    """
    try:
        with open_file(path) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except BadFile as reason:
        raise BadImage(str(reason)) from None
    except OSError as error:
        raise BadImage(f"cannot be read ({error.strerror})") from None
    if len(data) > MAX_FILE_BYTES:
        raise BadImage(f"too large: an image file may have at most {MAX_FILE_BYTES:,} bytes")
    return data


def decode(data: bytes) -> Image.Image:
    """The image in a file's bytes: upright, without transparency, of mode "L" if it is grayscale, else "RGB".

    Raises:
        BadImage: it is not an image, too large (checked before decoding), truncated or corrupt.
    """
    image = _open(io.BytesIO(data))
    try:
        image.load()
        upright = _flatten(image)
        turn = TURNS.get(_read_orientation(image.info.get("exif", b"")))
        return upright if turn is None else upright.transpose(turn)
    except MemoryError:
        raise BadImage(f"too large for this machine's memory ({image.width}x{image.height} pixels)") from None
    except Exception:
        if _is_truncated(data):
            raise BadImage("truncated: the end of the file is missing") from None
        raise BadImage(f"its {find_format(data)} data is corrupt") from None


def _is_truncated(data: bytes) -> bool:
    """Whether the end of a file that cannot be decoded is missing, by the end marker or the declared size."""
    image_format = find_format(data)
    if image_format == "BMP":
        return len(data) < int.from_bytes(data[2:6], "little")
    return END_MARKERS[image_format] not in data[-END_BYTES:]


def read_header(source: Path | bytes) -> tuple[int, int, int]:
    """Width and height of an image as it is stored, and the EXIF orientation (1 to 8) that `decode` applies.

    Raises:
        BadImage: it is not an image, too large, or its header is corrupt. The pixels are not checked.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open_file(source) as file:
            image = _open(file)
            if image.format == "PNG" and "exif" not in image.info:  # it may follow the pixels
                file.seek(0)
                if b"eXIf" in file.read(MAX_FILE_BYTES):
                    with contextlib.suppress(Exception):  # `decode` reports corrupt images
                        image.load()
            orientation = _read_orientation(image.info.get("exif", b""))
            return image.width, image.height, orientation if orientation in TURNS else 1
    except BadFile as reason:
        raise BadImage(str(reason)) from None
    except OSError as error:
        raise BadImage(f"cannot be read ({error.strerror})") from None


def _open(file: BinaryIO) -> Image.Image:
    """An image of which only the header has been read."""
    image_format = find_format(file.read(SIGNATURE_BYTES))
    file.seek(0)
    _silence_pillow()
    try:
        image = Image.open(file, formats=(image_format,))
    except Image.DecompressionBombError:
        raise BadImage(f"too large: an image may have at most {MAX_PIXELS:,} pixels") from None
    except Exception:  # on corrupt bytes Pillow raises nearly anything
        raise BadImage(f"its {image_format} header is corrupt or truncated") from None
    if image.width * image.height > MAX_PIXELS:
        raise BadImage(f"too large: an image may have at most {MAX_PIXELS:,} pixels")
    return image


def find_format(data: bytes) -> str:
    """The name of the format, by the first bytes of a file.

    Raises:
        BadImage: the format is unknown or not supported.
    """
    if not data:
        raise BadImage("the file is empty")
    for signature, image_format in SIGNATURES.items():
        if data.startswith(signature):
            return image_format
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        raise BadImage(f"its content is WebP, which is not supported: {CONVERT}")
    if data.startswith((b"II*\0", b"MM\0*")):
        raise BadImage(f"its content is TIFF, which is not supported: {CONVERT}")
    if data[4:8] == b"ftyp":
        raise BadImage(f"its content is HEIC or AVIF, which are not supported: {CONVERT}")
    raise BadImage("not an image: its content is not JPEG, PNG, BMP or GIF")


def _flatten(image: Image.Image) -> Image.Image:
    """An image of any mode as "L" or "RGB", composited on white."""
    if image.mode.startswith("I;16"):
        return _flatten_16_bit(image)
    gray = image.mode in ("1", "L", "LA") or (image.mode == "P" and _has_gray_palette(image))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image.convert("RGBA"))
    mode = "L" if gray else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _flatten_16_bit(image: Image.Image) -> Image.Image:
    """16-bit grayscale scaled to 8 bits and rounded: 0 to 0, 65535 to 255."""
    values = np.asarray(image)
    gray = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if "transparency" in image.info:  # the one gray value that means transparent
        gray[values == image.info["transparency"]] = 255
    return Image.fromarray(gray)


def _has_gray_palette(image: Image.Image) -> bool:
    colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return bool((colors == colors[:, :1]).all())


def _read_orientation(exif: bytes) -> int:
    """The orientation tag of EXIF data; 1 (upright) if it is absent or corrupt.

    Not read with Pillow, which warns about, or fails on, corruption anywhere in the EXIF data.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (num_entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(num_entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * entry)
            if tag == ORIENTATION_TAG:
                return int(value)
    except struct.error:  # an offset past the end
        pass
    return 1


_PILLOW = re.compile(r"PIL\.")
_PILLOW_FILTER: Any = ("ignore", None, Warning, _PILLOW, 0)
_filter_lock = threading.Lock()


def _silence_pillow() -> None:
    """Silences Pillow's warnings (unusual EXIF data, palettes, sizes), about which the user can do nothing.

    For the whole process, because ``warnings.catch_warnings`` is not thread-safe.
    """
    with _filter_lock:
        if _PILLOW_FILTER not in warnings.filters:
            warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _bring_to(image: Image.Image, policy: ImagePolicy) -> NDArray[np.uint8]:
    """An image of mode "L" or "RGB" as pixels in the policy's form: [height, width, channels]."""
    mode = "L" if policy.color_mode == "grayscale" else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    image = resize_image(
        image,
        image_size=policy.image_size,
        resize=policy.resize,
        interpolation=policy.interpolation,
        antialias=policy.antialias,
    )
    return np.array(image).reshape(policy.shape)


def read_images(
    files: Sequence[Path], *, policy: ImagePolicy, digests: Sequence[str] | None = None
) -> NDArray[np.uint8]:
    """Image files as pixels [batch, height, width, channels], decoded in several threads.

    Args:
        digests: of the contents that the files must have.

    Raises:
        InputError: a file can no longer be read, or its content has changed since the data was checked.
    """

    def read(position: int) -> NDArray[np.uint8]:
        try:
            data = read_file(files[position])
            if digests is not None and hash_content(data) != digests[position]:
                raise BadImage("its content has changed")
            return read_image(data, policy=policy)
        except BadImage as reason:
            raise InputError(
                f"{files[position]}: {reason}. It was modified or removed after the data was checked: restore it."
            ) from None

    return _fill(len(files), policy, read)


def resize_images(pixels: NDArray[np.uint8], *, policy: ImagePolicy) -> NDArray[np.uint8]:
    """Images [batch, height, width, channels] resized and converted by the policy."""
    if pixels.shape[1:] == policy.shape:
        return pixels

    def resize(position: int) -> NDArray[np.uint8]:
        image = pixels[position]
        return _bring_to(Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image), policy)

    return _fill(len(pixels), policy, resize)


def _fill(num: int, policy: ImagePolicy, make: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Makes ``num`` images in the worker threads; if several fail, the error of the first is raised."""
    result = np.empty((num, *policy.shape), np.uint8)
    step = max(1, min(16, num // (2 * num_threads())))  # images that a thread makes in one call

    def fill(start: int) -> None:
        for position in range(start, min(start + step, num)):
            result[position] = make(position)

    list(workers().map(fill, range(0, num, step)))
    return result
