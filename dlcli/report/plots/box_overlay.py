"""Full-size images with a box and its label drawn on them."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from dlcli.report.plots.figure import VERMILION, font_runs, shown


def with_box(image: Image.Image, box: Sequence[float], label: str) -> bytes:
    """The image with a box (xmin, ymin, xmax, ymax in pixels) and a label at its top, as the bytes of a PNG file."""
    drawn = image.convert("RGB")
    canvas = ImageDraw.Draw(drawn)
    width = max(1, round(min(drawn.size) / 150))
    left, top, right, bottom = box
    # box edges lie between pixels: the last pixel inside is one before the right and bottom edges
    canvas.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=VERMILION, width=width)
    parts = _with_fonts(shown(label, 40), max(8.0, min(drawn.size) / 25))
    ascents, descents = zip(*(font.getmetrics() for _, font in parts), strict=True)
    height, length = max(ascents) + max(descents) + 2 * width, sum(_length(*part) for part in parts) + 2 * width
    x = max(0.0, min(left, drawn.width - length))
    y = top - height if top >= height else top
    canvas.rectangle((x, y, x + length, y + height), fill=VERMILION)
    for text, font in parts:
        canvas.text((x + width, y + width + max(ascents)), text, fill="white", font=font, anchor="ls")
        x += _length(text, font)
    file = io.BytesIO()
    drawn.save(file, format="PNG")
    return file.getvalue()


def _with_fonts(text: str, size: float) -> list[tuple[str, ImageFont.FreeTypeFont]]:
    """The parts of a text with the fonts that have their characters, at least one."""
    runs = font_runs(text) or font_runs(" ")
    return [(part, ImageFont.truetype(file, size)) for part, file in runs]


def _length(text: str, font: ImageFont.FreeTypeFont) -> float:
    """In pixels."""
    return font.getlength(text)
