"""Full-size images with a box and its label drawn on them."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from dlcli.report.plots.figure import VERMILION, printable


def with_box(image: Image.Image, box: Sequence[float], label: str) -> bytes:
    """The image with a box (xmin, ymin, xmax, ymax in pixels) and a label at its top, as the bytes of a PNG file."""
    drawn = image.convert("RGB")
    canvas = ImageDraw.Draw(drawn)
    width = max(1, round(min(drawn.size) / 150))
    left, top, right, bottom = box
    # box edges lie between pixels: the last pixel inside is one before the right and bottom edges
    canvas.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=VERMILION, width=width)
    font = ImageFont.load_default(max(8.0, min(drawn.size) / 25))
    text = printable(label, 40)
    extent = canvas.textbbox((0, 0), text, font=font)
    height, length = extent[3] + 2 * width, extent[2] + 2 * width
    x = max(0.0, min(left, drawn.width - length))
    y = top - height if top >= height else top
    canvas.rectangle((x, y, x + length, y + height), fill=VERMILION)
    canvas.text((x + width, y + width), text, fill="white", font=font)
    file = io.BytesIO()
    drawn.save(file, format="PNG")
    return file.getvalue()
