"""What all plots share: style, text that can be rendered and fits, and output as PNG or SVG.

Matplotlib's pyplot is not used, because it has global state and looks for a window system.
"""

import contextlib
import io
import itertools
import logging
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

DPI = 120

# Okabe and Ito 2008: distinguishable with color blindness
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
GRAY = "#666666"

LINE_COLORS = (BLUE, VERMILION, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colors of several lines, such as the channels of a signal."""
MARKERS = "osv^D"  # tell lines apart if there are more lines than colors

FALLBACK_FONTS = (
    # Linux
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC", "WenQuanYi Zen Hei"),
    *(
        "WenQuanYi Micro Hei",
        "Droid Sans Fallback",
        "IPAGothic",
        "NanumGothic",
        "Noto Sans Devanagari",
        "Noto Sans Thai",
    ),
    *("Noto Sans Arabic", "Noto Naskh Arabic", "Noto Emoji", "Symbola", "Unifont", "Unifont Upper"),
    # macOS
    *("PingFang SC", "Hiragino Sans", "Hiragino Sans GB", "Apple SD Gothic Neo", "Arial Unicode MS", "Geeza Pro"),
    # Windows
    *("Microsoft YaHei", "Yu Gothic", "MS Gothic", "Malgun Gothic", "Nirmala UI", "Leelawadee UI", "Segoe UI"),
    *("Segoe UI Emoji", "Segoe UI Symbol"),
)
"""Fonts for scripts that Matplotlib's own font lacks, used if they are installed. Color emoji fonts such as Noto Color
Emoji consist of images, which Matplotlib does not draw."""

# It logs a warning for each text where a font lacks the normal weight, as WenQuanYi Zen Hei does.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

NOT_DRAWABLE = "\N{WHITE SQUARE}"


@contextlib.contextmanager
def style() -> Iterator[None]:
    """A context with Matplotlib's defaults and a few changes, whatever the user's configuration."""
    changes = {
        "font.family": [name for name, _ in _fonts()],
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "grid.color": "#E5E5E5",
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.6,
        "legend.frameon": False,
    }
    with matplotlib.style.context(["default", changes]):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """The figure as an SVG file, whose texts stay texts; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "dlcli"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def printable(text: str, max_width: int) -> str:
    """Text that can be rendered: on one line, shortened in the middle, with squares for characters without a glyph.

    Args:
        text: any text, such as the name of a class or of a file.
        max_width: maximum width in characters; wide characters, such as Chinese ones, count as two.
    """
    return shown(text, max_width).replace("$", r"\$")  # a dollar sign would start a formula


def shown(text: str, max_width: int) -> str:
    """Text as :func:`printable` has it, to be drawn with the fonts of :func:`font_runs`."""
    return _shortened("".join(_drawable(character) for character in text), max_width)


def font_runs(text: str) -> list[tuple[str, str]]:
    """The parts of a text, each with the file of the first font that has its characters."""
    parts = itertools.groupby(text, _font_file)
    return [("".join(characters), file) for file, characters in parts]


def size_of(text: Text) -> tuple[float, float]:
    """Width and height of a text in a figure, in inches."""
    figure: Any = text.get_figure(root=True)
    box = text.get_window_extent(figure.canvas.get_renderer())
    return box.width / figure.dpi, box.height / figure.dpi


def shrink_to(text: Text, width: float) -> None:
    """Reduces the font size of a text so that it is at most ``width`` inches wide."""
    excess = size_of(text)[0] / width
    if excess > 1:
        text.set_fontsize(float(text.get_fontsize()) / excess)


def _shortened(text: str, max_width: int) -> str:
    if _width(text) <= max_width:
        return text
    room = max_width - 1  # for the ellipsis
    start = _longest(text, (room + 1) // 2)
    end = _longest(text[::-1], room - _width(start))[::-1]
    return f"{start}…{end}"


def _longest(text: str, max_width: int) -> str:
    """The longest prefix that is at most ``max_width`` wide."""
    width = 0
    for i, character in enumerate(text):
        width += _width(character)
        if width > max_width:
            return text[:i]
    return text


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def without_glyph(texts: Iterable[str]) -> list[str]:
    """The characters of texts, such as the names of classes, that no installed font has, each once."""
    return [character for character in dict.fromkeys("".join(texts)) if _drawable(character) == NOT_DRAWABLE]


def _drawable(character: str) -> str:
    if character.isspace():
        return " "
    if _has_glyph(character):
        return character
    return (
        "" if unicodedata.category(character) == "Cf" else NOT_DRAWABLE
    )  # Cf: invisible, as between parts of an emoji


def _has_glyph(character: str) -> bool:
    return any(font.get_char_index(ord(character)) != 0 for _, font in _fonts())


def _font_file(character: str) -> str:
    having = (font for _, font in _fonts() if font.get_char_index(ord(character)) != 0)
    return str(next(having, _fonts()[0][1]).fname)


@cache
def _fonts() -> tuple[tuple[str, Any], ...]:
    """Name and glyphs of each font used: first Matplotlib's own, which has Latin, Greek and Cyrillic letters."""
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    names = ["DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed)]
    return tuple((name, font_manager.get_font(font_manager.findfont(name))) for name in names)
