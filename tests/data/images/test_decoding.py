import contextlib
import io
import json
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from dlcli.data.files import hash_content
from dlcli.data.images import decoding
from dlcli.data.images.decoding import (
    BadImage,
    ImagePolicy,
    decode,
    decode_with_extremes,
    has_more_frames,
    read_header,
    read_image,
    read_images,
    resize_images,
)
from dlcli.data.images.formats import FORMAT_NAMES, recognize
from dlcli.errors import InputError

pillow_heif.register_heif_opener()  # to encode HEIC

FORMATS = ("JPEG", "PNG", "BMP", "GIF")
NEW_FORMATS = ("WEBP", "TIFF", "AVIF", "JPEG2000", "HEIF")


def policy(height: int, width: int, color_mode: str = "rgb", **changes: Any) -> ImagePolicy:
    values = {"resize": "stretch", "interpolation": "bilinear", "antialias": True, **changes}
    return ImagePolicy((height, width), color_mode, **values)  # type: ignore[arg-type]


def encode(image: Image.Image, image_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def photo(height: int = 48, width: int = 64, seed: int = 0) -> Image.Image:
    """An image smooth enough for JPEG, without symmetry."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def png_header(width: int, height: int) -> bytes:
    """A grayscale PNG that ends where its pixels would start."""
    content = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + content + struct.pack(">I", zlib.crc32(content))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 1000) + b"IDAT"


def palette_image(color: tuple[int, int, int]) -> Image.Image:
    image = Image.new("P", (4, 3), 1)
    image.putpalette([9, 8, 7, *color])
    return image


# Kinds of images --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "image_format", "options", "expected"),
    [
        (Image.new("1", (4, 3), 1), "PNG", {}, (255, 255, 255)),
        (Image.new("1", (4, 3), 0), "BMP", {}, (0, 0, 0)),
        (Image.new("L", (4, 3), 77), "PNG", {}, (77, 77, 77)),
        (Image.new("L", (4, 3), 77), "JPEG", {}, (77, 77, 77)),
        (Image.new("L", (4, 3), 77), "GIF", {}, (77, 77, 77)),
        (Image.new("L", (4, 3), 77), "PNG", {"transparency": 77}, (255, 255, 255)),
        (Image.new("LA", (4, 3), (0, 128)), "PNG", {}, (127, 127, 127)),
        (palette_image((200, 100, 50)), "PNG", {}, (200, 100, 50)),
        (palette_image((200, 100, 50)), "BMP", {}, (200, 100, 50)),
        (palette_image((200, 100, 50)), "GIF", {}, (200, 100, 50)),
        (palette_image((200, 100, 50)), "PNG", {"transparency": 1}, (255, 255, 255)),
        (palette_image((200, 100, 50)), "GIF", {"transparency": 1}, (255, 255, 255)),
        (palette_image((200, 100, 50)), "PNG", {"transparency": b"\xff\x80"}, (227, 177, 152)),
        (Image.new("RGB", (4, 3), (200, 100, 50)), "PNG", {}, (200, 100, 50)),
        (Image.new("RGB", (4, 3), (200, 100, 50)), "BMP", {}, (200, 100, 50)),
        (Image.new("RGB", (4, 3), (200, 100, 50)), "PNG", {"transparency": (200, 100, 50)}, (255, 255, 255)),
        (Image.new("RGBA", (4, 3), (200, 100, 50, 255)), "PNG", {}, (200, 100, 50)),
        (Image.new("RGBA", (4, 3), (200, 100, 50, 0)), "PNG", {}, (255, 255, 255)),
        (Image.new("RGBA", (4, 3), (200, 100, 50, 128)), "PNG", {}, (227, 177, 152)),
        (Image.new("I;16", (4, 3), 65535), "PNG", {}, (255, 255, 255)),
        (Image.new("I;16", (4, 3), 32896), "PNG", {}, (128, 128, 128)),
        (Image.new("I;16", (4, 3), 385), "PNG", {}, (1, 1, 1)),
        (Image.new("I;16", (4, 3), 386), "PNG", {}, (2, 2, 2)),
        (Image.new("I;16", (4, 3), 300), "PNG", {"transparency": 300}, (255, 255, 255)),
        (Image.new("1", (4, 3), 1), "TIFF", {"compression": "group4"}, (255, 255, 255)),
        (Image.new("LA", (4, 3), (0, 128)), "TIFF", {}, (127, 127, 127)),
        (palette_image((200, 100, 50)), "TIFF", {}, (200, 100, 50)),
        (Image.new("RGBA", (4, 3), (200, 100, 50, 128)), "TIFF", {}, (227, 177, 152)),
        (Image.new("CMYK", (4, 3), (0, 255, 255, 0)), "TIFF", {}, (255, 0, 0)),
        (Image.new("I;16", (4, 3), 32896), "TIFF", {}, (128, 128, 128)),
        (Image.new("I;16B", (4, 3), 32896), "TIFF", {}, (128, 128, 128)),
        (Image.new("RGBA", (4, 3), (200, 100, 50, 128)), "WEBP", {"lossless": True}, (227, 177, 152)),
        (Image.new("RGBA", (4, 3), (200, 100, 50, 0)), "AVIF", {}, (255, 255, 255)),
        (Image.new("LA", (4, 3), (0, 128)), "JPEG2000", {}, (127, 127, 127)),
        (Image.new("RGB", (64, 64), (255, 0, 0)), "HEIF", {"quality": 100}, (255, 0, 0)),
        (Image.new("CMYK", (4, 3), (0, 0, 0, 0)), "JPEG", {}, (255, 255, 255)),
        (Image.new("CMYK", (4, 3), (0, 0, 0, 255)), "JPEG", {}, (0, 0, 0)),
        (Image.new("CMYK", (4, 3), (0, 255, 255, 0)), "JPEG", {"quality": 100}, (255, 0, 0)),
    ],
)
def test_every_kind_of_image_becomes_rgb(
    image: Image.Image, image_format: str, options: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    pixels = read_image(encode(image, image_format, **options), policy=policy(3, 4))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (3, 4, 3)
    tolerance = 3 if image_format in ("JPEG", "HEIF") else 0
    assert np.abs(pixels.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize(
    ("image", "mode"),
    [
        (Image.new("1", (4, 3)), "L"),
        (Image.new("L", (4, 3)), "L"),
        (Image.new("LA", (4, 3)), "L"),
        (Image.new("I;16", (4, 3)), "L"),
        (palette_image((5, 5, 5)), "RGB"),  # the palette's other color is not gray
        (palette_image((5, 6, 7)), "RGB"),
        (Image.new("RGB", (4, 3)), "RGB"),
        (Image.new("RGBA", (4, 3)), "RGB"),
    ],
)
def test_an_image_is_grayscale_by_its_mode_not_by_its_pixels(image: Image.Image, mode: str) -> None:
    assert decode(encode(image, "PNG")).mode == mode


def test_a_gray_palette_makes_a_grayscale_image() -> None:
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, 99, 99, 99])
    decoded = decode(encode(image, "PNG"))
    assert decoded.mode == "L"
    assert decoded.getpixel((0, 0)) == 99


def test_ycck_jpeg_is_read(tmp_path: Path) -> None:
    # Pillow writes CMYK with transform 0; the same bytes marked as transform 2 are YCCK.
    data = bytearray(encode(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG", quality=100))
    marker = data.index(b"Adobe")
    assert data[marker + 11] == 0
    data[marker + 11] = 2
    assert decode(bytes(data)).mode == "RGB"


def test_grayscale_is_itu_r_601_luma() -> None:
    image = photo()
    pixels = read_image(encode(image, "PNG"), policy=policy(48, 64, "grayscale"))
    expected = np.asarray(image).astype(float) @ [0.299, 0.587, 0.114]
    assert pixels.shape == (48, 64, 1)
    assert np.abs(pixels[:, :, 0] - expected).max() <= 0.51


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_exif_turns_the_image_upright(orientation: int, image_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    data = encode(photo(), image_format, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    pixels = read_image(data, policy=policy(expected.height, expected.width))
    assert np.array_equal(pixels, np.asarray(expected))


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12",
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\x63\0\0",  # orientation 99
        b"Exif\0\0no EXIF data at all",
    ],
)
def test_corrupt_exif_is_ignored(exif: bytes) -> None:
    data = encode(photo(), "JPEG", exif=exif)  # a warning would be an error here
    assert np.array_equal(read_image(data, policy=policy(48, 64)), np.asarray(Image.open(io.BytesIO(data))))


def test_the_first_frame_of_an_animation_is_read() -> None:
    frames = [palette_image((10 * i, 20, 30)) for i in (1, 2, 3)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_image(data, policy=policy(3, 4))[0, 0].tolist() == [10, 20, 30]


def test_the_format_is_that_of_the_content_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(encode(Image.new("RGB", (4, 3), (1, 2, 3)), "PNG"))
    assert read_image(path, policy=policy(3, 4))[0, 0].tolist() == [1, 2, 3]


# Formats ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", [*FORMATS, *NEW_FORMATS])
def test_each_format_is_recognized_and_read_to_the_pixels_of_its_decoder(image_format: str) -> None:
    data = encode(photo(), image_format)
    assert recognize(data) == image_format
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(read_image(data, policy=policy(48, 64)), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(
    ("start", "image_format"),
    [
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x10ftypisom\0\0\0\0avif", None),  # after the brands' end
        (b"II+\0\x08\0\0\0", "TIFF"),
        (b"\xff\x4f\xff\x51", "JPEG2000"),
    ],
)
def test_containers_are_recognized_by_their_brands(start: bytes, image_format: str | None) -> None:
    assert recognize(start) == image_format


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["WEBP", "TIFF", "AVIF", "HEIF"])
def test_newer_formats_are_rotated_upright(image_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.new("RGB", (64, 48))
    stored.paste((255, 0, 0), (0, 0, 32, 24))
    options = {"lossless": True} if image_format == "WEBP" else {}
    data = encode(stored, image_format, exif=exif if image_format == "TIFF" else exif.tobytes(), **options)
    turn = decoding.TURNS.get(orientation)
    expected = stored if turn is None else stored.transpose(turn)
    assert np.abs(np.asarray(decode(data)).astype(int) - np.asarray(expected)).mean() < 3
    width, height, remaining = read_header(data)
    assert ((height, width) if remaining >= 5 else (width, height)) == expected.size


@pytest.mark.parametrize("kind", ["short", "long"])
def test_orientation_is_read_whatever_its_type(kind: str) -> None:
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) if kind == "short" else struct.pack(">HHII", 0x0112, 4, 1, 6)
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 1) + entry + bytes(4)
    assert decode(encode(photo(), "JPEG", exif=exif)).size == (48, 64)


def test_orientation_in_a_text_chunk_of_png_is_read() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    text = PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n      26\n{exif.tobytes().hex()}\n", zip=True)
    data = encode(photo(), "PNG", pnginfo=text)
    assert read_header(data) == (64, 48, 6)
    assert decode(data).size == (48, 64)


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_further_frames_and_pages_are_noticed(image_format: str) -> None:
    frames = [photo(seed=seed) for seed in range(3)]
    data = encode(frames[0], image_format, save_all=True, append_images=frames[1:])
    assert has_more_frames(data)
    assert not has_more_frames(encode(frames[0], image_format))
    differences = [np.abs(np.asarray(decode(data)).astype(int) - np.asarray(frame)).mean() for frame in frames]
    assert differences[0] < 10 < min(differences[1:])  # the first is the one that is read


def test_heic_without_its_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(photo(), "HEIF")
    monkeypatch.delitem(Image.OPEN, "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(BadImage, match=r"HEIC needs pillow-heif: install the extra `dlcli\[heic\]`"):
        decode(data)


def test_the_preview_in_a_raw_file_is_refused() -> None:
    data = encode(photo(), "TIFF", tiffinfo={254: 1})
    with pytest.raises(BadImage, match="its first page is a preview, as in a camera's raw file"):
        decode(data)


def test_tiff_in_a_color_mode_without_conversion_is_refused() -> None:
    with pytest.raises(BadImage, match="its color mode, LAB, is not supported"):
        decode(encode(Image.new("LAB", (4, 3)), "TIFF"))


def test_libtiff_and_pillow_write_nothing_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    data = encode(photo(), "TIFF", compression="jpeg")
    for i in range(0, len(data), 20):
        with contextlib.suppress(BadImage):
            decode(data[:i] + b"\0" * 8 + data[i + 8 :])
    assert capfd.readouterr().err == ""


# Ranges of values ---------------------------------------------------------------------------------------------------


def gray_16(values: list[int], image_format: str = "PNG") -> bytes:
    return encode(Image.fromarray(np.array([values], np.uint16)), image_format)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_a_range_of_16_bit_values_is_mapped_to_8_bits(image_format: str) -> None:
    data = gray_16([0, 100, 1100, 2100, 4000], image_format)
    decoded = decode_with_extremes(data, value_range=(100, 2100))
    assert np.asarray(decoded.image)[0].tolist() == [0, 0, 128, 255, 255]
    assert decoded.extremes == (0, 4000)
    ranged = policy(1, 5, "grayscale", value_range=(100, 2100))
    assert read_image(data, policy=ranged)[0, :, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_need_a_range(mode: str) -> None:
    kind = np.int32 if mode == "I" else np.float32
    data = encode(Image.fromarray(np.array([[-1, 0, 1]], kind)), "TIFF")
    with pytest.raises(
        BadImage, match=r"its values have 32 bits, from -1 to 1: set data.value_range to the two values"
    ):
        decode(data)
    assert np.asarray(decode(data, value_range=(-1, 1)))[0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    data = encode(Image.fromarray(np.array([[0, value]], np.float32)), "TIFF")
    with pytest.raises(BadImage, match="its values must be finite"):
        decode(data, value_range=(0, 1))


def png_16(color_type: int, pixel: list[int]) -> bytes:
    """One pixel of 16 bits for each channel."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", 1, 1, 16, color_type, 0, 0, 0)
    row = zlib.compress(b"\0" + struct.pack(f">{len(pixel)}H", *pixel))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


def test_gray_with_alpha_of_16_bits_is_gray() -> None:
    decoded = decode(png_16(4, [0x8000, 0xFFFF]))
    assert decoded.mode == "L"
    assert decoded.getpixel((0, 0)) == 0x80


def test_a_range_for_color_of_16_bits_is_refused() -> None:
    data = png_16(2, [0x8000, 0, 0xFFFF])
    assert decode(data).getpixel((0, 0)) == (0x80, 0, 0xFF)
    with pytest.raises(BadImage, match=r"so that data.value_range cannot be applied"):
        decode(data, value_range=(0, 4095))


def test_a_range_leaves_8_bits_as_they_are() -> None:
    data = encode(photo(), "PNG")
    assert np.array_equal(np.asarray(decode(data, value_range=(0, 4095))), np.asarray(photo()))


# Bad files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello, I am a text", f"not an image: its content is not {FORMAT_NAMES}"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "its WebP header is corrupt or truncated"),
        (b"II*\0\0\0\0\0", "its TIFF header is corrupt or truncated"),
        (b"\0\0\0\x1cftypheic", "its HEIC header is corrupt or truncated"),
        (b"\0\0\0\x1cftypavif", "its AVIF header is corrupt or truncated"),
        (b"\0\0\0\x18ftypmp42", f"not an image: its content is not {FORMAT_NAMES}"),
        (b"BM and more text that goes on for longer", "its BMP header is corrupt or truncated"),
        (png_header(0, 5), "its PNG header is corrupt or truncated"),
        (png_header(20_000, 20_000), "too large: an image may have at most 178,956,970 pixels"),
        (png_header(9_500, 9_500), "truncated: the end of the file is missing"),  # under the limit, no warning
    ],
)
def test_unreadable_content_is_reported_clearly(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage) as error:
        read_image(data, policy=policy(4, 4))
    assert str(error.value) == reason


@pytest.mark.parametrize("image_format", [*FORMATS, *NEW_FORMATS])
def test_a_truncated_file_is_refused_or_complete(image_format: str) -> None:
    data = encode(photo(16, 24), image_format)
    whole = read_image(data, policy=policy(16, 24))
    refused = 0
    for length in range(0, len(data), 7):
        try:
            pixels = read_image(data[:length], policy=policy(16, 24))
        except BadImage:
            refused += 1
        else:
            assert np.array_equal(pixels, whole)
    assert refused > 0.9 * len(data) / 7


@pytest.mark.parametrize(
    ("image_format", "number"),
    [
        *((image_format, 200) for image_format in FORMATS),
        *((image_format, 40) for image_format in NEW_FORMATS),
        *(pytest.param(image_format, 2000, marks=pytest.mark.long) for image_format in (*FORMATS, *NEW_FORMATS)),
    ],
)
def test_flipped_bits_cause_no_other_exception(image_format: str, number: int) -> None:
    rng = np.random.default_rng(0)
    data = encode(photo(16, 24), image_format)
    refused = 0
    for _ in range(number):
        corrupt = bytearray(data)
        corrupt[rng.integers(min(len(data), 800))] ^= 1 << rng.integers(8)
        try:
            read_image(bytes(corrupt), policy=policy(8, 8))
        except BadImage:
            refused += 1
    assert refused > 0


def test_files_that_are_not_regular_are_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    reasons = {
        "pipe.jpg": "a pipe or device, not a file",
        "folder.jpg": "a folder, not a file",
        "dangling.jpg": "a link to a file that does not exist",
        "loop.jpg": "cannot be opened (Too many levels of symbolic links)",
        "missing.jpg": "no such file",
        "null\0.jpg": "no such file: its name contains a null character",
    }
    for name, reason in reasons.items():
        with pytest.raises(BadImage) as error:
            read_image(tmp_path / name, policy=policy(4, 4))
        assert str(error.value) == reason


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(encode(photo(), "PNG"))

    def refuse(*_: Any, **keys: Any) -> None:  # tests may run as root, for whom permissions do not apply
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("dlcli.files.open", refuse, raising=False)
    with pytest.raises(BadImage, match="no permission to read it"):
        read_image(path, policy=policy(4, 4))


def test_a_file_over_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(encode(photo(), "PNG"))
    monkeypatch.setattr("dlcli.data.images.decoding.MAX_FILE_BYTES", 100)
    with pytest.raises(BadImage, match="too large: an image file may have at most 100 bytes"):
        read_image(path, policy=policy(4, 4))


# Many images ------------------------------------------------------------------------------------------------------


def test_a_batch_of_images_equals_single_images(tmp_path: Path) -> None:
    files = []
    for i in range(70):
        files.append(tmp_path / f"{i}.png")
        files[i].write_bytes(encode(photo(16, 24, seed=i), "PNG"))
    wanted = policy(12, 10, resize="crop")
    together = read_images(files, policy=wanted)
    assert np.array_equal(together, np.stack([read_image(path, policy=wanted) for path in files]))
    assert read_images([], policy=wanted).shape == (0, 12, 10, 3)


def test_the_first_of_several_bad_images_is_named(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(100)]
    for path in files:
        path.write_bytes(encode(photo(16, 24), "PNG"))
    files[37].unlink()
    files[90].write_bytes(b"")
    with pytest.raises(
        InputError, match=r"37.png: no such file. It was modified or removed after the data was checked"
    ):
        read_images(files, policy=policy(4, 4))


def test_an_image_whose_content_changed_is_named(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(files):
        path.write_bytes(encode(photo(16, 24, seed=i), "PNG"))
    digests = [hash_content(path.read_bytes()) for path in files]
    assert read_images(files, policy=policy(4, 4), digests=digests).shape == (3, 4, 4, 3)
    files[1].write_bytes(files[2].read_bytes())
    with pytest.raises(InputError, match=r"1.png: its content has changed. It was modified or removed after"):
        read_images(files, policy=policy(4, 4), digests=digests)


def test_arrays_and_files_give_the_same_pixels(tmp_path: Path) -> None:
    images = [photo(16, 24, seed=i) for i in range(20)]
    files = [tmp_path / f"{i}.png" for i in range(20)]
    for image, path in zip(images, files, strict=True):
        path.write_bytes(encode(image, "PNG"))
    wanted = policy(9, 7, "grayscale", resize="pad", interpolation="lanczos", antialias=False)
    arrays = np.stack([np.asarray(image) for image in images])
    assert np.array_equal(resize_images(arrays, policy=wanted), read_images(files, policy=wanted))


def test_gray_arrays_become_rgb() -> None:
    arrays = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4, 1)
    assert np.array_equal(resize_images(arrays, policy=policy(3, 4)), np.repeat(arrays, 3, axis=3))


# The policy ---------------------------------------------------------------------------------------------------------


def test_a_policy_survives_json() -> None:
    wanted = policy(
        3, 4, "grayscale", resize="pad", interpolation="nearest", antialias=False, value_range=(0.0, 4095.0)
    )
    assert ImagePolicy.from_dict(json.loads(json.dumps(wanted.to_dict()))) == wanted
    of_an_earlier_version = {key: value for key, value in policy(3, 4).to_dict().items() if key != "value_range"}
    assert ImagePolicy.from_dict(of_an_earlier_version) == policy(3, 4)
    assert wanted.shape == (3, 4, 1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_size", [3]),
        ("image_size", [3, -4]),
        ("image_size", [3, 4.0]),
        ("image_size", 3),
        ("color_mode", "cmyk"),
        ("resize", []),
        ("interpolation", None),
        ("antialias", "yes"),
        ("value_range", [3]),
        ("value_range", [3, 3]),
        ("value_range", 3),
    ],
)
def test_a_corrupt_policy_is_refused(key: str, value: Any) -> None:
    corrupt = {**policy(3, 4).to_dict(), key: value}
    with pytest.raises(InputError, match="the image settings of a run must be those of its training"):
        ImagePolicy.from_dict(corrupt)
    with pytest.raises(InputError):
        ImagePolicy.from_dict({"image_size": [3, 4]})


# Headers ------------------------------------------------------------------------------------------------------------


def turned(image_format: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(photo(), image_format, exif=exif)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_header_gives_the_orientation(tmp_path: Path, image_format: str, orientation: int) -> None:
    data = turned(image_format, orientation)
    (tmp_path / "image").write_bytes(data)
    assert read_header(data) == read_header(tmp_path / "image") == (64, 48, orientation)
    assert decode(data).size == ((48, 64) if orientation >= 5 else (64, 48))


@pytest.mark.parametrize("orientation", [0, 9, 60000])
def test_an_invalid_orientation_is_ignored(orientation: int) -> None:
    data = turned("PNG", orientation)
    assert read_header(data) == (64, 48, 1)
    assert decode(data).size == (64, 48)


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_header_without_exif(image_format: str) -> None:
    assert read_header(encode(photo(), image_format)) == (64, 48, 1)


def test_exif_after_the_pixels_is_read() -> None:
    data = turned("PNG", 6)
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]  # IEND is the last 12 bytes
    assert moved.index(b"IDAT") < moved.index(b"eXIf")
    assert read_header(moved) == (64, 48, 6)
    assert decode(moved).size == (48, 64)
    cut = data[:start] + data[end : len(data) // 2] + data[start:end]
    assert read_header(cut) == (64, 48, 1)  # corruption is reported when it is decoded


def test_reading_a_header_does_not_decode_pixels() -> None:
    assert read_header(png_header(3000, 2000)) == (3000, 2000, 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\xff\xd8\xff\xe0", "its JPEG header is corrupt or truncated"),
        (png_header(20_000, 10_000), "too large: an image may have at most 178,956,970 pixels"),
        (png_header(40_000, 10_000), "too large: an image may have at most 178,956,970 pixels"),
    ],
)
def test_a_header_that_cannot_be_read(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage) as error:
        read_header(data)
    assert str(error.value) == reason


def test_a_header_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=r"^a folder, not a file$"):
        read_header(tmp_path)
    with pytest.raises(BadImage, match=r"^no such file$"):
        read_header(tmp_path / "missing.png")
