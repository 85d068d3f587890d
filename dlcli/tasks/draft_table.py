"""A table from which a recipe is drafted: its rows by column, with their lines, and its columns of numbers."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.table import MISSING, has_decimal_comma, is_usable, number_error, parse_number, read_records
from dlcli.errors import InputError
from dlcli.files import decoded, read_start

MAX_BYTES = 2**26  # of a table that are read
FOR_TEXTS = ", or, for texts, write the recipe with data.encoding"
MOSTLY = 0.75  # of the values in a column that has mistakes

CellError = Callable[[str, str], str | None]
"""The error in a cell, given with its column's name; or None."""


@dataclass(frozen=True)
class DraftTable:
    """The rows of a table; of a very large one, the first.

    Attributes:
        columns: the names that occur once in the header.
        rows: cells by column, without white space around them; "" where a row is too short.
        lines: on which the rows start.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...]

    def numbers(self, column: str) -> list[float] | None:
        """The numbers in a column, without missing ones; None if it has none, or holds anything else."""
        numbers = [parse_number(cell) for row in self.rows if (cell := row[column]) not in MISSING]
        known = [number for number in numbers if number is not None and is_usable(number)]
        return known if known and len(known) == len(numbers) else None

    def mistake(self, column: str, error_of: CellError = number_error) -> str | None:
        """The first mistake in a column of which most cells have none, with file and line.

        Args:
            error_of: what is wrong with a cell. Default: that it is not a number; one with a decimal comma was meant to
                be one.
        """
        errors: list[tuple[int, str]] = []
        num_values = num_meant = 0
        for line, row in zip(self.lines, self.rows, strict=True):
            cell = row[column]
            if cell in MISSING:
                continue
            num_values += 1
            error = error_of(column, cell)
            num_meant += error is None or (error_of is number_error and has_decimal_comma(cell))
            if error is not None:
                errors.append((line, error))
        if not errors or num_meant < max(2, MOSTLY * num_values):
            return None
        line, error = errors[0]
        more = f" {len(errors):,} cells in the column are like it." if len(errors) > 1 else ""
        return f"{self.path}:{line}: {error}{more}"


def read_table(path: Path) -> DraftTable:
    """Reads a table.

    Raises:
        InputError: it is not CSV, or not in UTF-8, nor in UTF-16 with a byte order mark.
    """
    data = read_start(path, MAX_BYTES, "Give a table.")
    if len(data) == MAX_BYTES:  # its last row may be incomplete
        data = data[: max(data.rfind(b"\n"), data.rfind(b"\r"))]
    text = decoded(data, str(path), noun="table", other_encoding=FOR_TEXTS)
    if "\0" in text:
        raise InputError(f"{path}: must be UTF-8 text. It may be UTF-16: save it as UTF-8{FOR_TEXTS}.")
    records = read_records(path, text)
    _, header = next(records, (1, []))
    names = [name.strip() for name in header]
    counts = Counter(names)
    columns = tuple(name for name in names if name and counts[name] == 1)
    lines, rows = [], []
    for line, values in records:
        cells = dict(zip(names, map(str.strip, values), strict=False))
        lines.append(line)
        rows.append({name: cells.get(name, "") for name in columns})
    return DraftTable(path, columns, tuple(rows), tuple(lines))
