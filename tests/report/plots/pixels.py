"""The pixels of plots, and where a color is in them. Every warning of Matplotlib is an error in these tests."""

import io

import numpy as np
from PIL import Image

from dlcli.report.plots import images as image_plots
from dlcli.report.plots.figure import DPI

BACKGROUND = "#285082"
LONG = "the longest of all the names that anyone has given to a class of images, and then some"
STRANGE_NAMES = (
    *("猫のとても長い名前のクラスです", "собака", "γάτα", "قط", "ञ", "😀🦖", "$x^2", "two\nlines", "\x00\x1b[31m"),
    *("", "_", "a\\b{", LONG),
)


def decoded(png: bytes) -> np.ndarray:
    """The pixels [height, width, 3]."""
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert max(image.size) <= 16 * DPI
    return np.asarray(image.convert("RGB"))


def read(png: bytes) -> np.ndarray:
    """The pixels [height, width, 3]; nothing may touch the border, where text would be cut off."""
    pixels = decoded(png)
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    return pixels


def where(pixels: np.ndarray, color: str, tolerance: int = 0) -> np.ndarray | None:
    """Left, top, right and bottom edge of the pixels of a color; None if there are none."""
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    found = np.argwhere((np.abs(pixels.astype(int) - rgb) <= tolerance).all(axis=-1))
    if not len(found):
        return None
    (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0) + 1
    return np.array([left, top, right, bottom])


def has_color(pixels: np.ndarray, color: str) -> bool:
    return where(pixels, color) is not None


def plain(num: int, height: int = 40, width: int = 60) -> np.ndarray:
    """Images of one color, by which they are found in a plot."""
    return np.broadcast_to(np.array([0x28, 0x50, 0x82], np.uint8), (num, height, width, 3))


def relative(pixels: np.ndarray, color: str) -> np.ndarray:
    """Where a color is, rel_xyxy in the one image of a plot."""
    image, found = where(pixels, BACKGROUND), where(pixels, color, tolerance=30)
    assert image is not None
    assert found is not None
    left, top, right, bottom = image
    return np.asarray((found - [left, top, left, top]) / ([right - left, bottom - top] * 2))


def noise(*shape: int) -> np.ndarray:
    """Random images in [0, 255]."""
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def draw_mistakes(batch: np.ndarray, confidence: list[float], **changes: list[str]) -> bytes:
    labels = {
        "labels": [f"cat{i}" for i in range(len(batch))],
        "predicted": ["dog"] * len(batch),
        "names": [f"folder/{i}.png" for i in range(len(batch))],
    }
    return image_plots.mistakes(batch, confidence=confidence, **(labels | changes))
