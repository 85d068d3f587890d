"""Pairs of texts, what is given and what is wanted: from tables, or sums that are made; and their batches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import numpy as np

from dlcli.data.listing import Listing, SplitKeys
from dlcli.data.sequences.dataset import SequenceDataset, assemble_sequences
from dlcli.data.splits import SPLITS, LeftOut
from dlcli.data.table import check_groups, read_cells, refuse_errors
from dlcli.data.text.files import read_content
from dlcli.data.text.labeled import TextRow
from dlcli.errors import InputError

SALT = 7919  # keeps what is drawn for the decoder's own tokens apart from the order of the samples


def read_pairs_tsv(*, path: str | Path, encoding: str, **common: Unpack[SplitKeys]) -> SequenceDataset:
    """A file with a pair on each line: what is given, a tab, what is wanted; further columns are passed over.

    Raises:
        InputError: it has no pairs, or lines without a tab, which are reported together.
    """
    file = Path(path)
    rows, errors = [], []
    for line, content in enumerate(read_content(file, "file of pairs", encoding).split("\n"), start=1):
        content = content.rstrip("\r")
        if not content.strip(" "):
            continue
        given, tab, rest = content.partition("\t")
        if not tab:
            errors.append(
                (line, f"there must be a tab between what is given and what is wanted. Received '{given[:50]}'.")
            )
        rows.append(TextRow(line, f"{file.name}:{line}", given.strip(), rest.partition("\t")[0].strip(), "train"))
    refuse_errors(file, errors)
    return assemble_pairs(file, rows, has_groups=False, common=common)


def read_pairs_csv(
    *,
    path: str | Path,
    source: str,
    target: str,
    split: str | None,
    group: str | None,
    encoding: str,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The pairs of a table, CSV or, where the file's name ends in .tsv, tab-separated without quotes.

    Args:
        source, target, split, group: names of columns.

    Raises:
        InputError: the table is not as described; errors of rows are reported together.
    """
    table = Path(path)
    roles = {"source": source, "target": target, "split": split, "group": group}
    columns = {role: name for role, name in roles.items() if name is not None}
    required = [role for role in columns if role not in ("source", "target")]
    records, errors = read_cells(table, read_content(table, "table", encoding), columns, required=required)
    refuse_errors(table, errors)
    rows = [
        TextRow(line, f"{table.name}:{line}", cells["source"], cells["target"], own_split, cells.get("group", ""))
        for line, own_split, cells in records
    ]
    return assemble_pairs(table, rows, has_groups=group is not None, common=common)


def assemble_pairs(source: Path, rows: Sequence[TextRow], *, has_groups: bool, common: SplitKeys) -> SequenceDataset:
    empty = [
        LeftOut(row.name, "an empty text" if not row.text else "nothing to give for it")
        for row in rows
        if not (row.text and row.label)
    ]
    rows = [row for row in rows if row.text and row.label]
    by_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
    by_split = {split: part for split, part in by_split.items() if part}
    if "train" not in by_split:
        raise InputError(f"{source}: there must be pairs to train on. Received none.")
    if has_groups and len(by_split) > 1:
        check_groups(source, rows)
    listings = {
        split: Listing(
            names=tuple(row.name for row in part),
            labels=np.zeros(len(part), np.int32),
            groups=tuple(row.group for row in part) if has_groups else None,
            texts=tuple(row.text for row in part),
            answers=tuple(row.label for row in part),
        )
        for split, part in by_split.items()
    }
    return assemble_sequences(listings, ("",), source=str(source), left_out=empty, warnings=(), common=common)
