"""Pictures listed in a CSV file: a row for each with its path, its class and, where wanted, its split and group."""

import csv
import difflib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from dlcli.data.assemble import OnBadImage, assemble_files
from dlcli.data.files import open_input
from dlcli.data.folder import SPLIT_OF
from dlcli.data.listing import NO_ALIASES, NUM_NAMED, CommonKeys, Listing, index_labels, name_some
from dlcli.data.samples import SPLITS, Dataset, LeftOut
from dlcli.data.scan import Progress, printable
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


def read_csv(
    *,
    path: str | Path,
    image: str,
    label: str,
    split: str | None,
    group: str | None,
    on_bad_image: OnBadImage,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    progress: Progress | None = None,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The pictures that a CSV file lists; paths are relative to its folder.

    UTF-8, with a header; the delimiter is the one of comma, semicolon and tab that the header has most of. Spaces
    around a value do not count. ``image``, ``label``, ``split`` and ``group`` name columns. ``classes`` are those of a
    trained model, where its labels are to be used; by default they are the labels, sorted as strings.

    Raises:
        InputError: the table is not as described, rows contradict each other, or pictures cannot be read.
    """
    table = Path(path)
    rows = _read_rows(table, image=image, label=label, split=split, group=group)
    if not rows:
        raise InputError(f"{table}: there must be rows below the header. Received none.")
    rows, left_out = _drop_repeated(table, rows)
    if split is not None and group is not None:
        _check_groups(table, rows)
    by_split = {name: [row for row in rows if row.split == name] for name in SPLITS}
    by_split = {name: part for name, part in by_split.items() if part}
    if "train" not in by_split:
        raise InputError(f"{table}: column '{split}' must say train for some rows. Received none.")
    known, labels = index_labels(
        {name: [row.label for row in part] for name, part in by_split.items()},
        tuple(sorted({row.label for row in by_split["train"]})),
        source=str(table),
        trained=classes,
        aliases=aliases,
    )
    listings = {
        name: Listing(
            names=tuple(row.name for row in part),
            labels=labels[name],
            groups=None if group is None else tuple(row.group for row in part),
            files=tuple(row.file for row in part),
        )
        for name, part in by_split.items()
    }
    line_of = {row.name: row.line for row in rows}
    return assemble_files(
        listings,
        known,
        source=str(table),
        place=lambda name: f"{table}:{line_of[name]}: {name}",
        on_bad_image=on_bad_image,
        left_out=left_out,
        warnings=(),
        by_suffix=False,
        needs_all=classes is None,
        progress=progress,
        common=common,
    )


def _read_rows(table: Path, *, image: str, label: str, split: str | None, group: str | None) -> list[Row]:
    """The rows of the table, without empty lines.

    Raises:
        InputError: it is no such table; faults of rows are reported together, and with them files that are not there.
    """
    text = _read_text(table)
    header_line = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=header_line.count)
    records = _parse(table, text, delimiter)
    _, header = next(records, (1, []))
    columns = {
        role: _find_column(table, header, name)
        for role, name in (("image", image), ("label", label), ("split", split), ("group", group))
        if name is not None
    }
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
        file = os.path.normpath(cells["image"])
        rows.append(Row(line, printable(file), table.parent / file, cells["label"], own_split, cells.get("group", "")))
    if faults:
        faults += [(row.line, f"{row.name}: no such file.") for row in rows if not os.path.lexists(row.file)]
        lines = [f"{table}:{line}: {text}" for line, text in sorted(faults)[:NUM_NAMED]]
        more = [f"… and {len(faults) - NUM_NAMED} more rows"] if len(faults) > NUM_NAMED else []
        raise InputError("\n".join(lines + more))
    return rows


def _read_text(table: Path) -> str:
    with open_input(table, "Give a CSV file that lists the pictures.") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(f"{table}: a table may have at most {MAX_BYTES:,} bytes. Divide it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{table}:{line}: the table must be UTF-8 text. Received byte 0x{data[error.start]:02x}: save it as UTF-8."
        ) from None


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


def _find_column(table: Path, header: list[str], name: str) -> int:
    columns = [column.strip() for column in header]
    if columns.count(name) == 1:
        return columns.index(name)
    if name in columns:
        raise InputError(f"{table}:1: there must be one column '{name}'. Received {columns.count(name)}.")
    near = difflib.get_close_matches(name, columns, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise InputError(f"{table}:1: there must be a column '{name}'. Received {name_some(columns) or 'no header'}.{hint}")


def _drop_repeated(table: Path, rows: list[Row]) -> tuple[list[Row], list[LeftOut]]:
    """Each picture once.

    Raises:
        InputError: rows say different things about one picture.
    """
    first: dict[str, Row] = {}
    left_out = []
    for row in rows:
        earlier = first.setdefault(row.name, row)
        if earlier is row:
            continue
        if (earlier.label, earlier.split, earlier.group) != (row.label, row.split, row.group):
            raise InputError(
                f"{table}:{row.line}: a picture must have one label, split and group. Line {earlier.line} says "
                f"otherwise about '{row.name}'."
            )
        left_out.append(LeftOut(row.name, f"listed again on line {row.line}"))
    return list(first.values()), left_out


def _check_groups(table: Path, rows: list[Row]) -> None:
    first: dict[str, Row] = {}
    for row in rows:
        earlier = first.setdefault(row.group, row)
        if earlier.split != row.split:
            raise InputError(
                f"{table}:{row.line}: a group must be in one split. Group '{row.group}' is in {row.split} here "
                f"and in {earlier.split} on line {earlier.line}."
            )
