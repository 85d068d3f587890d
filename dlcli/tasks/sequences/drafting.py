"""Drafts a recipe for texts and series: for a folder of texts, a table, a tagged text or a plain text."""

import codecs
import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from dlcli.data.files import list_folder, printable
from dlcli.data.junk import is_junk
from dlcli.data.listing import index_labels, sort_names
from dlcli.data.series import tsf
from dlcli.data.series.times import AmbiguousDates, read_times
from dlcli.data.series.ts_archive import read_header
from dlcli.data.split_folders import find_splits
from dlcli.data.table import MISSING
from dlcli.data.text.labeled import files_of_classes, text_files
from dlcli.data.text.tagged_json import tag_keys
from dlcli.errors import InputError
from dlcli.files import read_start, suffix_of
from dlcli.recipe.language.errors import shortened
from dlcli.tasks.draft_table import DraftTable, read_table
from dlcli.tasks.draft_text import (
    HEADING,
    LABEL,
    Draft,
    Line,
    columns_of_splits,
    in_classes,
    line,
    named,
    own_splits,
    relative_path,
    section,
    shares,
)
from dlcli.tasks.layout import Layout
from dlcli.tasks.sequences.draft_texts import TEXT, TextTargets, json_table, text_targets
from dlcli.tasks.sequences.draft_times import date_columns, season_of, series_column

MAX_BYTES = 2**26  # of a file that are read
TIME = ("date", "time", "datetime", "timestamp", "year", "month", "day", "hour", "minute", "second", "ds")
SEQUENCE = ("sequence", "sequence_id", "series", "series_id", "sample")
SOURCE, TARGET = ("source", "src", "input", "question"), ("target", "tgt", "output", "answer", "translation")

NUM_LINES, MANY_NUMBERS = 5, 10  # lines by which word vectors are recognized, and numbers that each must have

Part = tuple[str, list[Line]]
"""A section of a recipe: its name and its lines."""

RECURRENT: Part = ("model", [("kind", "recurrent", "recurrent layers"), ("cell", "lstm", "lstm, gru or simple")])
SERIES: Part = ("model", [("kind", "inception_time", "convolutions of several lengths over the steps")])


def draft_sequences(layout: Layout, folder: Path) -> Draft | None:
    """Draft a recipe for texts or series.

    Args:
        layout: the folder or file, and what it is.
        folder: of the recipe, to which its paths are relative.

    Returns:
        None if the data are not texts or series.

    Raises:
        OSError: the data cannot be read.
        InputError: a file has no text, a table has no rows, or there is only one class.
    """
    path = relative_path(layout.path, folder)
    drafted: tuple[tuple[str, ...], str] | None = None
    if layout.kind in ("files", "lines"):
        drafted = _of_folder(layout, path)
    elif layout.kind == "file":
        others = [
            (f"{split}_path", relative_path(file, folder), f"the file of the {split} split")
            for split, file in layout.others.items()
        ]
        drafted = _of_file(layout.path, path, others)
    return None if drafted is None else Draft(*drafted)


def _of_file(data: Path, path: str, others: list[Line]) -> tuple[tuple[str, ...], str] | None:
    splits = {key.removesuffix("_path") for key, _, _ in others}
    match suffix_of(data):
        case ".conllu":
            sentences = _text(data).count("\n1\t") + _text(data).startswith("1\t")
            if not sentences:
                raise InputError(f"{data}: must contain sentences in CoNLL-U columns. Found none.")
            source = [("kind", "conllu", "words and their tags in columns"), _path(path), *others]
            return (f"about {sentences:,} sentences",), _recipe(
                "tagging", "a tag for each word", source, _bidirectional(), splits=splits
            )
        case ".ts":
            _refuse_empty(data)
            source = [("kind", "ts", "format of the UCR and UEA archives"), _path(path), *others]
            header = read_header(data, _text(data).split("\n"))
            task, goal = "sequence_classification", "a class for each sequence"
            if header.goal == "value":
                task, goal = "sequence_regression", "a number for each sequence"
            return (), _recipe(task, goal, source, SERIES, splits=splits)
        case ".tsf":
            _refuse_empty(data)
            return _of_tsf(data, path)
        case ".txt":
            _refuse_empty(data)
            text = _text(data)
            if _is_pairs(text):
                return _of_pairs(text, path, others)
            _refuse_vectors(data, text)
            kind = "one long text, whose splits follow each other" if not others else "a long text for each split"
            source = [("kind", "text", kind), _path(path), *others]
            seen = (f"{len(text):,} characters, {len(set(text)):,} distinct",)
            return seen, _recipe(
                "language_model", "predicts the next token of a text", source, _language(), _characters(), splits=None
            )
        case ".jsonl" | ".ndjson":
            _refuse_empty(data)
            source = [("kind", "jsonl", "a JSON object on each line"), _path(path)]
            if (keys := tag_keys(_text(data))) is not None:
                source += [
                    ("words", keys[0], "the key of the list of words"),
                    ("tags", keys[1], "the key of the list of tags"),
                ]
                return (), _recipe("tagging", "a tag for each word", source, _bidirectional())
            return _of_json(data, source)
        case ".csv" | ".tsv":
            return _of_table(data, path)
    return None


OF_SERIES: Line = ("normalize", "window", "each window by its own mean and deviation: series may differ in size")


def _of_tsf(data: Path, path: str) -> tuple[tuple[str, ...], str]:
    header = tsf.read_tsf_header(data, _text(data).split("\n"))
    source = [
        ("kind", "tsf", "format of the Monash archive"),
        _path(path),
        ("time", (tsf.TIME,), "of each step, from the start and the frequency"),
        ("target", tsf.VALUE, "the values of the series"),
        ("series", header.names[0], "the attribute that names a series"),
        ("on_missing", "keep", "keep rows with missing values, or error"),
    ]
    horizon = header.horizon or 1
    history = ("history", max(24, 2 * horizon), "past steps that a forecast uses")
    window = ("window", [history, ("horizon", horizon, "steps to forecast"), OF_SERIES])
    return (), _recipe("forecasting", "predicts the next steps of many series", source, RECURRENT, window, splits=None)


def _refuse_empty(data: Path) -> None:
    if not _text(data).strip():
        raise InputError(f"{data}: must contain text. The file is empty.")


def _refuse_vectors(data: Path, text: str) -> None:
    """Refuses a table of word vectors, which looks like a text.

    Raises:
        InputError: each of the first lines is a word and many numbers.
    """
    lines = [line.split(" ") for line in text.split("\n", NUM_LINES)[:NUM_LINES]]
    is_vector = [len(cells) > MANY_NUMBERS and all(map(_is_number, cells[1:])) for cells in lines]
    if len(lines) == NUM_LINES and all(is_vector[1:]):  # the first may count words and numbers
        raise InputError(f"{data}: must be text. Received word vectors: a word and its numbers on each line.")


def _of_folder(layout: Layout, path: str) -> tuple[tuple[str, ...], str]:
    """Draft for a file or a folder of texts for each class, directly or in a folder for each split.

    Raises:
        InputError: as for training.
    """
    root = layout.path
    splits, _, _ = find_splits(root)
    labels: dict[str, list[str]] = {}
    texts: list[str] = []
    for split, folder in splits.items():
        labels[split] = []
        if layout.kind == "lines":
            for file, label in files_of_classes(folder, root):
                rows = [row for row in _text(file).splitlines() if row.strip()]
                labels[split] += [label] * len(rows)
                texts += rows if split == "train" else []
        else:
            for own in list_folder(folder)[0]:
                labels[split] += [printable(own.name)] * (0 if is_junk(own.name) else len(text_files(own, root)[0]))
    if not labels["train"]:
        raise InputError(f"{splits['train']}: must contain texts. All of the files are empty.")
    index_labels(labels, sort_names(labels["train"]), source=str(root), trained=None)
    kind = "a file for each class, a text on each line"
    if layout.kind == "files":
        kind = "a folder for each class, a file for each text"
    source = [("kind", layout.kind, kind), _path(path)]
    return _of_texts(Counter(labels["train"]), source, _unit_of(texts), set(splits) - {"train"})


def _of_texts(
    counts: Counter[str], source: list[Line], unit: list[Part], splits: Collection[str] = ()
) -> tuple[tuple[str, ...], str]:
    recipe = _recipe("text_classification", "a class for each text", source, *unit, _bidirectional(), splits=splits)
    return (in_classes(counts, "texts"),), recipe


def _of_targets(table: DraftTable, words: str, targets: TextTargets, source: list[Line]) -> tuple[tuple[str, ...], str]:
    """Draft for texts with labels or a number each."""
    source = [
        *source,
        ("text", words, "the column with the text"),
        *targets.source,
        *columns_of_splits(table.columns),
    ]
    unit, splits = _unit_of(row[words] for row in table.rows), own_splits(table.path, table.rows)
    recipe = _recipe(targets.task, targets.goal, source, *unit, _bidirectional(), splits=splits)
    return ("; ".join(filter(None, [f"{len(table.rows):,} texts", targets.seen])),), recipe


def _of_json(data: Path, source: list[Line]) -> tuple[tuple[str, ...], str]:
    """Draft for JSON lines of texts."""
    table, lists = json_table(data, _text(data))
    words, label = named(table.columns, TEXT), named(table.columns, LABEL)
    targets = text_targets(table, words, lists) if words is not None else None
    if words is not None and targets is not None:
        return _of_targets(table, words, targets, source)
    keys = [("text", words, "the key of the text")] if words not in (None, "text") else []
    keys += [("label", label, "the key of its class")] if label not in (None, "label") else []
    unit = _unit_of(row[words] for row in table.rows) if words is not None else []
    recipe = _recipe(
        *("text_classification", "a class for each text", [*source, *keys, *columns_of_splits(table.columns)]),
        *(*unit, _bidirectional()),
        splits=own_splits(data, table.rows),
    )
    return (), recipe


def _unit_of(texts: Iterable[str]) -> list[Part]:
    """The ``text`` section: characters as tokens for texts of one or two words; for others no key is needed."""
    numbers = [len(text.split()) for text in texts]
    if not numbers or median(numbers) > 2:
        return []
    return [("text", [("unit", "characters", "tokens; most of the texts have only a word or two")])]


def _of_table(table: Path, path: str) -> tuple[tuple[str, ...], str] | None:
    drafted = read_table(table)
    names, rows = drafted.columns if drafted.rows else (), drafted.rows
    by_split = columns_of_splits(names)
    label, words = named(names, LABEL), named(names, TEXT)
    has_times = label is None and any(name.strip().lower() in TIME for name in names)
    targets = text_targets(drafted, words) if words and words != label and rows and not has_times else None
    if words and targets is not None:
        source: list[Line] = [("kind", "csv", "a row for each text"), _path(path)]
        return _of_targets(drafted, words, targets, source)
    if words and label and words != label:
        counts = Counter(row[label] for row in rows)
        source = [
            ("kind", "csv", "a row for each text"),
            _path(path),
            ("text", words, "the column with the text"),
            ("label", label, "the column with its class"),
            *by_split,
        ]
        return _of_texts(counts, source, _unit_of(row[words] for row in rows), own_splits(table, rows))
    source_column, target_column = named(names, SOURCE), named(names, TARGET)
    if source_column and target_column:
        source = [
            ("kind", "csv", "a row for each pair"),
            _path(path),
            ("source", source_column, "the column with the source text"),
            ("target", target_column, "the column with the target text"),
            *by_split,
        ]
        goal, splits = "generates a target text for each source text", own_splits(table, rows)
        recipe = _recipe("sequence_to_sequence", goal, source, _pairs(), splits=splits)
        return (f"{len(rows):,} pairs",), recipe
    if suffix_of(table) == ".tsv" and _is_pairs(text := _text(table)):
        return _of_pairs(text, path)
    sequence = named(names, SEQUENCE)
    if sequence and label:
        has_many = len({row[label] for row in rows}) > 20
        is_number = all(_is_number(row[label]) for row in rows) and has_many
        if has_many and (mistake := drafted.mistake(label)) is not None:
            raise InputError(f"{mistake} Correct the cell, or write the recipe by hand.")
        task = "sequence_regression" if is_number else "sequence_classification"
        goal = "a number for each sequence" if is_number else "a class for each sequence"
        source = [
            ("kind", "csv", "a row for each step of each sequence"),
            _path(path),
            ("sequence", sequence, "the column that names the sequence of a row"),
            ("target" if is_number else "label", label, f"the column with {goal}"),
            *by_split,
        ]
        recipe = _recipe(task, goal, source, SERIES, splits=own_splits(table, rows))
        num_sequences = len({row[sequence] for row in rows})
        return (f"{num_sequences:,} sequence{'' if num_sequences == 1 else 's'}",), recipe
    times = [name for name in names if name.strip().lower() in TIME] or date_columns(names, rows)
    numbers = [
        name
        for name in names
        if name not in times
        and all(_is_number(row[name]) for row in rows)
        and not _counts_rows(row[name] for row in rows)
    ]
    if times and numbers:
        time_lines = _time_lines(times, rows)
        of_time = time_lines[0][1]
        assert isinstance(of_time, tuple)
        series = series_column(of_time, [name for name in names if name not in of_time], rows)
        numbers = [name for name in numbers if name != series] or numbers
        series_lines: list[Line] = [] if series is None else [("series", series, "the column with the series of a row")]
        source = [
            ("kind", "csv", "a row for each time step"),
            _path(path),
            *time_lines,
            *series_lines,
            ("target", numbers[0], "the column to forecast"),
            ("features", tuple(numbers[1:]), "further columns whose past values the forecast uses"),
            ("on_missing", "keep", "keep rows with missing values, or error"),
        ]
        longest = max(Counter("" if series is None else row[series] for row in rows).values())
        history, season_lines, in_words = min(24, max(1, longest // 6)), list[Line](), ""
        season = season_of(of_time, series, rows)
        if season is not None and season[0] <= longest // 6:
            history = min(max(history, 2 * season[0]), longest // 6)
            season_lines = [("season", season[0], f"steps in {season[1]}, by the distance between rows")]
            in_words = f"; a season of {season[0]} steps, {season[1]}"
        window: Part = (
            "window",
            [
                ("history", history, "past steps that a forecast uses"),
                ("horizon", 1, "steps to forecast"),
                *season_lines,
                *([] if series is None else [OF_SERIES]),
            ],
        )
        mistakes = [drafted.mistake(name) for name in names if name not in (*times, *numbers)]
        left_out = [f"left out: {mistake}" for mistake in mistakes if mistake is not None]
        of_series = "" if series is None else f" of {len({row[series] for row in rows}):,} series ({shortened(series)})"
        columns = ", ".join(map(shortened, numbers))
        seen = (f"{len(rows):,} rows{of_series}; numeric columns: {columns}{in_words}", *left_out)
        return seen, _recipe(
            "forecasting", "predicts the next steps of a series", source, RECURRENT, window, splits=None
        )
    if not names:
        raise InputError(
            f"{table}: must have a header and rows below it.{'' if drafted.columns else ' The file is empty.'}"
        )
    return None


def _time_lines(times: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[Line]:
    """The keys for the time: all columns of it if they increase together, else a date alone."""
    found, day_first = times[:1] if times[0].lower() == "date" else times, False
    for names in (times, times[:1]):
        written = [(line, [row[name] for name in names]) for line, row in enumerate(rows, start=2)]
        try:
            read = read_times(written, names, source="", time_format=None, day_first=None)
        except AmbiguousDates:
            found, day_first = names, True
            break
        except InputError:
            continue
        if not read.errors and read.are_dates and len(set(read.moments)) == len(rows):
            found = names
            break
    lines: list[Line] = [("time", tuple(found), "the columns with the date and time, in order")]
    if day_first:
        lines.append(("day_first", True, "the dates do not show it: false if 1/2/2024 is in January"))
    return lines


def _of_pairs(text: str, path: str, others: Sequence[Line] = ()) -> tuple[tuple[str, ...], str]:
    source = [("kind", "tsv", "a pair on each line, separated by a tab"), _path(path), *others]
    num_pairs = sum(1 for line in text.splitlines() if line.strip())
    goal = "generates a target text for each source text"
    splits = {key.removesuffix("_path") for key, _, _ in others}
    return (f"{num_pairs:,} pairs",), _recipe("sequence_to_sequence", goal, source, _pairs(), splits=splits)


# Reading the files ----------------------------------------------------------------------------------------------------


def _text(file: Path) -> str:
    data = read_start(file, MAX_BYTES, "Give a file of texts or of a series.")
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data[: len(data) // 2 * 2].decode("utf-16", "replace")
    if b"\0" in data:
        raise InputError(
            f"{file}: must be UTF-8 text. It may be UTF-16: save it as UTF-8, or write the recipe with data.encoding."
        )
    try:
        return data.decode("utf-8-sig", "strict" if len(data) < MAX_BYTES else "replace")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{file}:{line}: must be UTF-8 text. Received byte 0x{data[error.start]:02x}: save it as UTF-8, or write "
            "the recipe with data.encoding."
        ) from None


def _is_pairs(text: str) -> bool:
    lines = [line for line in text.splitlines()[:1000] if line.strip()]
    return len(lines) > 1 and all("\t" in line for line in lines)


def _is_number(cell: str) -> bool:
    if cell in MISSING:
        return True
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _counts_rows(cells: Iterable[str]) -> bool:
    """Whether a column of numbers only counts the rows."""
    values = [float(cell) if cell not in MISSING else math.nan for cell in cells]
    return len(values) > 2 and all(later - earlier == 1 for earlier, later in itertools.pairwise(values))


# Writing --------------------------------------------------------------------------------------------------------------


def _path(path: str) -> Line:
    return ("path", path, "relative to this file")


def _bidirectional() -> Part:
    name, lines = RECURRENT
    more = [
        ("bidirectional", True, "reads in both directions"),
        ("dropout", 0.3, "proportion of units dropped in training"),
    ]
    return name, [*lines, ("units", 64, "of each layer, in each direction"), *more]


def _language() -> Part:
    name, lines = RECURRENT
    more = [("stateful", True, "each window continues from the state of the previous one")]
    return name, [
        *lines,
        ("units", 256, "of each layer"),
        ("dropout", 0.2, "proportion of units dropped in training"),
        *more,
    ]


def _characters() -> Part:
    return "text", [
        ("unit", "characters", "tokens: characters or words"),
        ("max_length", 100, "tokens in a training window"),
    ]


def _pairs() -> Part:
    return "model", [
        ("kind", "encoder_decoder", "recurrent layers that read the source and generate the target"),
        ("units", 128, "of each layer"),
        ("attention", "bahdanau", "of the decoder to the source: bahdanau, luong or none"),
        ("dropout", 0.2, "proportion of units dropped in training"),
    ]


def _recipe(task: str, goal: str, source: list[Line], *parts: Part, splits: Collection[str] | None = ()) -> str:
    """The recipe's text, with a comment after each key.

    Args:
        splits: the splits besides training that the data have; None if the task holds out no random proportions.
    """
    train: list[Line] = [
        ("epochs", 10, "passes over the training samples"),
        ("batch_size", 32, "samples per update of the weights"),
        ("schedule", {"kind": "cosine"}, "lowers the learning rate to 0"),
        ("gradient_clipping", {"kind": "global_norm", "value": 1.0}, "limits the norm of the gradient"),
    ]
    lines = [
        HEADING,
        "",
        line("task", task, goal),
        *section("data", [*source, *([] if splits is None else shares(splits))]),
    ]
    for name, part in parts:
        lines += section(name, part)
    return "\n".join([*lines, *section("train", train)]) + "\n"
