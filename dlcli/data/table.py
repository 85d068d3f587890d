"""Reading a table of images: a CSV file with a header, whose columns are found by their names."""

import csv
import difflib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from dlcli.data.files import printable, read_text
from dlcli.data.listing import NUM_NAMED, name_some
from dlcli.data.split_folders import SPLIT_OF
from dlcli.errors import InputError

DELIMITERS = ",;\t"
MISSING = ("", "NA", "NaN", "nan", "?", "null")  # cells that hold no value
LARGEST = 1e18  # a number's size at most: its square is to be one in float32 too
MAX_BYTES = 2**30  # of a table: some ten million rows
csv.field_size_limit(MAX_BYTES)  # a text may be longer than the 131,072 characters that are allowed otherwise


@dataclass(frozen=True)
class Row:
    """One image of the table."""

    line: int
    name: str
    file: Path
    label: str
    split: str
    group: str
    more: tuple[str, ...] = ()  # cells of further columns


def read_rows(
    table: Path,
    *,
    image: str,
    label: str,
    split: str | None,
    group: str | None,
    more: Sequence[str] = (),
    error_of: Callable[[tuple[str, ...]], str | None] = lambda _: None,
) -> list[Row]:
    """The rows of the table, without empty lines.

    Args:
        image, label, split, group: names of columns.
        more: names of further columns, whose cells may be empty.
        error_of: what is wrong with the cells of these; None where nothing is.

    Raises:
        InputError: it is no such table; errors of rows are reported together, and with them files that are not there.
    """
    text = read_text(table, noun="table", max_bytes=MAX_BYTES, remedy="Give a CSV file that lists the images.")
    roles = {"image": image, "label": label, "split": split, "group": group}
    columns = {role: name for role, name in roles.items() if name is not None}
    records, errors = read_cells(
        table,
        text,
        columns | {name: name for name in more},
        required=tuple(columns),
        error_of=lambda cells: error_of(tuple(cells[name] for name in more)),
    )
    rows = []
    for line, own_split, cells in records:
        file = os.path.normpath(cells["image"])
        further = tuple(cells[name] for name in more)
        group_of = cells.get("group", "")
        rows.append(Row(line, printable(file), table.parent / file, cells["label"], own_split, group_of, further))
    if errors:
        errors += [(row.line, f"{row.name}: no such file.") for row in rows if not os.path.lexists(row.file)]
    refuse_errors(table, errors)
    if not rows:
        raise InputError(f"{table}: there must be rows below the header. Received none.")
    return rows


Cells = dict[str, str]


def column_names(table: Path, text: str) -> list[str]:
    """The names in the header of a table.

    Raises:
        InputError: there is none.
    """
    header_line = text.split("\n", 1)[0]
    _, header = next(_parse(table, text, max(DELIMITERS, key=header_line.count)), (1, []))
    return [name.strip() for name in header]


def parse_number(text: str) -> float | None:
    """A decimal number, or None where the text is none."""
    try:
        return None if "_" in text else float(text)  # 1_000 is a number in Python alone
    except ValueError:
        return None


def is_usable(number: float | None) -> bool:
    """Whether a number can be computed with: finite, and at most LARGEST in size."""
    return number is not None and abs(number) <= LARGEST


def number_error(name: str, cell: str) -> str | None:
    """What is wrong with the cell of a column of numbers; None where nothing is."""
    number = parse_number(cell)
    if is_usable(number):
        return None
    shown = printable(cell[:50])
    if number is None or number != number or number in (float("inf"), float("-inf")):
        return f"column '{printable(name)}' must be a number. Received '{shown}'."
    return f"column '{printable(name)}' must be at most {LARGEST:g} in size. Received {shown}: divide the column."


def read_cells(
    table: Path,
    text: str,
    columns: Mapping[str, str],
    *,
    required: Sequence[str],
    error_of: Callable[[Cells], str | None] = lambda _: None,
) -> tuple[list[tuple[int, str, Cells]], list[tuple[int, str]]]:
    """The cells of a table, without spaces around them, row by row; empty lines are passed over.

    Args:
        text: the content of the table. In a file whose name ends in .tsv quotes have no meaning.
        columns: the name of each column by its role; that of ``split`` must say what a split is called.
        required: roles whose cells must not be empty.
        error_of: what else is wrong with cells; None where nothing is.

    Returns:
        For each sound row its line, its split and its cells by role; and for each other one its line and its error.

    Raises:
        InputError: it is no table, or lacks a column.
    """
    header_line = text.split("\n", 1)[0]
    records = _parse(table, text, max(DELIMITERS, key=header_line.count))
    _, header = next(records, (1, []))
    wanted = set(columns.values())
    positions = {role: _find_column(table, header, name, wanted) for role, name in columns.items()}
    sound: list[tuple[int, str, Cells]] = []
    errors: list[tuple[int, str]] = []
    for line, values in records:
        if len(values) != len(header):
            errors.append((line, f"a row must have {len(header)} values as the header. Received {len(values)}."))
            continue
        cells = {role: values[position].strip() for role, position in positions.items()}
        empty = [role for role in required if not cells[role]]
        if empty:
            errors.append((line, f"column '{header[positions[empty[0]]]}' must not be empty."))
            continue
        own_split = SPLIT_OF.get(cells.get("split", "train").lower())
        if own_split is None:
            must = f"column '{columns['split']}' must be train, validation (or val) or test."
            errors.append((line, f"{must} Received '{cells['split']}'."))
            continue
        error = error_of(cells)
        if error is not None:
            errors.append((line, error))
            continue
        sound.append((line, own_split, cells))
    return sound, errors


def refuse_errors(file: Path, errors: Sequence[tuple[int, str]]) -> None:
    """Refuses a file for what is wrong with its lines.

    Raises:
        InputError: something is.
    """
    if errors:
        lines = [f"{file}:{line}: {text}" for line, text in sorted(errors)[:NUM_NAMED]]
        rest = [f"… and {len(errors) - NUM_NAMED} more rows"] if len(errors) > NUM_NAMED else []
        raise InputError("\n".join(lines + rest))


def _parse(table: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record, the header first, with the line on which it begins."""
    quoting: Literal[0, 3] = csv.QUOTE_NONE if table.suffix == ".tsv" else csv.QUOTE_MINIMAL
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, quoting=quoting)
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{table}:{line}: this row is no CSV ({error}). Correct its quotes.") from None
        if values:
            yield line, values


def _find_column(table: Path, header: list[str], name: str, wanted: set[str]) -> int:
    columns = [column.strip() for column in header]
    if columns.count(name) == 1:
        return columns.index(name)
    if name in columns:
        raise InputError(f"{table}:1: there must be one column '{name}'. Received {columns.count(name)}.")
    shown = name_some([printable(column) for column in columns])
    near = difflib.get_close_matches(name, [column for column in columns if column not in wanted], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise InputError(f"{table}:1: there must be a column '{name}'. Received {shown or 'no header'}.{hint}")


class Grouped(Protocol):
    """A row that belongs to a group."""

    @property
    def line(self) -> int: ...
    @property
    def split(self) -> str: ...
    @property
    def group(self) -> str: ...


def check_groups(table: Path, rows: Sequence[Grouped]) -> None:
    """Refuses a group that is in two splits.

    Raises:
        InputError: there is one.
    """
    first: dict[str, Grouped] = {}
    for row in rows:
        earlier = first.setdefault(row.group, row)
        if earlier.split != row.split:
            raise InputError(
                f"{table}:{row.line}: a group must be in one split. Group '{row.group}' is in {row.split} here "
                f"and in {earlier.split} on line {earlier.line}."
            )
