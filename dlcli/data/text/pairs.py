"""Pairs of texts, a source and its target: from files and tables."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from dlcli.data.annotations import Items
from dlcli.data.listing import Listing, SplitKeys, list_rows
from dlcli.data.sequences.dataset import SequenceDataset, assemble_sequences
from dlcli.data.splits import LeftOut
from dlcli.data.table import refuse_errors, role_columns
from dlcli.data.text.files import read_content
from dlcli.data.text.labeled import TextRow, read_text_rows


def read_pairs_tsv(
    *, path: str | Path, encoding: str, exclude: Sequence[str] = (), **common: Unpack[SplitKeys]
) -> SequenceDataset:
    """A file with a pair on each line: the source, a tab, the target; further columns are ignored.

    Raises:
        InputError: it has no pairs, or lines without a tab, which are reported together.
    """
    file = Path(path)
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
    return assemble_pairs(file, rows, has_groups=False, exclude=exclude, common=common)


def read_pairs_csv(
    *,
    path: str | Path,
    source: str,
    target: str,
    split: str | None,
    group: str | None,
    encoding: str,
    exclude: Sequence[str] = (),
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The pairs of a table, CSV or, where the file's name ends in .tsv, tab-separated without quotes.

    Args:
        source, target, split, group: names of columns.

    Raises:
        InputError: the table is not as described; errors of rows are reported together.
    """
    table = Path(path)
    columns = role_columns(text=source, label=target, split=split, group=group)
    rows = read_text_rows(table, columns, optional=("text", "label"), encoding=encoding)
    return assemble_pairs(table, rows, has_groups=group is not None, exclude=exclude, common=common)


def assemble_pairs(
    source: Path, rows: Sequence[TextRow], *, has_groups: bool, exclude: Sequence[str] = (), common: SplitKeys
) -> SequenceDataset:
    """The data set of pairs, each row's label being the target; pairs with an empty text are left out.

    Raises:
        InputError: there is no pair to train on, a group is in two splits, or the splits cannot be drawn.
    """
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
