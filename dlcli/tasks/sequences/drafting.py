"""Drafts a recipe for texts and series that it looks at: a folder of texts, a table, a tagged or a plain text."""

import csv
import io
import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from statistics import median

from dlcli.errors import InputError
from dlcli.recipe.language.errors import shortened
from dlcli.tasks.drafting import (
    HEADING,
    LABEL,
    Line,
    columns_of_splits,
    in_classes,
    line,
    named,
    own_splits,
    section,
    shares,
)

MAX_BYTES = 2**26  # of a file that is looked at
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
TEXT = ("text", "review", "sentence", "comment", "message", "content", "body", "tweet", "title")
TIME = ("date", "time", "datetime", "timestamp", "year", "month", "day", "hour", "minute", "second", "ds")
SEQUENCE = ("sequence", "sequence_id", "series", "series_id", "sample")
SOURCE, TARGET = ("source", "src", "input", "question"), ("target", "tgt", "output", "answer", "translation")

MISSING = ("", "NA", "NaN", "nan", "?", "null")  # cells that hold no value

Part = tuple[str, list[Line]]
"""A section of a recipe: its name and its lines."""

RECURRENT: Part = ("model", [("kind", "recurrent", "recurrent layers"), ("cell", "lstm", "or gru, or simple")])


def draft_sequences(data: Path, path: str) -> tuple[tuple[str, ...], str] | None:
    """What is seen, a line each, and the recipe's text; None where these are no texts or series that it knows.

    Args:
        path: of the data, as the recipe is to name it.

    Raises:
        OSError: the data cannot be read.
        InputError: a file has no text, or a table no rows below its header.
    """
    if data.is_dir():
        return _of_folder(data, path)
    match data.suffix.lower():
        case ".conllu":
            sentences = _text(data).count("\n1\t") + _text(data).startswith("1\t")
            source = [("kind", "conllu", "words and their tags in columns"), _path(path)]
            return (f"about {sentences:,} sentences",), _recipe("tagging", "a tag for each word", source, _both_ways())
        case ".ts":
            source = [("kind", "ts", "the archives of UCR and UEA"), _path(path)]
            return (), _recipe("sequence_classification", "a class for each sequence", source, _both_ways())
        case ".txt":
            text = _text(data)
            if not text.strip():
                raise InputError(f"{data}: there must be text. The file has none.")
            if _is_pairs(text):
                return _of_pairs(text, path)
            source = [("kind", "text", "one long text, divided by place"), _path(path)]
            seen = (f"{len(text):,} characters, {len(set(text)):,} different ones",)
            return seen, _recipe(
                "language_model", "what follows in a text", source, _language(), _characters(), own=None
            )
        case ".jsonl" | ".ndjson":
            source = [("kind", "jsonl", "a JSON object on each line"), _path(path)]
            return (), _recipe("text_classification", "a class for each text", source, _both_ways())
        case ".csv" | ".tsv":
            return _of_table(data, path)
    return None


def _of_folder(folder: Path, path: str) -> tuple[tuple[str, ...], str] | None:
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    files = [entry for entry in entries if entry.is_file()]
    if files and all(map(_is_text, files)):
        if len(files) == 1:
            raise InputError(
                f"{folder}: must have a file for each of two classes. Received {shortened(files[0].name)} alone: for "
                "a language model of its lines write task: language_model and data.kind: lines; for one of a long "
                "text, draft for the file itself."
            )
        texts = {file.stem: [row for row in _text(file).splitlines() if row.strip()] for file in files}
        source = [("kind", "lines", "a file for each class, a text on each line"), _path(path)]
        unit = _unit_of(itertools.chain.from_iterable(texts.values()))
        return _of_texts(Counter({name: len(rows) for name, rows in texts.items()}), source, unit)
    inside = {
        entry.name: [file for file in entry.iterdir() if file.is_file() and not file.name.startswith(".")]
        for entry in entries
        if entry.is_dir()
    }
    inside = {name: found for name, found in inside.items() if found}
    if inside and all(_is_text(found[0]) for found in inside.values()):
        if len(inside) == 1:
            (only,) = inside
            raise InputError(
                f"{folder}: must have a folder of texts for each of two classes. Received {shortened(only)} alone."
            )
        counts = Counter({name: len(found) for name, found in inside.items()})
        source = [("kind", "files", "a folder for each class, a file for each text"), _path(path)]
        return _of_texts(counts, source, [])
    return None


def _of_texts(
    counts: Counter[str], source: list[Line], unit: list[Part], own: Collection[str] = ()
) -> tuple[tuple[str, ...], str]:
    recipe = _recipe("text_classification", "a class for each text", source, *unit, _both_ways(), own=own)
    return (in_classes(counts, "texts"),), recipe


def _unit_of(texts: Iterable[str]) -> list[Part]:
    """The ``text`` section: characters tell texts of a word or two apart; of others no key is needed."""
    numbers = [len(text.split()) for text in texts]
    if not numbers or median(numbers) > 2:
        return []
    return [("text", [("unit", "characters", "the texts have hardly more than a word")])]


def _of_table(table: Path, path: str) -> tuple[tuple[str, ...], str] | None:
    text = _text(table)
    is_tsv = table.suffix.lower() == ".tsv"
    header = text.partition("\n")[0]
    delimiter = "\t" if is_tsv else max(",;\t", key=header.count)
    csv.field_size_limit(MAX_BYTES)
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"{table}: not a readable CSV file: {error}. Correct its quotes and line ends.") from None
    names = [name for name in (rows[0] if rows else {}) if name]
    by_split = columns_of_splits(names)
    label, words = named(names, LABEL), named(names, TEXT)
    if words and label and words != label:
        counts = Counter(row[label] or "" for row in rows)
        source = [
            ("kind", "csv", "a row for each text"),
            _path(path),
            ("text", words, "the column with the text"),
            ("label", label, "the column with its class"),
            *by_split,
        ]
        return _of_texts(counts, source, _unit_of(row[words] or "" for row in rows), own_splits(table, rows))
    given, wanted = named(names, SOURCE), named(names, TARGET)
    if given and wanted:
        source = [
            ("kind", "csv", "a row for each pair"),
            _path(path),
            ("source", given, "the column with what is given"),
            ("target", wanted, "the column with what is wanted"),
            *by_split,
        ]
        recipe = _recipe("sequence_to_sequence", "a text for each text", source, _pairs(), own=own_splits(table, rows))
        return (f"{len(rows):,} pairs",), recipe
    if is_tsv and _is_pairs(text):
        return _of_pairs(text, path)
    sequence = named(names, SEQUENCE)
    if sequence and label:
        is_number = all(_is_number(row[label]) for row in rows) and len({row[label] for row in rows}) > 20
        task = "sequence_regression" if is_number else "sequence_classification"
        goal = "a number for each sequence" if is_number else "a class for each sequence"
        source = [
            ("kind", "csv", "a row for each step of each sequence"),
            _path(path),
            ("sequence", sequence, "the column that says which sequence a row is of"),
            ("target" if is_number else "label", label, f"the column with {goal}"),
            *by_split,
        ]
        recipe = _recipe(task, goal, source, _both_ways(), own=own_splits(table, rows))
        return (f"{len({row[sequence] for row in rows}):,} sequences",), recipe
    times = [name for name in names if name.strip().lower() in TIME]
    numbers = [
        name
        for name in names
        if name not in times
        and all(_is_number(row[name]) for row in rows)
        and not _counts_rows(row[name] for row in rows)
    ]
    if times and numbers:
        source = [
            ("kind", "csv", "a row for each step of time"),
            _path(path),
            ("time", tuple(times[:1] if times[0].lower() == "date" else times), "the columns that say when, in order"),
            ("target", numbers[0], "the column to forecast"),
            ("features", tuple(numbers[1:]), "columns whose past the forecast may use"),
            ("on_missing", "keep", "what to do about cells without a value"),
        ]
        history = min(24, max(1, len(rows) // 6))
        window = (
            "window",
            [("history", history, "steps that a forecast sees"), ("horizon", 1, "steps that it forecasts")],
        )
        seen = (f"{len(rows):,} rows; numbers in {', '.join(map(shortened, numbers))}",)
        return seen, _recipe("forecasting", "the next steps of a series", source, RECURRENT, window, own=None)
    if not names:
        raise InputError(f"{table}: there must be a header and rows below it.{'' if text.strip() else ' It is empty.'}")
    return None


def _of_pairs(text: str, path: str) -> tuple[tuple[str, ...], str]:
    source = [("kind", "tsv", "a pair on each line, with a tab between"), _path(path)]
    number = sum(1 for line in text.splitlines() if line.strip())
    return (f"{number:,} pairs",), _recipe("sequence_to_sequence", "a text for each text", source, _pairs())


# What is there --------------------------------------------------------------------------------------------------------


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data:
        raise InputError(
            f"{file}: must be UTF-8 text. It may be UTF-16: save it as UTF-8, or say data.encoding by hand."
        )
    try:
        return data.decode("utf-8-sig", "strict" if len(data) < MAX_BYTES else "replace")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{file}:{line}: must be UTF-8 text. Received byte 0x{data[error.start]:02x}: save it as UTF-8, or write "
            "the recipe by hand with data.encoding."
        ) from None


def _is_text(file: Path) -> bool:
    if file.suffix.lower() in (*IMAGES, ".npz", ".zip", ".gz"):
        return False
    with file.open("rb") as opened:
        return b"\0" not in opened.read(4096)


def _is_pairs(text: str) -> bool:
    lines = [line for line in text.splitlines()[:1000] if line.strip()]
    return len(lines) > 1 and all("\t" in line for line in lines)


def _is_number(cell: str | None) -> bool:
    if cell is None or cell in MISSING:
        return cell is not None
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _counts_rows(cells: Iterable[str | None]) -> bool:
    """Whether a column of numbers says nothing but which row it is."""
    found = [float(cell) if cell not in MISSING else math.nan for cell in cells if cell is not None]
    return len(found) > 2 and all(later - earlier == 1 for earlier, later in itertools.pairwise(found))


# Writing --------------------------------------------------------------------------------------------------------------


def _path(path: str) -> Line:
    return ("path", path, "relative to this file")


def _both_ways() -> Part:
    name, lines = RECURRENT
    more = [("bidirectional", True, "reads from both ends"), ("dropout", 0.3, "proportion left out in training")]
    return name, [*lines, ("units", 64, "of each layer, in each direction"), *more]


def _language() -> Part:
    name, lines = RECURRENT
    more = [("stateful", True, "each window goes on where the one before ended")]
    return name, [*lines, ("units", 256, "of each layer"), ("dropout", 0.2, "proportion left out in training"), *more]


def _characters() -> Part:
    return "text", [
        ("unit", "characters", "or words"),
        ("max_length", 100, "characters that training sees at once"),
    ]


def _pairs() -> Part:
    return "model", [
        ("kind", "encoder_decoder", "recurrent layers that read, and others that answer"),
        ("units", 128, "of each layer"),
        ("attention", "bahdanau", "how the decoder looks back: or luong, or none"),
        ("dropout", 0.2, "proportion left out in training"),
    ]


def _recipe(task: str, goal: str, source: list[Line], *parts: Part, own: Collection[str] | None = ()) -> str:
    """The recipe's text; a comment follows each key.

    Args:
        own: the splits beside training that the data have; None where they are not drawn by proportions.
    """
    train: list[Line] = [
        ("epochs", 10, "passes over the training samples"),
        ("batch_size", 32, "samples for each update"),
        ("schedule", {"kind": "cosine"}, "of the learning rate, down to 0"),
        ("gradient_clipping", {"kind": "global_norm", "value": 1.0}, "a bound on the gradient"),
    ]
    lines = [
        HEADING,
        "",
        line("task", task, goal),
        *section("data", [*source, *([] if own is None else shares(own))]),
    ]
    for name, part in parts:
        lines += section(name, part)
    return "\n".join([*lines, *section("train", train)]) + "\n"
