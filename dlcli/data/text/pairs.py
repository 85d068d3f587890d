"""Pairs of texts, a source and its target: from files and tables."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from dlcli.data.annotations import Items
from dlcli.data.listing import Listing, SplitKeys, list_rows
from dlcli.data.sequences.dataset import SequenceDataset, assemble_sequences
from dlcli.data.split_folders import files_by_split, rows_by_split
from dlcli.data.splits import LeftOut
from dlcli.data.table import SUFFIXES, refuse_errors, role_columns
from dlcli.data.text.files import plain_spaces, read_content
from dlcli.data.text.labeled import TextRow, read_text_rows


def read_pairs_tsv(
    *,
    path: str | Path,
    encoding: str,
    validation_path: str | Path | None = None,
    test_path: str | Path | None = None,
    exclude: Sequence[str] = (),
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """A file with a pair on each line: the source, a tab, the target; further columns are ignored.

    Args:
        path: the file, or a folder with one for each split.
        validation_path, test_path: further files. Without them splits are drawn.

    Raises:
        InputError: there are no pairs, or lines without a tab, which are reported together.
    """
    suffixes = (".tsv", ".txt")
    files = files_by_split(Path(path), suffixes=suffixes, validation_path=validation_path, test_path=test_path)
    rows = rows_by_split(files, lambda file: _pairs_of_lines(file, encoding))
    return assemble_pairs(Path(path), rows, has_groups=False, exclude=exclude, common=common)


def _pairs_of_lines(file: Path, encoding: str) -> list[TextRow]:
    rows, errors = [], []
    for line, content in enumerate(read_content(file, "file of pairs", encoding).split("\n"), start=1):
        content = content.rstrip("\r")
        if not content.strip(" "):
            continue
        source, tab, rest = content.partition("\t")
        if not tab:
            errors.append((line, f"there must be a tab between source and target. Received '{source[:50]}'."))
        rows.append(TextRow(line, f"{file.name}:{line}", source.strip(), rest.partition("\t")[0].strip(), "train"))
    refuse_errors(file, errors)
    return rows


def read_pairs_csv(
    *,
    path: str | Path,
    source: str,
    target: str,
    split: str | None,
    group: str | None,
    encoding: str,
    validation_path: str | Path | None = None,
    test_path: str | Path | None = None,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The pairs of a table, CSV or, where the file's name ends in .tsv, tab-separated without quotes.

    Args:
        path: the table, or a folder with one for each split.
        validation_path, test_path: further tables. Without them, and without a column split, splits are drawn.
        source, target, split, group: names of columns.
        columns: the names of all columns of tables without a header.

    Raises:
        InputError: the table is not as described; errors of rows are reported together.
    """
    table = Path(path)
    roles = role_columns(text=source, label=target, split=split, group=group)
    files = files_by_split(table, suffixes=SUFFIXES, validation_path=validation_path, test_path=test_path)
    rows = rows_by_split(
        files, lambda file: read_text_rows(file, roles, optional=("text", "label"), encoding=encoding, names=columns)
    )
    return assemble_pairs(table, rows, has_groups=group is not None, exclude=exclude, common=common)


def assemble_pairs(
    source: Path, rows: Sequence[TextRow], *, has_groups: bool, exclude: Sequence[str] = (), common: SplitKeys
) -> SequenceDataset:
    """The data set of pairs, each row's label being the target; pairs with an empty text are left out.

    Raises:
        InputError: there is no pair to train on, a group is in two splits, or the splits cannot be drawn.
    """
    rows = [replace(row, text=plain_spaces(row.text), label=plain_spaces(row.label)) for row in rows]
    empty = [
        LeftOut(row.name, "an empty text" if not row.text else "an empty target")
        for row in rows
        if not (row.text and row.label)
    ]

    def complete(listing: Listing, part: Sequence[TextRow]) -> Listing:
        texts, answers = Items(tuple(row.text for row in part)), Items(tuple(row.label for row in part))
        return replace(listing, annotations={"texts": texts, "answers": answers})

    classes, listings = list_rows(
        [row for row in rows if row.text and row.label],
        source=str(source),
        rule="there must be pairs to train on.",
        has_groups=has_groups,
        complete=complete,
        has_classes=False,
    )
    return assemble_sequences(
        listings, classes, source=str(source), left_out=empty, warnings=(), exclude=exclude, common=common
    )
