"""Reading images: from the bytes of a file to uint8 pixels [height, width, channels] of the given size.

Training, evaluation and prediction all read images here, so that they see exactly the same pixels.
"""

import contextlib
import ctypes
import io
import logging
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, _imaging

from dlcli.data.files import AnyPath, hash_content, num_threads, workers
from dlcli.data.images.formats import FORMAT_NAMES, FORMATS, INSTALL_HEIC, SIGNATURE_BYTES, recognize
from dlcli.data.images.members import Member
from dlcli.data.images.resizing import Interpolation, Resize, resize_image
from dlcli.data.images.scan_index import Status, settled_status
from dlcli.errors import InputError
from dlcli.files import BadFile, open_file

ColorMode = Literal["grayscale", "rgb"]

MAX_PIXELS = 178_956_970  # of one image; Pillow's limit against decompression bombs
MAX_FILE_BYTES = 2**30  # of one image

END_MARKERS = {  # EOI, the last chunk, the trailer, EOC
    "JPEG": b"\xff\xd9",
    "PNG": b"IEND",
    "GIF": b";",
    "JPEG2000": b"\xff\xd9",
}
END_BYTES = 64  # at the end of a file, in which its end marker must be: some programs append padding
CONVERT = "convert it to PNG or JPEG"
HIGHEST = 65535  # of 16 bits
RGB_MODES = ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "CMYK", "YCbCr", "HSV")  # that Pillow converts to RGB

ValueRange = tuple[float, float]

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
LONG = 4  # the type of a tag's value, which takes 4 bytes; orientations are usually SHORT
SUBFILE_TYPE_TAG, BITS_TAG, DNG_TAG = 254, 258, 50706  # of TIFF


class BadImage(Exception):
    """A file that cannot be read as an image; the message is the reason, to be written after "file: "."""


@dataclass(frozen=True)
class ImagePolicy:
    """How every image of a data set is resized, or cut into tiles, and converted, in training and prediction alike."""

    image_size: tuple[int, int]  # height, width; of tiles if images are cut into these; the median of own sizes
    color_mode: ColorMode
    resize: Resize
    interpolation: Interpolation
    antialias: bool
    value_range: ValueRange | None = None  # of gray values of more than 8 bits that become 0 and 255; None: all 16 bits
    overlap: int | None = None  # at least, in pixels, of tiles cut from images at their own size; None: no tiles
    has_own_sizes: bool = False  # images are not resized, and a network takes them at any size

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of what a network takes, an image or a tile: height, width, channels; of images of their own sizes, of one of
        the median size."""
        return (*self.image_size, self.channels)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Of a network's input: the same, with None for the height and width of images of their own sizes."""
        return (None, None, self.channels) if self.has_own_sizes else self.shape

    @property
    def channels(self) -> int:
        """Of an image."""
        return 1 if self.color_mode == "grayscale" else 3

    @property
    def is_tiled(self) -> bool:
        """Whether images stay at their own size, and are cut into tiles of ``image_size``."""
        return self.overlap is not None

    @property
    def keeps_size(self) -> bool:
        """Whether images stay at their own size when they are read."""
        return self.is_tiled or self.has_own_sizes

    def of_one_size(self) -> "ImagePolicy":
        """The same for whole images of one size, that of a tile or the median: they are scaled into it, and padded."""
        return replace(self, resize="pad", overlap=None, has_own_sizes=False) if self.keeps_size else self

    def to_dict(self) -> dict[str, Any]:
        """For JSON, with the keys of a recipe's ``data`` section."""
        value_range = None if self.value_range is None else list(self.value_range)
        values = {**asdict(self), "image_size": list(self.image_size), "value_range": value_range}
        overlap = values.pop("overlap")
        if values.pop("has_own_sizes"):
            values["resize"] = "none"
        return values if overlap is None else {**values, "tiles": {"size": values["image_size"], "overlap": overlap}}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "ImagePolicy":
        """The inverse of :meth:`to_dict`.

        Raises:
            InputError: a key is missing or has an invalid value.
        """
        try:
            height, width = value["image_size"]
            low_and_high = value.get("value_range")  # absent in runs of earlier versions
            tiles, has_own_sizes = value.get("tiles"), value["resize"] == "none"
            policy = cls(
                (height, width),
                value["color_mode"],
                "pad" if has_own_sizes else value["resize"],
                value["interpolation"],
                value["antialias"],
                None if low_and_high is None else (float(low_and_high[0]), float(low_and_high[1])),
                None if tiles is None else tiles["overlap"],
                has_own_sizes,
            )
            valid = (
                all(type(side) is int and side > 0 for side in policy.image_size)
                and policy.color_mode in get_args(ColorMode)
                and policy.resize in get_args(Resize)
                and policy.interpolation in get_args(Interpolation)
                and isinstance(policy.antialias, bool)
                and (policy.value_range is None or policy.value_range[0] < policy.value_range[1])
                and (policy.overlap is None or (type(policy.overlap) is int and policy.overlap >= 0))
            )
        except (KeyError, IndexError, TypeError, ValueError):
            valid = False
        if not valid:
            raise InputError(f"the image settings of a run must be those of its training. Received {dict(value)}.")
        return policy


# One image --------------------------------------------------------------------------------------------------------


def read_image(source: Path | bytes, *, policy: ImagePolicy) -> NDArray[np.uint8]:
    """An image file, or its bytes, as pixels [height, width, channels] in [0, 255].

    The formats are recognized by content; of an animation or several pages the first is read. An image is rotated
    upright by its EXIF orientation, composited on white, converted to the color mode (grayscale by ITU-R 601), then
    resized, unless it is to be cut into tiles or keeps its size.

    Raises:
        BadImage: it cannot be read.
    """
    image = decode(source if isinstance(source, bytes) else read_file(source), value_range=policy.value_range)
    return _bring_to(image, policy)


def read_file(path: AnyPath) -> bytes:
    """The bytes of an image file.

    Raises:
        BadImage: the file does not exist, cannot be read, or is too large.
    """
    return read_with_status(path)[1]


def read_with_status(path: AnyPath) -> tuple[Status | None, bytes]:
    """As :func:`read_file`, with the file's :func:`~dlcli.data.images.scan_index.settled_status` before it is read;
    None for a member of a shard."""
    try:
        if isinstance(path, Member):
            return None, path.read()
        with open_file(path) as file:
            status = settled_status(file.fileno())
            data = file.read(MAX_FILE_BYTES + 1)
    except BadFile as reason:
        raise BadImage(str(reason)) from None
    except OSError as error:
        raise BadImage(f"cannot be read ({error.strerror})") from None
    if len(data) > MAX_FILE_BYTES:
        raise BadImage(f"too large: an image file may have at most {MAX_FILE_BYTES:,} bytes")
    return status, data


@dataclass(frozen=True)
class Decoded:
    """An image, and what the 8 bits of its pixels no longer show."""

    image: Image.Image
    """Upright, without transparency, of mode "L" if it is grayscale, else "RGB"."""
    extremes: tuple[float, float] | None
    """The smallest and largest gray value in the file, if it has more than 8 bits."""
    mode: str
    """Pillow's name of how the pixels are stored."""


def decode(data: bytes, *, value_range: ValueRange | None = None) -> Image.Image:
    """The image in a file's bytes: upright, without transparency, of mode "L" if it is grayscale, else "RGB".

    Args:
        value_range: gray values of more than 8 bits that become 0 and 255; values beyond are clipped. None for the
            range of 16 bits.

    Raises:
        BadImage: it is not an image, too large (checked before decoding), truncated or corrupt; or it has 32 bits and
            there is no ``value_range``.
    """
    return decode_with_extremes(data, value_range=value_range).image


def decode_with_extremes(data: bytes, *, value_range: ValueRange | None = None) -> Decoded:
    """As :func:`decode`, with the extremes of gray values of more than 8 bits."""
    image = _open(io.BytesIO(data))
    with _explained(image, data):
        image.load()
        extremes = None
        if image.mode.startswith(("I", "F")):
            gray, extremes = _flatten_deep(image, value_range)
        else:
            _refuse_range(image, data, value_range)
            gray = _flatten(image, is_gray=_is_gray(image, data))
        return Decoded(_turned(gray, image), extremes, image.mode)


def decode_stored(data: bytes) -> Image.Image:
    """The image in a file's bytes with its values, mode and palette as they are stored, but upright: for masks.

    Raises:
        BadImage: it is not an image, too large, truncated or corrupt.
    """
    image = _open(io.BytesIO(data))
    with _explained(image, data):
        image.load()
        return _turned(image, image)


def _turned(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """The pixels of an image, rotated upright by its EXIF orientation."""
    turn = TURNS.get(_orientation_of(image))
    return pixels if turn is None else pixels.transpose(turn)


@contextlib.contextmanager
def _explained(image: Image.Image, data: bytes) -> Iterator[None]:
    """Gives the reason why an image cannot be decoded.

    Raises:
        BadImage: decoding it failed.
    """
    try:
        yield
    except BadImage:
        raise
    except MemoryError:
        raise BadImage(f"too large for this machine's memory ({image.width}x{image.height} pixels)") from None
    except Exception:
        if _is_truncated(data):
            raise BadImage("truncated: the end of the file is missing") from None
        image_format = find_format(data)
        reason = "corrupt or truncated" if image_format == "TIFF" else "corrupt"
        raise BadImage(f"its {FORMATS[image_format].name} data is {reason}") from None


def has_more_frames(data: bytes) -> bool:
    """Whether a file that can be decoded has more frames or pages than the first, which alone is read."""
    image_format = find_format(data)
    if image_format == "JPEG":  # phones append previews and gain maps, which are no further images
        return False
    if image_format == "PNG" and ANIMATION not in data:  # the common case, without opening the image again
        return False
    try:
        return bool(getattr(_open(io.BytesIO(data)), "is_animated", False))
    except Exception:  # what follows the first frame is not read, so it may be corrupt
        return True


def _is_truncated(data: bytes) -> bool:
    """Whether the end of a file that cannot be decoded is missing, by the end marker or the declared sizes."""
    match find_format(data):
        case "BMP":
            return len(data) < int.from_bytes(data[2:6], "little")
        case "WEBP":
            return len(data) < 8 + int.from_bytes(data[4:8], "little")
        case "AVIF" | "HEIF":
            return _has_incomplete_box(data)
        case "TIFF":  # parts may be in any order, without an end
            return False
        case image_format:
            return END_MARKERS[image_format] not in data[-END_BYTES:]


def _has_incomplete_box(data: bytes) -> bool:
    """Whether a box of an ISO base media file (ISO/IEC 14496-12) extends beyond the end."""
    start = 0
    while start + 8 <= len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        if size == 1:  # a 64-bit size follows
            size = int.from_bytes(data[start + 8 : start + 16], "big")
        if size == 0:  # to the end of the file
            return False
        start += max(size, 8)
    return start != len(data)


def read_header(source: AnyPath | bytes) -> tuple[int, int, int]:
    """Width and height of an image as it is stored, and the EXIF orientation (1 to 8) that `decode` applies.

    Raises:
        BadImage: it is not an image, too large, or its header is corrupt. The pixels are not checked.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open_file(source) as file:
            image = _open(file)
            if image.format == "PNG" and not image.info.keys() & {"exif", RAW_EXIF}:  # it may follow the pixels
                file.seek(0)
                data = file.read(MAX_FILE_BYTES)
                if b"eXIf" in data or RAW_EXIF.encode() in data:
                    with contextlib.suppress(Exception):  # `decode` reports corrupt images
                        image.load()
            orientation = _orientation_of(image)
            return image.width, image.height, orientation if orientation in TURNS else 1
    except BadFile as reason:
        raise BadImage(str(reason)) from None
    except OSError as error:
        raise BadImage(f"cannot be read ({error.strerror})") from None


def read_size(data: bytes) -> tuple[int, int]:
    """Width and height of an image as it is stored, by its header alone.

    Raises:
        BadImage: it is not an image, too large, or its header is corrupt.
    """
    image = _open(io.BytesIO(data))
    return image.width, image.height


def _open(file: BinaryIO) -> Image.Image:
    """An image of which only the header has been read."""
    image_format = find_format(file.read(SIGNATURE_BYTES))
    file.seek(0)
    _silence_pillow()
    if image_format == "HEIF":
        _register_heif()
    try:
        image = Image.open(file, formats=(image_format,))
    except Image.DecompressionBombError:
        raise BadImage(f"too large: an image may have at most {MAX_PIXELS:,} pixels") from None
    except Exception:  # on corrupt bytes Pillow raises nearly anything
        raise BadImage(f"its {FORMATS[image_format].name} header is corrupt or truncated") from None
    if image.width * image.height > MAX_PIXELS:
        raise BadImage(f"too large: an image may have at most {MAX_PIXELS:,} pixels")
    tags = getattr(image, "tag_v2", {})
    if DNG_TAG in tags or tags.get(SUBFILE_TYPE_TAG) == 1:
        raise BadImage(f"its first page is a preview, as in a camera's raw file: {CONVERT}")
    return image


def _register_heif() -> None:
    """Lets Pillow open HEIC with the optional package.

    Raises:
        BadImage: the package is not installed.
    """
    with _filter_lock:
        if "HEIF" in Image.OPEN:
            return
        try:
            import pillow_heif
        except ImportError:
            raise BadImage(f"HEIC needs pillow-heif: {INSTALL_HEIC}") from None
        pillow_heif.register_heif_opener(thumbnails=False)


def find_format(data: bytes) -> str:
    """The name of the format, a key of FORMATS, by the first bytes of a file.

    Raises:
        BadImage: the format is unknown or not supported.
    """
    if not data:
        raise BadImage("the file is empty")
    image_format = recognize(data)
    if image_format is None:
        raise BadImage(f"not an image: its content is not {FORMAT_NAMES}")
    return image_format


def _is_gray(image: Image.Image, data: bytes) -> bool:
    """Whether an image of 8 bits or fewer is grayscale by its mode or palette, not by its pixels."""
    if image.format == "PNG" and data[24] == 16:  # Pillow reads gray with alpha of 16 bits as RGBA
        return data[25] in (0, 4)  # the color types without color
    return image.mode in ("1", "L", "LA", "La") or (image.mode == "P" and _has_gray_palette(image))


def _refuse_range(image: Image.Image, data: bytes, value_range: ValueRange | None) -> None:
    """Refuses a range of values for images of which Pillow reads only the upper 8 bits of 16.

    Raises:
        BadImage: the image is one of these.
    """
    bits = data[24] if image.format == "PNG" else max(getattr(image, "tag_v2", {}).get(BITS_TAG, (8,)))
    if value_range is not None and bits > 8:
        raise BadImage(
            f"of {bits} bits with color or transparency only the upper 8 are read, so that data.value_range cannot "
            "be applied: convert it to grayscale or to 8 bits"
        )


def _flatten(image: Image.Image, *, is_gray: bool) -> Image.Image:
    """An image of 8 bits or fewer as "L" or "RGB", composited on white.

    Raises:
        BadImage: its color mode is not supported.
    """
    if not is_gray and image.mode not in RGB_MODES:
        raise BadImage(f"its color mode, {image.mode}, is not supported: {CONVERT}")
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image.convert("RGBA"))
    mode = "L" if is_gray else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _flatten_deep(image: Image.Image, value_range: ValueRange | None) -> tuple[Image.Image, tuple[float, float]]:
    """Gray values of 16 or 32 bits scaled to 8 bits and rounded, and their extremes.

    Without a range, 16 bits are mapped whole: 0 to 0, 65535 to 255.

    Raises:
        BadImage: values have 32 bits and no range is given, or are not finite.
    """
    values = np.asarray(image)
    extremes = (float(values.min()), float(values.max()))
    if not np.isfinite(extremes).all():
        raise BadImage("its values must be finite. It has NaN or infinity")
    if value_range is not None:
        low, high = value_range
        scaled = (np.clip(values.astype(np.float64), low, high) - low) * (255 / (high - low))
        gray = np.floor(scaled + 0.5).astype(np.uint8)
    elif image.mode.startswith("I;16"):
        gray = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    else:
        raise BadImage(
            f"its values have 32 bits, from {extremes[0]:g} to {extremes[1]:g}: set data.value_range to the two values "
            "that become black and white"
        )
    if "transparency" in image.info:  # the one gray value that means transparent
        gray[values == image.info["transparency"]] = 255
    return Image.fromarray(gray), extremes


def _has_gray_palette(image: Image.Image) -> bool:
    colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return bool((colors == colors[:, :1]).all())


ANIMATION = b"acTL"  # a chunk of PNG
RAW_EXIF = "Raw profile type exif"  # a text chunk of PNG, in which ImageMagick writes EXIF data as hexadecimal digits


def _orientation_of(image: Image.Image) -> int:
    """The EXIF orientation by which an image must still be rotated, whose pixels are as they were decoded.

    Pillow rotates TIFF images itself, and pillow-heif HEIC images.
    """
    if image.format in ("TIFF", "HEIF"):
        return 1
    raw = image.info.get(RAW_EXIF)
    if isinstance(raw, str) and "exif" not in image.info:
        with contextlib.suppress(ValueError):
            return _read_orientation(bytes.fromhex("".join(raw.split("\n")[3:])))
    return _read_orientation(image.info.get("exif", b""))


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
            start = directory + 2 + 12 * entry
            tag, kind = struct.unpack_from(f"{order}HH", tiff, start)
            if tag == ORIENTATION_TAG:
                (value,) = struct.unpack_from(f"{order}{'I' if kind == LONG else 'H'}", tiff, start + 8)
                return int(value)
    except struct.error:  # an offset past the end
        pass
    return 1


_PILLOW = re.compile(r"PIL\.")
_PILLOW_FILTER: Any = ("ignore", None, Warning, _PILLOW, 0)
_filter_lock = threading.Lock()


def _silence_pillow() -> None:
    """Silences Pillow's warnings and log (unusual EXIF data, palettes, sizes): the user can do nothing about them.

    For the whole process, because ``warnings.catch_warnings`` is not thread-safe.
    """
    with _filter_lock:
        logger = logging.getLogger("PIL")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())  # without a handler, messages would be written to stderr
            with contextlib.suppress(OSError, AttributeError):  # libtiff, to which Pillow is linked, writes there too
                ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)
        if _PILLOW_FILTER not in warnings.filters:
            warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _bring_to(image: Image.Image, policy: ImagePolicy) -> NDArray[np.uint8]:
    """An image of mode "L" or "RGB" as pixels in the policy's form: [height, width, channels]."""
    mode = "L" if policy.color_mode == "grayscale" else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if not policy.keeps_size:
        image = resize_image(
            image,
            image_size=policy.image_size,
            resize=policy.resize,
            interpolation=policy.interpolation,
            antialias=policy.antialias,
        )
    return np.array(image).reshape(image.height, image.width, policy.channels)


def read_images(
    files: Sequence[AnyPath], *, policy: ImagePolicy, digests: Sequence[str] | None = None
) -> NDArray[np.uint8]:
    """Image files as pixels [batch, height, width, channels], decoded in several threads.

    Args:
        digests: of the contents that the files must have.

    Raises:
        InputError: a file can no longer be read, or its content has changed since the data was checked.
    """

    def read(position: int) -> NDArray[np.uint8]:
        return read_unchanged(files[position], policy=policy, digest=None if digests is None else digests[position])

    return _fill(len(files), policy, read)


def read_unchanged(file: AnyPath, *, policy: ImagePolicy, digest: str | None) -> NDArray[np.uint8]:
    """As :func:`read_image`, for a file that was checked.

    Args:
        digest: of the content that the file must have; None for any.

    Raises:
        InputError: it can no longer be read, or its content has changed.
    """
    try:
        data = read_file(file)
        if digest is not None and hash_content(data) != digest:
            raise BadImage("its content has changed")
        return read_image(data, policy=policy)
    except BadImage as reason:
        raise InputError(
            f"{file}: {reason}. It was modified or removed after the data was checked: restore it."
        ) from None


def resize_images(pixels: NDArray[np.uint8], *, policy: ImagePolicy) -> NDArray[np.uint8]:
    """Images [batch, height, width, channels] resized and converted by the policy."""
    if pixels.shape[1:] == policy.shape:
        return pixels

    return _fill(len(pixels), policy, lambda position: bring_to(pixels[position], policy))


def bring_to(image: NDArray[np.uint8], policy: ImagePolicy) -> NDArray[np.uint8]:
    """An image [height, width, channels] converted by the policy, and resized unless it keeps its size."""
    return _bring_to(Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image), policy)


def _fill(num: int, policy: ImagePolicy, make: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Makes ``num`` images in the worker threads; if several fail, the error of the first is raised."""
    result = np.empty((num, *policy.shape), np.uint8)
    step = max(1, min(16, num // (2 * num_threads())))  # images that a thread makes in one call

    def fill(start: int) -> None:
        for position in range(start, min(start + step, num)):
            result[position] = make(position)

    list(workers().map(fill, range(0, num, step)))
    return result
