"""Reading a table of pictures: a CSV file with a header, whose columns are found by their names."""

import csv
import difflib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.files import read_text
from dlcli.data.folder import SPLIT_OF
from dlcli.data.listing import NUM_NAMED, name_some
from dlcli.data.scan import printable
from dlcli.errors import InputError

DELIMITERS = ",;\t"
MAX_BYTES = 2**30  # of a table: some ten million rows


@dataclass(frozen=True)
class Row:
    """One picture of the table."""

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
    fault_of: Callable[[tuple[str, ...]], str | None] = lambda _: None,
) -> list[Row]:
    """The rows of the table, without empty lines.

    Args:
        image, label, split, group: names of columns.
        more: names of further columns, whose cells may be empty.
        fault_of: what is wrong with the cells of these; None where nothing is.

    Raises:
        InputError: it is no such table; faults of rows are reported together, and with them files that are not there.
    """
    text = read_text(table, noun="table", max_bytes=MAX_BYTES, remedy="Give a CSV file that lists the pictures.")
    header_line = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=header_line.count)
    records = _parse(table, text, delimiter)
    _, header = next(records, (1, []))
    wanted = {image, label, split, group, *more}
    columns = {
        role: _find_column(table, header, name, wanted)
        for role, name in (("image", image), ("label", label), ("split", split), ("group", group))
        if name is not None
    }
    others = [_find_column(table, header, name, wanted) for name in more]
    rows: list[Row] = []
    faults: list[tuple[int, str]] = []
    for line, values in records:
        if len(values) != len(header):
            faults.append((line, f"a row must have {len(header)} values as the header. Received {len(values)}."))
            continue
        cells = {role: values[column].strip() for role, column in columns.items()}
        empty = [role for role, cell in cells.items() if not cell]
        if empty:
            column = header[columns[empty[0]]]
            faults.append((line, f"column '{column}' must not be empty."))
            continue
        own_split = SPLIT_OF.get(cells.get("split", "train").lower())
        if own_split is None:
            must = f"column '{split}' must be train, validation (or val) or test."
            faults.append((line, f"{must} Received '{cells['split']}'."))
            continue
        further = tuple(values[column].strip() for column in others)
        fault = fault_of(further)
        if fault is not None:
            faults.append((line, fault))
            continue
        file = os.path.normpath(cells["image"])
        own_group = cells.get("group", "")
        rows.append(Row(line, printable(file), table.parent / file, cells["label"], own_split, own_group, further))
    if faults:
        faults += [(row.line, f"{row.name}: no such file.") for row in rows if not os.path.lexists(row.file)]
        lines = [f"{table}:{line}: {text}" for line, text in sorted(faults)[:NUM_NAMED]]
        rest = [f"… and {len(faults) - NUM_NAMED} more rows"] if len(faults) > NUM_NAMED else []
        raise InputError("\n".join(lines + rest))
    if not rows:
        raise InputError(f"{table}: there must be rows below the header. Received none.")
    return rows


def _parse(table: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record, the header first, with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
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


def _find_column(table: Path, header: list[str], name: str, wanted: set[str | None]) -> int:
    columns = [column.strip() for column in header]
    if columns.count(name) == 1:
        return columns.index(name)
    if name in columns:
        raise InputError(f"{table}:1: there must be one column '{name}'. Received {columns.count(name)}.")
    near = difflib.get_close_matches(name, [column for column in columns if column not in wanted], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise InputError(f"{table}:1: there must be a column '{name}'. Received {name_some(columns) or 'no header'}.{hint}")


def check_groups(table: Path, rows: Sequence[Row]) -> None:
    """Refuses a group that is in two splits.

    Raises:
        InputError: there is one.
    """
    first: dict[str, Row] = {}
    for row in rows:
        earlier = first.setdefault(row.group, row)
        if earlier.split != row.split:
            raise InputError(
                f"{table}:{row.line}: a group must be in one split. Group '{row.group}' is in {row.split} here "
                f"and in {earlier.split} on line {earlier.line}."
            )
