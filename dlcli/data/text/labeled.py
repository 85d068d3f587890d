"""Texts with a class each: in a table, in JSON lines, in a file for each class, or in a folder for each class."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from dlcli.data.files import list_folder, name_below, printable
from dlcli.data.listing import NO_ALIASES, Listing, SplitKeys, index_labels, name_some
from dlcli.data.sequences.dataset import SequenceDataset, assemble_sequences
from dlcli.data.split_folders import SPLIT_OF, find_splits
from dlcli.data.splits import SPLITS, LeftOut
from dlcli.data.table import check_groups, read_cells, refuse_errors
from dlcli.data.text.files import read_content, split_lines
from dlcli.errors import InputError


@dataclass(frozen=True)
class TextRow:
    """A text and what is known of it."""

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
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The texts of a table (CSV, or tab-separated without quotes where the file's name ends in .tsv).

    Args:
        text, label, split, group: names of columns.
        classes: those of a trained model, where its labels are to be used. Default: those of train, sorted.
        aliases: other names of these.

    Raises:
        InputError: the table is not as described; errors of rows are reported together.
    """
    table = Path(path)
    content = read_content(table, "table", encoding)
    roles = {"text": text, "label": label, "split": split, "group": group}
    columns = {role: name for role, name in roles.items() if name is not None}
    records, errors = read_cells(table, content, columns, required=[role for role in columns if role != "text"])
    refuse_errors(table, errors)
    rows = [
        TextRow(line, f"{table.name}:{line}", cells["text"], cells["label"], own_split, cells.get("group", ""))
        for line, own_split, cells in records
    ]
    return _assemble(table, rows, has_groups=group is not None, classes=classes, aliases=aliases, common=common)


def read_text_jsonl(
    *,
    path: str | Path,
    text: str,
    label: str,
    split: str | None,
    group: str | None,
    encoding: str,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The texts of a file with a JSON object on each line; arguments and errors are those of :func:`read_text_csv`."""
    file = Path(path)
    rows: list[TextRow] = []
    errors: list[tuple[int, str]] = []
    for line, content in enumerate(read_content(file, "file of JSON lines", encoding).split("\n"), start=1):
        if not content.strip():
            continue
        try:
            values = _object(content)
            own_split = "train" if split is None else _split(values, split)
            rows.append(
                TextRow(
                    line,
                    f"{file.name}:{line}",
                    _value(values, text, str),
                    str(_value(values, label, str | int)),
                    own_split,
                    "" if group is None else str(_value(values, group, str | int)),
                )
            )
        except _BadLine as reason:
            errors.append((line, str(reason)))
    refuse_errors(file, errors)
    return _assemble(file, rows, has_groups=group is not None, classes=classes, aliases=aliases, common=common)


class _BadLine(Exception):
    """A line that is not as it must be; the message is the reason."""


def _object(content: str) -> dict[str, Any]:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "too deep or too long"
        raise _BadLine(f"this is no JSON ({reason}).") from None
    if not isinstance(values, dict):
        raise _BadLine('a line must be a JSON object, such as {"text": …, "label": …}.')
    return values


def _split(values: dict[str, Any], key: str) -> str:
    found = SPLIT_OF.get(_value(values, key, str).lower())
    if found is None:
        raise _BadLine(f"'{key}' must be train, validation (or val) or test. Received '{values[key]}'.")
    return found


def _value(values: dict[str, Any], key: str, kind: Any) -> Any:
    if key not in values:
        raise _BadLine(f"there must be '{key}'. Received {name_some([printable(name) for name in values]) or 'none'}.")
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, kind) or (value == "" and kind is not str):
        words = "text" if kind is str else "text or a whole number"
        raise _BadLine(f"'{key}' must be {words}. Received {json.dumps(value)[:50]}.")
    return value


def read_text_lines(
    *,
    path: str | Path,
    encoding: str,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    least: int = 2,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """A folder with a file for each class, called like it, and a text on each line; or such folders train, test ….

    A class is called like its file without the suffix; with it, where two would otherwise have one name. There must be
    at ``least`` so many.

    Raises:
        InputError: there are no such files, or they are not in the encoding.
    """
    root = Path(path)
    splits, left_out, warnings = find_splits(root)
    rows: list[TextRow] = []
    for split, folder in splits.items():
        files, hidden = _text_files(folder, root)
        left_out += hidden
        stems = [file.stem for file in files]
        for file in files:
            label = printable(file.stem if stems.count(file.stem) == 1 else file.name)
            texts = read_content(file, "file of texts", encoding).replace("\r\n", "\n").replace("\r", "\n")
            if not texts.strip():
                left_out.append(LeftOut(name_below(root, file), "no text in it"))
            for line, text in enumerate(texts.split("\n"), start=1):
                rows.append(TextRow(line, f"{name_below(root, file)}:{line}", text.strip(), label, split))
    rows = [row for row in rows if row.text]  # empty lines are none of the texts
    if not rows:
        raise InputError(f"{root}: there must be a file for each class with a text on each line. Received none.")
    return _assemble(
        root,
        rows,
        has_groups=False,
        classes=classes,
        aliases=aliases,
        least=least,
        left_out=left_out,
        warnings=warnings,
        common=common,
    )


def read_line_file(*, path: str | Path, encoding: str, **common: Unpack[SplitKeys]) -> SequenceDataset:
    """A file with a text on each line, all of one class without a name.

    Raises:
        InputError: it has no text, or is not in the encoding.
    """
    file = Path(path)
    lines = enumerate(read_content(file, "file of texts", encoding).split("\n"), start=1)
    rows = [TextRow(line, f"{file.name}:{line}", text.strip(), "", "train") for line, text in lines if text.strip()]
    if not rows:
        raise InputError(f"{file}: there must be a text on each line. Received none.")
    return _assemble(file, rows, has_groups=False, classes=None, aliases=NO_ALIASES, least=1, common=common)


def read_text_files(
    *,
    path: str | Path,
    encoding: str,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """A folder for each class with a file for each text, directly under the root or under train, test ….

    Raises:
        InputError: there are no such folders, or files are not in the encoding.
    """
    root = Path(path)
    splits, left_out, warnings = find_splits(root)
    rows: list[TextRow] = []
    for split, folder in splits.items():
        folders, loose = list_folder(folder)
        left_out += [LeftOut(name_below(root, file), "outside the class folders") for file in loose]
        for own in folders:
            if own.name.startswith("."):
                left_out.append(LeftOut(name_below(root, own), "hidden"))
                continue
            files, hidden = _text_files(own, root)
            left_out += hidden
            if not files:
                left_out.append(LeftOut(name_below(root, own), "a folder without texts"))
            label = printable(own.name)
            for file in files:
                rows.append(
                    TextRow(1, name_below(root, file), read_content(file, "text", encoding).strip(), label, split)
                )
    if not rows:
        raise InputError(f"{root}: there must be a folder for each class with texts in it. Received none.")
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


def read_unlabeled(path: Path, *, column: str, encoding: str) -> tuple[list[str], list[str]]:
    """Texts to predict, and what each is called: the rows of a table (.csv, .tsv, .jsonl), or the lines of a file.

    Raises:
        InputError: the file cannot be read, or has no such column.
    """
    content = read_content(path, "file of texts", encoding)
    if path.suffix in (".csv", ".tsv"):
        records, errors = read_cells(path, content, {"text": column}, required=())
        refuse_errors(path, errors)
        return [f"{path}:{line}" for line, _, _ in records], [cells["text"] for _, _, cells in records]
    lines = split_lines(content)
    if path.suffix not in (".jsonl", ".ndjson"):
        names = [f"{path}:{line}" for line in range(1, len(lines) + 1)]
        return names, lines
    names, texts, wrong = [], [], []
    for line, text in enumerate(lines, start=1):
        try:
            if text.strip():
                texts.append(_value(_object(text), column, str))
                names.append(f"{path}:{line}")
        except _BadLine as reason:
            wrong.append((line, str(reason)))
    refuse_errors(path, wrong)
    return names, texts


def _text_files(folder: Path, root: Path) -> tuple[list[Path], list[LeftOut]]:
    """The files directly in a folder, and what else is there."""
    folders, files = list_folder(folder)
    left_out = [LeftOut(name_below(root, path), "a folder, where files of texts are looked for") for path in folders]
    left_out += [LeftOut(name_below(root, path), "hidden") for path in files if path.name.startswith(".")]
    return [path for path in files if not path.name.startswith(".")], left_out


def _assemble(
    source: Path,
    rows: Sequence[TextRow],
    *,
    has_groups: bool,
    classes: tuple[str, ...] | None,
    aliases: Mapping[str, str],
    common: SplitKeys,
    least: int = 2,
    left_out: Sequence[LeftOut] = (),
    warnings: Sequence[str] = (),
) -> SequenceDataset:
    empty = [LeftOut(row.name, "an empty text") for row in rows if not row.text]
    rows = [row for row in rows if row.text]
    by_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
    by_split = {split: part for split, part in by_split.items() if part}
    if "train" not in by_split:
        raise InputError(f"{source}: there must be texts to train on. Received none.")
    if has_groups and len(by_split) > 1:
        check_groups(source, rows)
    known, labels = index_labels(
        {split: [row.label for row in part] for split, part in by_split.items()},
        tuple(sorted({row.label for row in by_split["train"]})),
        source=str(source),
        trained=classes,
        aliases=aliases,
        least=least,
    )
    listings = {
        split: Listing(
            names=tuple(row.name for row in part),
            labels=labels[split],
            groups=tuple(row.group for row in part) if has_groups else None,
            texts=tuple(row.text for row in part),
        )
        for split, part in by_split.items()
    }
    return assemble_sequences(
        listings, known, source=str(source), left_out=[*left_out, *empty], warnings=warnings, common=common
    )
