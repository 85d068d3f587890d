"""A self-contained page: sections of text, tables and figures as one HTML file without scripts.

Everything that came from outside, such as the names of classes and files, is escaped by the template engine. Control
characters and marks that reorder what is read are written as escapes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from dlcli.printing import escaped_line


@dataclass(frozen=True)
class Table:
    """A table; numbers are aligned to the right.

    Attributes:
        header: a name for each column.
        rows: a cell for each column: text, a number, or None, which is left empty.
        caption: what the table shows; empty for none.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclass(frozen=True)
class Image:
    """An image in the page.

    Attributes:
        source: a data URL, see :mod:`dlcli.report.page.figures`.
        alt: what it shows, for people who cannot see it.
    """

    source: str
    alt: str


@dataclass(frozen=True)
class MarkedText:
    """A text whose tokens have a color each: red where its value is positive, blue where it is negative.

    Attributes:
        title: what the values are, or the name of the text.
        tokens: the text of each, and its value.
        separator: between the tokens: a space between words, nothing between characters.
        note: what must be known of the values; empty for none.
    """

    title: str
    tokens: Sequence[tuple[str, float]]
    separator: str = " "
    note: str = ""

    @property
    def strengths(self) -> list[float]:
        """The values as shares of the largest absolute one, in [-1, 1]; all 0 if there is none."""
        largest = max((abs(value) for _, value in self.tokens), default=0.0)
        return [value / largest if largest else 0.0 for _, value in self.tokens]

    @property
    def marked(self) -> list[tuple[str, float, float]]:
        """The text, value and strength of each token."""
        return [(*token, strength) for token, strength in zip(self.tokens, self.strengths, strict=True)]


@dataclass(frozen=True)
class Section:
    """A section of the page, its parts in this order.

    Attributes:
        title: its heading.
        paragraphs: text.
        warnings: text that must not be overlooked.
        tables, images: see :class:`Table` and :class:`Image`.
        commands: that a reader may run.
        missing: what does not exist, and the command that makes it.
        texts: see :class:`MarkedText`; they come before the tables.
    """

    title: str
    paragraphs: Sequence[str] = ()
    warnings: Sequence[str] = ()
    tables: Sequence[Table] = ()
    images: Sequence[Image] = ()
    commands: Sequence[str] = ()
    missing: Sequence[tuple[str, str]] = ()
    texts: Sequence[MarkedText] = ()


def render(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The page as HTML, which loads nothing from anywhere.

    Args:
        title: the heading.
        subtitle: the line below it.
        sections: in order.
    """
    template = _environment().get_template("page.html")
    return template.render(title=title, subtitle=subtitle, sections=sections)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: escaped_line(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell
    environment.tests["numeric"] = lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)
    return environment


def cell(value: Any) -> str:
    """A cell of a table as text: four decimals or significant digits of a number, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or 0.001 <= abs(value) < 10 else f"{value:.4g}"
    return str(value)
