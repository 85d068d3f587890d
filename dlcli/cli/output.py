"""Print results on stdout: JSON for scripts, short tables for people.

Everything that the command line prints passes through here, with control characters as escapes.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import click

from dlcli.printing import escaped, escaped_line, json_text

FOR, AGAINST, BLACK = (224, 217, 210, 203), (189, 153, 111, 75), 16
"""Shades of red and of blue, pale ones first, and black, of the 256 colors of terminals."""


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text of one or several lines, on stdout or stderr; ``nl`` adds a line feed at its end."""
    click.echo(escaped(str(text)), err=err, nl=nl)


def confirm(question: str) -> bool:
    """Ask a question on stderr.

    Raises:
        click.Abort: stdin has ended, or Ctrl-C was pressed.
    """
    return click.confirm(escaped_line(question), err=True)


def write_json(value: Any) -> None:
    """Print a value as one JSON document."""
    say(json_text(value))


def write_json_line(value: Any) -> None:
    """Print a value as one line of JSON."""
    say(json_text(value, indent=None))


def write_table(header: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Collection[int] = ()) -> None:
    """Print a table; columns are left-aligned except those in ``right`` (indices), floats have four decimals."""
    header = [escaped_line(name) for name in header]
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(header, *cells, strict=True)]
    for line in (header, *cells):
        columns = enumerate(zip(line, widths, strict=True))
        say("  ".join(text.rjust(n) if i in right else text.ljust(n) for i, (text, n) in columns).rstrip())


def write_row(cells: Sequence[Any]) -> None:
    """Print one row with tabs between its cells, floats with four decimals; it is on its way to its reader at once."""
    say("\t".join(map(_cell, cells)))


def write_marked(tokens: Sequence[tuple[str, float]], *, separator: str) -> None:
    """Print tokens in one line, red where their value is positive, blue where it is negative, pale where it is small.

    They are plain where stdout is not a terminal, or the environment has NO_COLOR (https://no-color.org).
    """
    largest = max((abs(value) for _, value in tokens), default=0.0)
    is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb" or not largest
    cells = []
    for token, value in tokens:
        shades = FOR if value > 0 else AGAINST
        shade = round(len(shades) * abs(value) / (largest or 1.0))
        text = escaped_line(token)
        cells.append(text if is_plain or not shade else click.style(text, fg=BLACK, bg=shades[shade - 1]))
    click.echo(f"  {separator.join(cells)}")  # which leaves colors out where stdout is not a terminal


def write_markdown(header: Sequence[str], rows: Sequence[Sequence[str]], *, num_text_columns: int) -> None:
    """Print a Markdown table; the first columns are text, the others right-aligned numbers."""
    rule = ["---" if i < num_text_columns else "---:" for i in range(len(header))]
    for line in (header, rule, *rows):
        say(f"| {' | '.join(map(escaped_line, line))} |")


def write_metrics(metrics: Mapping[str, Any], intervals: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Print one metric per line, with its interval if it has one: the lower and the upper bound."""
    numbers = {escaped_line(name): value for name, value in metrics.items() if isinstance(value, (int, float))}
    width = max((len(name) for name in numbers), default=0)
    for name, value in numbers.items():
        bounds = [_cell(bound) for bound in intervals.get(name, ())]
        interval = f"  ({intervals['level']:.0%} interval: {' to '.join(bounds)})" if bounds else ""
        say(f"  {name.ljust(width)}  {_cell(value)}{interval}")


def write_matrix(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> None:
    """Print a matrix of counts with a name for each row and column."""
    write_table(
        ["", *names], [[name, *row] for name, row in zip(names, matrix, strict=True)], right=range(1, len(names) + 1)
    )


def as_recipe(value: Any) -> str:
    """Format a value as in a recipe: ``null``, ``true``, ``[28, 28]``, ``0.001``."""
    return value if isinstance(value, str) else json.dumps(value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.3g}"
    return escaped_line(str(value))
