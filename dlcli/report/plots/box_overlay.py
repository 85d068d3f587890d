"""Images with boxes, masks and their labels drawn on them, and the parts of images that boxes contain.

They keep their size, but for small ones, whose pixels are enlarged, because labels would cover them.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from dlcli.report.plots.box_labels import place_labels
from dlcli.report.plots.figure import VERMILION, font_runs, shown
from dlcli.report.plots.mask_overlay import tinted

SMALL, LARGE = 200, 1200  # pixels of the shorter and the longer side


@dataclass(frozen=True)
class LabeledBox:
    """A box to be drawn.

    Attributes:
        corners: xmin, ymin, xmax, ymax in pixels.
        label: what is written at its top.
        color: of its outline, behind the label, and of its mask.
        mask: 1 in the object, ``[height, width]`` of the image; None for a box alone.
    """

    corners: Sequence[float]
    label: str
    color: str = VERMILION
    mask: npt.NDArray[np.uint8] | None = None


def with_box(image: Image.Image, box: Sequence[float], label: str) -> bytes:
    """The image with a box (xmin, ymin, xmax, ymax in pixels) and a label at its top, as the bytes of a PNG file."""
    return with_boxes(image, [LabeledBox(box, label)])


def with_boxes(image: Image.Image, boxes: Sequence[LabeledBox]) -> bytes:
    """The image with boxes and masks, the first ones above the others, as the bytes of a PNG file."""
    drawn = image.convert("RGB")
    factor = enlargement(drawn.size)
    if factor > 1:
        drawn = drawn.resize((drawn.width * factor, drawn.height * factor), Image.Resampling.NEAREST)
        boxes = [_enlarged(box, factor) for box in boxes]
    for box in reversed(boxes):
        if box.mask is not None:
            pixels = tinted(np.asarray(drawn), box.mask > 0, box.color)
            drawn = Image.fromarray(np.rint(pixels).astype(np.uint8))
    _draw(drawn, boxes)
    return _png(drawn)


def enlargement(size: tuple[int, int]) -> int:
    """The whole number by which an image is enlarged to be drawn on: to a shorter side of at least 200 pixels, unless
    the longer one would exceed 1200."""
    return max(1, min(-(-SMALL // min(size)), LARGE // max(size)))


def _enlarged(box: LabeledBox, factor: int) -> LabeledBox:
    mask = None if box.mask is None else box.mask.repeat(factor, axis=0).repeat(factor, axis=1)
    return replace(box, corners=[factor * value for value in box.corners], mask=mask)


def crop(image: Image.Image, corners: Sequence[float]) -> bytes:
    """The part of an image in a box, at least one pixel, as the bytes of a PNG file."""
    left, top, right, bottom = corners
    x, y = min(int(left), image.width - 1), min(int(top), image.height - 1)
    end_x, end_y = max(x + 1, min(round(right), image.width)), max(y + 1, min(round(bottom), image.height))
    return _png(image.convert("RGB").crop((x, y, end_x, end_y)))


@dataclass(frozen=True)
class _Label:
    """A label's texts with their fonts, and its size in pixels, with a margin as wide as a box's outline."""

    parts: Sequence[tuple[str, ImageFont.FreeTypeFont]]
    ascent: int
    size: tuple[float, float]
    margin: int

    @classmethod
    def of(cls, text: str, image_size: tuple[int, int]) -> "_Label":
        """The label of a box in an image of this width and height."""
        parts = _with_fonts(shown(text, 40), max(8.0, min(image_size) / 25))
        ascents, descents = zip(*(font.getmetrics() for _, font in parts), strict=True)
        margin = _outline(image_size)
        length = sum(_length(*part) for part in parts)
        return cls(parts, max(ascents), (length + 2 * margin, max(ascents) + max(descents) + 2 * margin), margin)

    def draw(self, canvas: ImageDraw.ImageDraw, place: tuple[float, float], color: str) -> None:
        """Draws it with its left and top at a place."""
        x, y = place
        canvas.rectangle((x, y, x + self.size[0], y + self.size[1]), fill=color)
        for text, font in self.parts:
            canvas.text((x + self.margin, y + self.margin + self.ascent), text, fill="white", font=font, anchor="ls")
            x += _length(text, font)


def _outline(size: tuple[int, int]) -> int:
    """The width of a box's outline in an image of this size."""
    return max(1, round(min(size) / 150))


def _draw(drawn: Image.Image, boxes: Sequence[LabeledBox]) -> None:
    canvas = ImageDraw.Draw(drawn)
    labels = [_Label.of(box.label, drawn.size) for box in boxes]
    corners = [tuple(box.corners) for box in boxes]
    places = place_labels(corners, [label.size for label in labels], (0, 0, *drawn.size))
    for box in reversed(boxes):
        left, top, right, bottom = box.corners
        # box edges lie between pixels: the last pixel inside is one before the right and bottom edges
        edges = (left, top, max(left, right - 1), max(top, bottom - 1))
        canvas.rectangle(edges, outline=box.color, width=_outline(drawn.size))
    for box, label, place in reversed(list(zip(boxes, labels, places, strict=True))):
        label.draw(canvas, place, box.color)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def _with_fonts(text: str, size: float) -> list[tuple[str, ImageFont.FreeTypeFont]]:
    """The parts of a text with the fonts that have their characters, at least one."""
    runs = font_runs(text) or font_runs(" ")
    return [(part, ImageFont.truetype(file, size)) for part, file in runs]


def _length(text: str, font: ImageFont.FreeTypeFont) -> float:
    """In pixels."""
    return font.getlength(text)
