"""Labeled texts: in a table, in JSON lines, in a file for each class, or in a folder for each class."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from dlcli.data.annotations import Items
from dlcli.data.files import list_folder, name_below, printable
from dlcli.data.junk import is_document, is_junk, reason_of_junk
from dlcli.data.listing import (
    NO_ALIASES,
    Listing,
    SplitKeys,
    excluded,
    list_rows,
    refuse_all_excluded,
    warn_of_unmatched,
    without_excluded,
)
from dlcli.data.sequences.dataset import SequenceDataset, assemble_sequences
from dlcli.data.split_folders import Folders, files_by_split, find_splits, refuse_split_names, rows_by_split
from dlcli.data.splits import DataWarning, LeftOut
from dlcli.data.table import SUFFIXES, read_cells, refuse_errors, role_columns
from dlcli.data.text.files import plain_spaces, read_content, split_lines
from dlcli.data.text.json_lines import JSON_LINES, read_json_lines, split_of, value_of
from dlcli.errors import InputError
from dlcli.files import suffix_of

EXAMPLE = '{"text": …, "label": …}'


@dataclass(frozen=True)
class TextRow:
    """A text with its label: a class, or the target text of a pair."""

    line: int
    name: str
    text: str
    label: str
    split: str
    group: str = ""


def read_text_csv(
    *,
    path: str | Path,
    text: str,
    label: str,
    split: str | None,
    group: str | None,
    encoding: str,
    validation_path: str | Path | None = None,
    test_path: str | Path | None = None,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The texts of a table (CSV, or tab-separated without quotes where the file's name ends in .tsv).

    Args:
        path: the table, or a folder with one for each split.
        validation_path, test_path: further tables. Without them, and without a column split, splits are drawn.
        text, label, split, group: names of columns.
        columns: the names of all columns of tables without a header.
        exclude: patterns of the names of rows to leave out, such as ``reviews.csv:12``.
        classes: those of a trained model, to use its labels. Default: those of train, sorted.
        aliases: other names of these.

    Raises:
        InputError: the table is not as described; errors of rows are reported together.
    """
    table = Path(path)
    roles = role_columns(text=text, label=label, split=split, group=group)
    files = files_by_split(table, suffixes=SUFFIXES, validation_path=validation_path, test_path=test_path)
    rows = rows_by_split(
        files, lambda file: read_text_rows(file, roles, optional=("text",), encoding=encoding, names=columns)
    )
    return _assemble(
        table,
        rows,
        has_groups=group is not None,
        exclude=exclude,
        classes=classes,
        aliases=aliases,
        common=common,
    )


def read_text_rows(
    table: Path,
    columns: Mapping[str, str],
    *,
    optional: Sequence[str],
    encoding: str,
    names: Sequence[str] | None = None,
) -> list[TextRow]:
    """The rows of a table of texts.

    Args:
        columns: names of the columns by the roles text, label, split and group; the last two may be absent.
        optional: roles whose cells may be empty.
        names: of all columns of a table without a header.

    Raises:
        InputError: the table is not as described; errors of rows are reported together.
    """
    content = read_content(table, "table", encoding)
    required = [role for role in columns if role not in optional]
    records, errors = read_cells(table, content, columns, required=required, names=names)
    refuse_errors(table, errors)
    return [
        TextRow(line, f"{table.name}:{line}", cells["text"], cells["label"], own_split, cells.get("group", ""))
        for line, own_split, cells in records
    ]


def read_text_jsonl(
    *,
    path: str | Path,
    text: str,
    label: str,
    split: str | None,
    group: str | None,
    encoding: str,
    validation_path: str | Path | None = None,
    test_path: str | Path | None = None,
    exclude: Sequence[str] = (),
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The texts of a file with a JSON object on each line; arguments and errors are those of :func:`read_text_csv`."""
    files = files_by_split(Path(path), suffixes=JSON_LINES, validation_path=validation_path, test_path=test_path)
    rows = rows_by_split(
        files, lambda file: _json_rows(file, text=text, label=label, split=split, group=group, encoding=encoding)
    )
    return _assemble(
        Path(path),
        rows,
        has_groups=group is not None,
        exclude=exclude,
        classes=classes,
        aliases=aliases,
        common=common,
    )


def _json_rows(
    file: Path, *, text: str, label: str, split: str | None, group: str | None, encoding: str
) -> list[TextRow]:
    def row(line: int, values: dict[str, Any]) -> TextRow:
        own_split = "train" if split is None else split_of(values, split)
        return TextRow(
            line,
            f"{file.name}:{line}",
            value_of(values, text, str),
            str(value_of(values, label, str | int)),
            own_split,
            "" if group is None else str(value_of(values, group, str | int)),
        )

    return read_json_lines(file, encoding, EXAMPLE, row)


def read_text_lines(
    *,
    path: str | Path,
    encoding: str,
    exclude: Sequence[str] = (),
    folders: Folders = "auto",
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    least: int = 2,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """A folder with a file for each class and a text on each line; or such folders for each split.

    A class is named after its file without the suffix, or with it if two classes would otherwise have the same name.

    Args:
        exclude: patterns of the names of files to leave out.
        folders: ``classes`` if no file or folder is a split, whatever its name.
        least: the smallest number of classes allowed.

    Raises:
        InputError: there are no such files, a class has the name of a split, or files are not in the encoding.
    """
    root = Path(path)
    known = {*(classes or ()), *aliases}
    splits, left_out, warnings = find_splits(root, folders=folders, classes=known)
    rows: list[TextRow] = []
    for split, folder in splits.items():
        left_out += text_files(folder, root, exclude=exclude, has_documents=True)[1]
        for file, label in files_of_classes(folder, root, exclude=exclude, folders=folders, classes=known):
            texts = read_content(file, "file of texts", encoding).replace("\r\n", "\n").replace("\r", "\n")
            if not texts.strip():
                left_out.append(LeftOut(name_below(root, file), "no text"))
            for line, text in enumerate(texts.split("\n"), start=1):
                rows.append(TextRow(line, f"{name_below(root, file)}:{line}", text.strip(), label, split))
    rows = [row for row in rows if row.text]  # empty lines are not texts
    if not rows:
        raise InputError(f"{root}: there must be a file for each class with a text on each line. Received none.")
    return _assemble(
        root,
        rows,
        has_groups=False,
        classes=classes,
        aliases=aliases,
        least=least,
        exclude=exclude,
        left_out=left_out,
        warnings=warnings,
        common=common,
    )


def read_line_file(
    *,
    path: str | Path,
    encoding: str,
    validation_path: str | Path | None = None,
    test_path: str | Path | None = None,
    exclude: Sequence[str] = (),
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """A file with a text on each line, all of one unnamed class; and further ones for validation and test, if any.

    Raises:
        InputError: it has no text, or is not in the encoding.
    """

    def rows_of(file: Path) -> list[TextRow]:
        lines = enumerate(read_content(file, "file of texts", encoding).split("\n"), start=1)
        return [TextRow(line, f"{file.name}:{line}", text.strip(), "", "train") for line, text in lines if text.strip()]

    file = Path(path)
    rows = rows_by_split(files_by_split(file, validation_path=validation_path, test_path=test_path), rows_of)
    if not rows:
        raise InputError(f"{file}: there must be a text on each line. Received none.")
    return _assemble(
        file, rows, has_groups=False, exclude=exclude, classes=None, aliases=NO_ALIASES, least=1, common=common
    )


def read_text_files(
    *,
    path: str | Path,
    encoding: str,
    exclude: Sequence[str] = (),
    folders: Folders = "auto",
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """A folder for each class with a file for each text, directly in the root or in a folder for each split.

    Args:
        exclude: patterns of the names of files to leave out.
        folders: ``classes`` if no folder is a split, whatever its name.

    Raises:
        InputError: there are no such folders, or files are not in the encoding.
    """
    root = Path(path)
    splits, left_out, warnings = find_splits(root, folders=folders, classes={*(classes or ()), *aliases})
    rows: list[TextRow] = []
    for split, folder in splits.items():
        below, loose = list_folder(folder)
        left_out += [LeftOut(name_below(root, file), "outside the class folders") for file in loose]
        for own in below:
            if is_junk(own.name):
                left_out.append(LeftOut(name_below(root, own), reason_of_junk(own.name)))
                continue
            files, others = text_files(own, root, exclude=exclude)
            left_out += others
            if not files:
                left_out.append(LeftOut(name_below(root, own), "a folder without texts"))
            label = printable(own.name)
            for file in files:
                rows.append(
                    TextRow(1, name_below(root, file), read_content(file, "text", encoding).strip(), label, split)
                )
    if not rows:
        raise InputError(f"{root}: there must be a folder of texts for each class. Received none.")
    return _assemble(
        root,
        rows,
        has_groups=False,
        classes=classes,
        aliases=aliases,
        left_out=left_out,
        warnings=warnings,
        common=common,
    )


def read_unlabeled(
    path: Path, *, column: str, encoding: str, columns: Sequence[str] | None = None
) -> tuple[list[str], list[str]]:
    """The names and texts to predict: the rows of a table (.csv, .tsv, .jsonl), or the lines of a file.

    Args:
        column: of the texts.
        columns: the names of all columns of tables without a header.

    Raises:
        InputError: the file cannot be read, or has no such column.
    """
    if suffix_of(path) in JSON_LINES:
        found = read_json_lines(
            path, encoding, EXAMPLE, lambda line, values: (f"{path}:{line}", value_of(values, column, str))
        )
        return [name for name, _ in found], [text for _, text in found]
    content = read_content(path, "file of texts", encoding)
    if suffix_of(path) in SUFFIXES:
        records, errors = read_cells(path, content, {"text": column}, required=(), names=columns)
        refuse_errors(path, errors)
        return [f"{path}:{line}" for line, _, _ in records], [cells["text"] for _, _, cells in records]
    lines = split_lines(content)
    return [f"{path}:{line}" for line in range(1, len(lines) + 1)], lines


def files_of_classes(
    folder: Path,
    root: Path,
    *,
    exclude: Sequence[str] = (),
    folders: Folders = "auto",
    classes: Collection[str] = (),
) -> list[tuple[Path, str]]:
    """The file of each class in the folder of a split, with the name of the class, as for :func:`read_text_lines`.

    Args:
        classes: those of a trained model.

    Raises:
        InputError: the folder is the root, and a class has the name of a split.
    """
    files, _ = text_files(folder, root, exclude=exclude, has_documents=True)
    stems = [file.stem for file in files]
    if folders == "auto" and folder == root:
        refuse_split_names(root, stems, classes=classes)
    return [(file, printable(file.stem if stems.count(file.stem) == 1 else file.name)) for file in files]


def text_files(
    folder: Path, root: Path, *, exclude: Sequence[str] = (), has_documents: bool = False
) -> tuple[list[Path], list[LeftOut]]:
    """The files directly in a folder, and what is left out.

    Args:
        exclude: patterns of the names of files to leave out.
        has_documents: whether a README, a license and the like may be among the files.
    """
    folders, files = list_folder(folder)
    left_out = [LeftOut(name_below(root, path), "a folder among the files of texts") for path in folders]
    found = []
    for path in files:
        item = excluded(name_below(root, path), exclude)
        if is_junk(path.name):
            item = LeftOut(name_below(root, path), reason_of_junk(path.name))
        elif has_documents and is_document(path.name):
            item = LeftOut(name_below(root, path), "a document beside the data")
        if item is None:
            found.append(path)
        else:
            left_out.append(item)
    return found, left_out


def _assemble(
    source: Path,
    rows: Sequence[TextRow],
    *,
    has_groups: bool,
    classes: tuple[str, ...] | None,
    aliases: Mapping[str, str],
    common: SplitKeys,
    least: int = 2,
    exclude: Sequence[str] = (),
    left_out: Sequence[LeftOut] = (),
    warnings: Sequence[DataWarning] = (),
) -> SequenceDataset:
    refuse_all_excluded(left_out, source=str(source), is_left=any(row.split == "train" for row in rows))
    rows, excluded = without_excluded(rows, exclude, source=str(source))
    rows = [replace(row, text=plain_spaces(row.text)) for row in rows]
    left_out = [*left_out, *excluded]
    empty = [LeftOut(row.name, "an empty text") for row in rows if not row.text]

    def complete(listing: Listing, part: Sequence[TextRow]) -> Listing:
        return replace(listing, annotations={"texts": Items(tuple(row.text for row in part))})

    known, listings = list_rows(
        [row for row in rows if row.text],
        source=str(source),
        rule="there must be texts to train on.",
        has_groups=has_groups,
        complete=complete,
        trained=classes,
        aliases=aliases,
        least=least,
    )
    return assemble_sequences(
        listings,
        known,
        source=str(source),
        left_out=[*left_out, *empty],
        warnings=[*warnings, *warn_of_unmatched(exclude, left_out)],
        common=common,
    )
