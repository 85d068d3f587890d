"""Images listed in a CSV file with any number of labels each: a column for each label, or a list in one column."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.dataset import CommonKeys, Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.target_table import assemble_table, drop_incomplete, table_at
from dlcli.data.label_lists import applied, labels_in, listed, refuse_between
from dlcli.data.leakage import warn_of_similar_names
from dlcli.data.table import (
    FLAGS,
    MISSING,
    ImageRow,
    drop_repeated,
    flag_error,
    missing_error,
    read_image_rows,
    refuse_errors,
)

OnMissing = Literal["error", "skip", "unknown"]


def read_label_table(
    *,
    path: str | Path,
    image: str,
    labels: tuple[str, ...] | None = None,
    label: str | None = None,
    separator: str | None = None,
    images: str | Path | None = None,
    suffix: str = "",
    split: str | None = None,
    group: str | None = None,
    on_missing: OnMissing = "error",
    allow_outside: bool = False,
    reading: Reading,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images that a CSV file lists, with the labels that apply to each.

    Args:
        path: the file, or a folder with one table.
        image, split, group: names of columns.
        labels: names of the columns of the labels, in the order of the outputs; None for lists in one column.
        label, separator: name of that column, and what separates the labels in it.
        images: the folder to which paths are relative. Default: the table's.
        suffix: appended to each path.
        on_missing: what to do about rows in which one of the columns of labels is empty.
        allow_outside: whether paths may leave that folder.

    Raises:
        InputError: the table is not as described, a cell is neither 0 nor 1, rows contradict each other, a label is in
            no row of train, or images cannot be read.
    """
    table = table_at(Path(path))
    rows = read_image_rows(
        table,
        image=image,
        label=None,
        split=split,
        group=group,
        more=labels or ((label,) if label is not None else ()),
        error_of=(lambda cells: None) if labels is None else _error_of(labels, on_missing),
        allow_outside=allow_outside,
        root=None if images is None else Path(images),
        suffix=suffix,
    )
    rows, left_out = drop_repeated(table, rows, must="the same labels, split and group in all of its rows")
    names = labels
    values: Callable[[Sequence[ImageRow]], NDArray[np.float64]] = _values_of_columns
    if labels is None:
        names = _names_in(table, rows, separator or "", trained=reading.classes)
        values = _values_of_lists(names, separator or "")
    elif on_missing == "skip":
        rows, incomplete = drop_incomplete(rows, labels)
        left_out = [*left_out, *incomplete]
    assert names is not None
    refuse_between(names, source=str(table))
    return assemble_table(
        table,
        rows,
        "labels",
        names,
        values,
        nouns="labels",
        split=split,
        has_groups=group is not None,
        left_out=left_out,
        reading=reading,
        common=common,
        warnings=warn_of_similar_names(names, nouns="labels"),
    )


def _error_of(labels: Sequence[str], on_missing: OnMissing) -> Callable[[tuple[str, ...]], str | None]:
    def error_of(cells: tuple[str, ...]) -> str | None:
        for name, cell in zip(labels, cells, strict=True):
            if cell in MISSING:
                if on_missing == "error":
                    return missing_error(name, may_be_unknown=True)
            elif (error := flag_error(name, cell)) is not None:
                return error
        return None

    return error_of


def _values_of_columns(rows: Sequence[ImageRow]) -> NDArray[np.float64]:
    """1 where a label applies, 0 where it does not, NaN where that is unknown ``[n, l]``."""
    return np.array([[FLAGS.get(cell.lower(), math.nan) for cell in row.more] for row in rows], np.float64)


def _names_in(
    table: Path, rows: Sequence[ImageRow], separator: str, *, trained: tuple[str, ...] | None
) -> tuple[str, ...]:
    """The labels of train, sorted; those of a trained model.

    Raises:
        InputError: another split, or data for a trained model, have others, or train has none.
    """
    lists = [listed(row.more[0], separator) for row in rows]
    splits = [row.split for row in rows]
    names, errors = labels_in(lists, splits, source=str(table), samples="an image", trained=trained)
    refuse_errors(table, [(rows[position].line, text) for position, text in errors])
    return names


def _values_of_lists(names: tuple[str, ...], separator: str) -> Callable[[Sequence[ImageRow]], NDArray[np.float64]]:
    return lambda rows: applied([listed(row.more[0], separator) for row in rows], names)
