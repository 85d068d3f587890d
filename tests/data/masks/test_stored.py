"""The values in mask files of every kind, exactly as they are stored."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.decoding import BadImage
from dlcli.data.masks.coding import IGNORED, black_and_white, by_color, by_index, foreground
from dlcli.data.masks.stored import read_mask, read_stored

VALUES = np.array([[0, 1, 2], [3, 1, 0]], np.uint8)
PALETTE = [10, 20, 30, 0, 0, 255, 200, 0, 0, 9, 9, 9]


def saved(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format=image_format, **options)
    return file.getvalue()


def gray_png(values: np.ndarray, bits: int) -> bytes:
    """A gray PNG of few bits, which Pillow cannot write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape
    lines = b""
    for row in values:
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        lines += b"\0" + bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def stored(data: bytes, *, is_colored: bool = False) -> Any:
    return read_stored(data, is_colored=is_colored).values.tolist()


def with_palette() -> Image.Image:
    image = Image.fromarray(VALUES, "L").convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(PALETTE)
    return image


def test_gray_values_and_indices_of_a_palette() -> None:
    assert stored(saved(Image.fromarray(VALUES))) == VALUES.tolist()
    assert stored(saved(with_palette())) == VALUES.tolist()
    assert stored(saved(with_palette(), "GIF")) == VALUES.tolist()
    assert stored(saved(with_palette(), bits=2)) == VALUES.tolist()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_gray_values_of_few_bits_are_not_scaled(bits: int) -> None:
    values = np.minimum(VALUES, 2**bits - 1)
    assert stored(gray_png(values, bits)) == values.tolist()


def test_sixteen_bits() -> None:
    values = np.array([[0, 300], [65535, 1]], np.uint16)
    assert stored(saved(Image.fromarray(values))) == values.tolist()
    assert stored(saved(Image.fromarray(values), "TIFF")) == values.tolist()
    assert stored(saved(Image.fromarray(values.astype(np.int32)), "TIFF")) == values.tolist()
    with pytest.raises(BadImage, match=r"from 0 to 65535\. It has -1 to 5"):
        stored(saved(Image.fromarray(np.array([[-1, 5]], np.int32)), "TIFF"))


def test_gray_saved_with_three_channels() -> None:
    assert stored(saved(Image.fromarray(VALUES).convert("RGB"))) == VALUES.tolist()
    assert stored(saved(Image.fromarray(VALUES).convert("RGBA"))) == VALUES.tolist()
    assert stored(saved(Image.fromarray(VALUES).convert("LA"))) == VALUES.tolist()


def test_colors_need_a_palette() -> None:
    with pytest.raises(BadImage, match=r"it has colors, such as \[10, 20, 30\]: declare them in data.palette"):
        stored(saved(with_palette().convert("RGB")))


def test_colors_of_any_mode() -> None:
    colors = [[PALETTE[3 * v : 3 * v + 3] for v in row] for row in VALUES.tolist()]
    for image in (with_palette(), with_palette().convert("RGB"), with_palette().convert("RGBA")):
        assert stored(saved(image), is_colored=True) == colors


def test_transparent_pixels_have_no_class() -> None:
    image = Image.fromarray(VALUES).convert("RGBA")
    image.putalpha(100)
    for is_colored in (False, True):
        with pytest.raises(BadImage, match="transparent pixels"):
            stored(saved(image), is_colored=is_colored)


def test_sixteen_bits_of_which_eight_are_read_are_refused() -> None:
    data = bytearray(gray_png(np.zeros((1, 2), np.uint8), 8))
    line = b"\0" + b"\0\1" * 3  # one pixel of 16 bits for each of three channels
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    data = bytearray(b"\x89PNG\r\n\x1a\n")
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(line)), (b"IEND", b"")):
        data += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    with pytest.raises(BadImage, match="only the upper 8 are read"):
        stored(bytes(data))


def test_orientation_turns_masks_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert stored(saved(Image.fromarray(VALUES), exif=exif)) == np.rot90(VALUES, -1).tolist()


def test_corrupt_files_are_explained() -> None:
    data = saved(Image.fromarray(np.zeros((50, 50), np.uint8)))
    with pytest.raises(BadImage, match="truncated"):
        stored(data[:-40])
    with pytest.raises(BadImage, match="not an image"):
        stored(b"no image")


def test_lossy_files_are_read_only_if_two_values_are_meant() -> None:
    clean = np.kron(np.array([[0, 255], [255, 0]], np.uint8), np.ones((13, 11), np.uint8))
    data = saved(Image.fromarray(clean), "JPEG", quality=30)
    assert len(np.unique(read_stored(data, is_colored=False).values)) > 2
    for coding in (foreground("cell"), black_and_white(["membrane", "cell"])):
        encoded = read_mask(data, coding)
        assert encoded.undeclared == ()
        assert np.array_equal(encoded.mask, clean > 0)
    for other in (by_index(["a", "b"]), by_color({"a": (0, 0, 0)})):
        with pytest.raises(BadImage, match=r"lossy.*as PNG"):
            read_mask(data, other)
    for options, is_lossy in (({"lossless": True}, False), ({"lossless": False}, True)):
        found = read_stored(saved(Image.fromarray(clean).convert("RGB"), "WEBP", **options), is_colored=True)
        assert found.is_lossy is is_lossy


def test_a_mask_of_a_file() -> None:
    encoded = read_mask(saved(with_palette()), by_index(["a", "b", "c"], ignore=[3]))
    assert encoded.mask.tolist() == [[0, 1, 2], [IGNORED, 1, 0]]
