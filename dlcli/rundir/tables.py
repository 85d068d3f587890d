"""The tables of a run: CSV, written row by row, and read with the current names of metrics."""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

from dlcli.errors import InputError
from dlcli.files import BadFile, NoFile, read_file
from dlcli.printing import escaped_line
from dlcli.rundir.metric_names import current_name

MAX_CSV_BYTES = 2**30
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What the text of a cell starts with that a spreadsheet would read as a formula."""
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")
"""Text that is a number, and so harmless."""


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Format rows as CSV with a header line."""
    text = io.StringIO()
    _write_csv(text, header, rows)
    return text.getvalue()


def _write_csv(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    # the writer quotes a carriage return in a cell only if its own lines end in one
    lines = SimpleNamespace(write=lambda line: file.write(line.removesuffix("\r\n") + "\n"))
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(map(escaped_line, header))
    writer.writerows(rows)


def rows_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format rows given by column as CSV; there must be at least one, and all must have the columns of the first."""
    return csv_text(list(rows[0]), (list(row.values()) for row in rows))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], *, safe: bool = False) -> None:
    """Write rows as CSV with a header line, one at a time.

    Args:
        safe: put an apostrophe before text that a spreadsheet would read as a formula; numbers stay as they are.
    """

    def written(row: Sequence[Any]) -> Sequence[Any]:
        return [_harmless(cell) for cell in row] if safe else row

    try:
        with open(path, "w", newline="", encoding="utf-8") as file:
            _write_csv(file, written(header), map(written, rows))
    except OSError as error:
        error.filename = error.filename or str(path)  # errors while writing do not name the file
        raise


def _harmless(cell: Any) -> Any:
    is_formula = isinstance(cell, str) and cell.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], *, safe: bool = False) -> None:
    """Write rows given by column as :func:`write_csv` does; at least one, all with the columns of the first."""
    remaining = iter(rows)
    first = next(remaining)
    values = (list(row.values()) for row in itertools.chain([first], remaining))
    write_csv(path, list(first), values, safe=safe)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file that this program wrote, with the current names of its columns, without an incomplete last line.

    Raises:
        InputError: it is missing or corrupt.
    """
    try:
        text = read_file(path, MAX_CSV_BYTES).decode()
        rows = list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))
    except NoFile:
        raise InputError(f"{path}: no such file. A run directory must contain it. Restore it from a copy.") from None
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. Restore it from a copy.") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path}: is corrupt: it is not a table in UTF-8. Restore it from a copy.") from None
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InputError(
                f"{path}:{number}: is corrupt: must have one value for each column. Restore it from a copy."
            )
    return [{current_name(column): value for column, value in row.items()} for row in rows]


def metrics_row(columns: Sequence[str], values: Mapping[str, Any]) -> str:
    """Format one line of metrics.csv; floats have nine significant digits, enough for an exact float32."""
    return ",".join(format(values[c], ".9g") if isinstance(values[c], float) else str(values[c]) for c in columns)
