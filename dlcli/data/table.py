"""Reading tables: CSV files with a header, whose columns are found by name."""

import csv
import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from dlcli.data.files import printable
from dlcli.data.listing import NUM_NAMED, name_some
from dlcli.data.paths import is_outside, normalized, outside_error
from dlcli.data.splits import SPLIT_NAMES, LeftOut, split_named
from dlcli.errors import InputError
from dlcli.files import read_text, suffix_of

SUFFIXES = (".csv", ".tsv")
DELIMITERS = ",;\t|"
LINE_END = re.compile(r"\r\n|\r|\n")
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
DELIMITER_LINE = re.compile(r"sep=([,;\t|])(?:\r\n|\r|\n)")
QUOTED = re.compile(r'"[^"]*"')
DECIMAL_COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+")
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "?", "null", "NULL", "None")  # cells without a value
FLAGS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0}  # by a cell in lowercase
LARGEST = 1e18  # the largest magnitude of a number: its square must be finite in float32
MAX_BYTES = 2**30  # of a table: about ten million rows
csv.field_size_limit(MAX_BYTES)  # a text may be longer than the default limit of 131,072 characters

Cells = dict[str, str]  # by role


class ImageRow(NamedTuple):  # a dataclass takes four times as long to make
    """A row of a table of images."""

    line: int
    name: str
    file: str
    label: str
    split: str
    group: str
    more: tuple[str, ...] = ()  # cells of further columns


def role_columns(**names: str | None) -> dict[str, str]:
    """The name of each role's column, without the roles that have none."""
    return {role: name for role, name in names.items() if name is not None}


def read_image_rows(
    table: Path,
    *,
    image: str,
    label: str | None,
    split: str | None,
    group: str | None,
    more: Sequence[str] = (),
    error_of: Callable[[tuple[str, ...]], str | None] = lambda _: None,
    allow_outside: bool = False,
    root: Path | None = None,
    suffix: str = "",
) -> list[ImageRow]:
    """The rows of a table of images, without empty lines.

    Args:
        image, label, split, group: names of columns; without one, labels are empty, and all rows are in train.
        more: names of further columns, whose cells may be empty.
        error_of: the error in the cells of these columns, or None.
        allow_outside: whether paths may leave ``root``.
        root: the folder to which paths are relative. Default: the table's.
        suffix: appended to each path.

    Raises:
        InputError: it is not such a table; the errors of all rows, missing files included, are reported together.
    """
    text = read_text(table, noun="table", max_bytes=MAX_BYTES, remedy="Give a CSV file that lists the images.")
    columns = role_columns(image=image, label=label, split=split, group=group)
    records, errors = read_cells(
        table,
        text,
        columns | {f"more {name}": name for name in more},  # which may be named like a role
        required=tuple(columns),
        error_of=lambda cells: error_of(tuple(cells[f"more {name}"] for name in more)),
    )
    folder = table.parent if root is None else root
    rows = []
    for line, own_split, cells in records:
        file = normalized(folder, cells["image"] + suffix)
        path = folder / file
        if not allow_outside and is_outside(folder, path):
            errors.append((line, outside_error(folder, cells["image"])))
            continue
        further = tuple(cells[f"more {name}"] for name in more)
        label_of, group_of = cells.get("label", ""), cells.get("group", "")
        rows.append(ImageRow(line, printable(file), str(path), label_of, own_split, group_of, further))
    if errors:
        errors += [(row.line, f"{row.name}: no such file.") for row in rows if not os.path.lexists(row.file)]
    refuse_errors(table, errors)
    if not rows:
        raise InputError(f"{table}: there must be rows below the header. Received none.")
    return rows


def drop_repeated(table: Path, rows: Sequence[ImageRow], *, must: str) -> tuple[list[ImageRow], list[LeftOut]]:
    """The first row of each image; further rows are left out.

    Args:
        must: what the rows of an image must agree in: ``one label, split and group``.

    Raises:
        InputError: two rows of one image contradict each other.
    """
    first: dict[str, ImageRow] = {}
    left_out = []
    for row in rows:
        earlier = first.setdefault(row.name, row)
        if earlier is row:
            continue
        if (earlier.label, earlier.split, earlier.group, earlier.more) != (row.label, row.split, row.group, row.more):
            raise InputError(
                f"{table}:{row.line}: an image must have {must}. Line {earlier.line} has others for '{row.name}'."
            )
        left_out.append(LeftOut(row.name, f"listed again on line {row.line}"))
    return list(first.values()), left_out


def column_names(table: Path, text: str, names: Sequence[str] | None = None) -> list[str]:
    """The names in the header of a table, or those that are given for a table without one.

    Raises:
        InputError: the header cannot be read.
    """
    _, header = next(read_records(table, text, names), (1, []))
    return [name.strip() for name in header]


def parse_number(text: str) -> float | None:
    """A decimal number, or None if the text is not one."""
    try:
        return None if "_" in text else float(text)  # only Python reads 1_000 as a number
    except ValueError:
        return None


def is_usable(number: float | None) -> bool:
    """Whether a number can be computed with: finite, and at most LARGEST in magnitude."""
    return number is not None and abs(number) <= LARGEST


def has_decimal_comma(cell: str) -> bool:
    """Whether a cell looks like a number with a decimal comma: ``12,5`` or ``1.234,5``."""
    return DECIMAL_COMMA.fullmatch(cell) is not None


def number_error(name: str, cell: str) -> str | None:
    """The error in a cell of a column of numbers, or None."""
    number = parse_number(cell)
    if is_usable(number):
        return None
    shown = printable(cell[:50])
    if number is None or number != number or number in (float("inf"), float("-inf")):
        remedy = " Write decimals with a point, without separators of thousands." if has_decimal_comma(cell) else ""
        return f"column '{printable(name)}' must be a number. Received '{shown}'.{remedy}"
    return f"column '{printable(name)}' must be at most {LARGEST:g} in magnitude. Received {shown}: rescale the column."


def missing_error(name: str, *, may_be_unknown: bool) -> str:
    """The error of a cell without a value.

    Args:
        may_be_unknown: whether values can also be unknown, and not only left out with their row.
    """
    options = "skip or unknown" if may_be_unknown else "skip"
    return f"column '{printable(name)}' has no value. Fill it in, or set data.on_missing: {options}."


def flag_error(name: str, cell: str) -> str | None:
    """The error in a cell of a column of 0 and 1, or None."""
    if cell.lower() in FLAGS:
        return None
    return f"column '{printable(name)}' must be 0 or 1. Received '{printable(cell[:50])}'."


def read_cells(
    table: Path,
    text: str,
    columns: Mapping[str, str],
    *,
    required: Sequence[str],
    error_of: Callable[[Cells], str | None] = lambda _: None,
    names: Sequence[str] | None = None,
) -> tuple[list[tuple[int, str, Cells]], list[tuple[int, str]]]:
    """The cells of a table, stripped of white space, row by row; empty lines are skipped.

    Args:
        text: the content of the table. In a file whose name ends in .tsv, quotes have no meaning.
        columns: the name of each column by its role; the cells of ``split`` must be names of splits.
        required: roles whose cells must not be empty.
        error_of: any other error in a row's cells, or None.
        names: of all columns of a table without a header; None if it has one.

    Returns:
        The line, split and cells by role of each valid row; and the line and error of each invalid row.

    Raises:
        InputError: it is not a table, or lacks a column.
    """
    records = read_records(table, text, names)
    _, header = next(records, (1, []))
    wanted = set(columns.values())
    positions = {role: _find_column(table, header, name, wanted) for role, name in columns.items()}
    valid: list[tuple[int, str, Cells]] = []
    errors: list[tuple[int, str]] = []
    for line, values in records:
        if len(values) != len(header):
            like = "like the header" if names is None else "as data.columns names"
            errors.append((line, f"a row must have {len(header)} values, {like}. Received {len(values)}."))
            continue
        cells = {role: values[position].strip() for role, position in positions.items()}
        empty = [role for role in required if not cells[role]]
        if empty:
            errors.append((line, f"column '{header[positions[empty[0]]]}' must not be empty."))
            continue
        own_split = split_named(cells.get("split", "train"))
        if own_split is None:
            must = f"column '{columns['split']}' must be {SPLIT_NAMES}."
            errors.append((line, f"{must} Received '{cells['split']}'."))
            continue
        error = error_of(cells)
        if error is not None:
            errors.append((line, error))
            continue
        valid.append((line, own_split, cells))
    return valid, errors


def refuse_errors(file: Path, errors: Sequence[tuple[int, str]]) -> None:
    """Refuses a file that has errors, given with their lines; the first NUM_NAMED are reported.

    Raises:
        InputError: there are errors.
    """
    if errors:
        lines = [f"{file}:{line}: {text}" for line, text in sorted(errors)[:NUM_NAMED]]
        rest = [f"… and {len(errors) - NUM_NAMED} more rows"] if len(errors) > NUM_NAMED else []
        raise InputError("\n".join(lines + rest))


def read_records(table: Path, text: str, names: Sequence[str] | None = None) -> Iterator[tuple[int, list[str]]]:
    """Each record of a table, the header first, with the line on which it starts; empty lines are skipped.

    The delimiter is the one of comma, semicolon, tab and | that is most frequent in the header outside of quotes,
    unless a line such as ``sep=;`` comes before it, as in Excel. Lines end as on any system. In a file whose name ends
    in .tsv, quotes have no meaning.

    Args:
        names: of the columns of a table without a header, which come first then; its delimiter is that of the first
            row, preferably one that gives as many cells.

    Raises:
        InputError: it is not CSV.
    """
    is_tsv = suffix_of(table) == ".tsv"
    quoting: Literal[0, 3] = csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL
    named = DELIMITER_LINE.match(text)
    if named is not None:
        text = text[named.end() :]
    end = LINE_END.search(text)
    header = text if end is None else text[: end.start()]
    delimiter = _delimiter(header if is_tsv else QUOTED.sub("", header), None if names is None else len(names))
    if named is not None:
        delimiter = named[1]
    if names is not None:
        yield 1, list(names)
    lines = (match[0] for match in LINE.finditer(text))  # io.StringIO would hold four bytes for each character
    reader = csv.reader(lines, delimiter=delimiter, strict=True, quoting=quoting)
    while True:
        line = reader.line_num + (1 if named is None else 2)
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise InputError(
                f"{table}:{line}: this row is not valid CSV: a quote is not closed or not doubled, or a cell is too "
                "long. Correct it."
            ) from None
        if values:
            yield line, values


def _delimiter(row: str, num_columns: int | None) -> str:
    """The delimiter of a header, or of the first row of a table with some number of columns and without a header.

    Where several give this number, it is not the comma, which is also part of numbers and texts.
    """
    if num_columns is not None:
        for delimiter in ("\t", ";", ",", "|"):
            if row.count(delimiter) == num_columns - 1:
                return delimiter
    return max(DELIMITERS, key=row.count)


def _find_column(table: Path, header: list[str], name: str, names: set[str]) -> int:
    columns = [column.strip() for column in header]
    if columns.count(name) == 1:
        return columns.index(name)
    if name in columns:
        raise InputError(f"{table}:1: there must be one column '{name}'. Received {columns.count(name)}.")
    shown = name_some([printable(column) for column in columns])
    near = difflib.get_close_matches(name, [column for column in columns if column not in names], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise InputError(f"{table}:1: there must be a column '{name}'. Received {shown or 'no header'}.{hint}")
