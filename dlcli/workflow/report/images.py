"""Plots of a run as figures of a page."""

import contextlib
from pathlib import Path

from dlcli.files import BadFile, read_file
from dlcli.report.page.figures import embedded_png
from dlcli.report.page.page import Image

MAX_PNG_BYTES = 2**26


def image_of(path: Path, alt: str, max_width: int) -> list[Image]:
    """A PNG file as a figure, if it exists and can be read."""
    with contextlib.suppress(BadFile, OSError):
        return [Image(embedded_png(read_file(path, MAX_PNG_BYTES), max_width=max_width), alt)]
    return []
