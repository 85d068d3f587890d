"""Images listed in a CSV file with numbers to predict: a row for each image, and a column for each number."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.decimals import Mark, cell_error, number_in
from dlcli.data.files import list_folder, printable
from dlcli.data.images.dataset import CommonKeys, Reading, assemble_files
from dlcli.data.images.samples import Dataset
from dlcli.data.images.targets import TABLE, TargetTable
from dlcli.data.junk import is_junk
from dlcli.data.listing import NO_ALIASES, name_some
from dlcli.data.splits import DataWarning, LeftOut, split_named
from dlcli.data.table import MISSING, ImageRow, drop_repeated, missing_error, read_image_rows
from dlcli.errors import InputError

OnMissing = Literal["error", "skip"]
SUFFIXES = (".csv", ".tsv")


def read_number_table(
    *,
    path: str | Path,
    image: str,
    targets: tuple[str, ...],
    images: str | Path | None = None,
    suffix: str = "",
    split: str | None = None,
    group: str | None = None,
    on_missing: OnMissing = "error",
    decimal: Mark | None = None,
    allow_outside: bool = False,
    reading: Reading,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images that a CSV file lists, with numbers to predict.

    Args:
        path: the file, or a folder with one table.
        image, split, group: names of columns.
        targets: names of the columns of numbers, in the order of the outputs.
        images: the folder to which paths are relative. Default: the table's.
        suffix: appended to each path.
        on_missing: what to do about rows without one of the numbers.
        decimal: the decimal mark of numbers; None for a point, without groups of digits.
        allow_outside: whether paths may leave that folder.

    Raises:
        InputError: the table is not as described, a number is missing or too large, rows contradict each other, or
            images cannot be read.
    """
    table = table_at(Path(path))

    def error_of(cells: tuple[str, ...]) -> str | None:
        for name, cell in zip(targets, cells, strict=True):
            if cell in MISSING:
                if on_missing == "error":
                    return missing_error(name, may_be_unknown=False)
            elif (error := cell_error(name, cell, decimal)) is not None:
                return error
        return None

    rows = read_image_rows(
        table,
        image=image,
        label=None,
        split=split,
        group=group,
        more=targets,
        error_of=error_of,
        allow_outside=allow_outside,
        root=None if images is None else Path(images),
        suffix=suffix,
    )
    rows, repeated = drop_repeated(table, rows, must="the same numbers, split and group in all of its rows")
    rows, incomplete = drop_incomplete(rows, targets)
    return assemble_table(
        table,
        rows,
        "value",
        targets,
        lambda part: _values(part, len(targets), decimal),
        nouns="numbers",
        split=split,
        has_groups=group is not None,
        left_out=[*repeated, *incomplete],
        reading=reading,
        common=common,
    )


def assemble_table(
    table: Path,
    rows: Sequence[ImageRow],
    kind: str,
    names: tuple[str, ...],
    values: Callable[[Sequence[ImageRow]], NDArray[np.float64]],
    *,
    nouns: str,
    split: str | None,
    has_groups: bool,
    left_out: Sequence[LeftOut],
    reading: Reading,
    common: CommonKeys,
    warnings: Sequence[DataWarning] = (),
) -> Dataset:
    """Read the images of a table's rows, with a number for each of several outputs.

    Args:
        kind, names: of the outputs, as for :class:`TargetTable`.
        values: of rows, ``[rows, outputs]``.
        nouns: what the outputs are: numbers or labels.
        split: the name of the column of splits, for the error where no row is of train.

    Raises:
        InputError: no row is of train, or images cannot be read.
    """
    line_of = {row.name: row.line for row in rows}
    return assemble_files(
        rows,
        source=str(table),
        rule=f"train must have rows with all of the {nouns}."
        if split is None
        else f"column '{split}' must be train in some rows with all of the {nouns}.",
        place=lambda name: f"{table}:{line_of[name]}: {name}",
        on_bad_image=reading.on_bad_image,
        trained=None,
        aliases=NO_ALIASES,
        progress=reading.progress,
        common=common,
        outputs=names,
        annotate=lambda part: {TABLE: TargetTable(kind, names, values(part))},
        has_groups=has_groups,
        exclude=reading.exclude,
        left_out=left_out,
        warnings=warnings,
    )


def table_at(path: Path) -> Path:
    """The table that a path names: the file itself, or the only one in a folder, of several that of train.

    Raises:
        InputError: the folder has no table, or several.
    """
    if not path.is_dir():
        return path
    tables = [file for file in list_folder(path)[1] if file.suffix.lower() in SUFFIXES and not is_junk(file.name)]
    chosen = tables if len(tables) == 1 else [file for file in tables if split_named(file.stem) == "train"]
    if len(chosen) != 1:
        received = name_some([printable(file.name) for file in tables]) or "none"
        raise InputError(f"{path}: must contain one table (.csv, .tsv) of its images. Received {received}.")
    return chosen[0]


def folder_of(path: Path) -> Path:
    """The folder of the table that a path names, which may no longer exist: the path itself, unless it is a table's."""
    return path.parent if path.suffix.lower() in SUFFIXES else path


def drop_incomplete(rows: Sequence[ImageRow], names: Sequence[str]) -> tuple[list[ImageRow], list[LeftOut]]:
    """The rows that have all of the numbers, and those that are left out."""
    kept, left_out = [], []
    for row in rows:
        empty = [name for name, cell in zip(names, row.more, strict=True) if cell in MISSING]
        if empty:
            left_out.append(LeftOut(row.name, f"no value in column '{printable(empty[0])}'", "incomplete"))
        else:
            kept.append(row)
    return kept, left_out


def _values(rows: Sequence[ImageRow], num_columns: int, decimal: Mark | None) -> np.ndarray:
    numbers = [[number_in(cell, decimal) for cell in row.more] for row in rows]
    return np.array(numbers, np.float64).reshape(len(rows), num_columns)
