"""Predicts sequences: from files of lines, tables, arrays, stdin, or texts on the command line."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.sequences.dataset import Sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.series.unlabeled import read_unlabeled_series
from dlcli.data.text.files import lines_of, lines_of_file, plain_spaces
from dlcli.data.text.json_lines import JSON_LINES
from dlcli.data.text.labeled import read_unlabeled
from dlcli.data.text.tagged import read_words
from dlcli.data.text.tagged_json import json_sentences
from dlcli.errors import InputError
from dlcli.evaluation.class_predictions import RankedClasses
from dlcli.evaluation.multilabel import predicted_labels
from dlcli.files import suffix_of
from dlcli.recipe.load import NumberRecipe, SequenceRecipe, TextRecipe
from dlcli.recipe.sections.series_data import SequenceTable
from dlcli.recipe.sections.text_data import TextColumns
from dlcli.recipe.tasks.tagging import Columns, TaggedJson, Tagging
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import Calibration, read_calibration
from dlcli.tasks.inspection import count
from dlcli.tasks.predictions import Ranking, listed, refuse_stdin, write_probabilities, write_table, write_values
from dlcli.tasks.run_models import load_sequence_model
from dlcli.tasks.sequences.outputs import in_order, label_scores, predict_samples
from dlcli.tasks.sequences.tagging import PredictedWords, predict_words
from dlcli.tasks.several_labels import label_row, prediction_table, read_thresholds, usable_thresholds
from dlcli.tasks.task import PredictionRequest


def predict(run: RunDir, recipe: SequenceRecipe, request: PredictionRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.predict`, for sequences; in text, an empty line is a sample, too."""
    paths, texts, top, output = request.paths, request.texts, request.top, request.output
    if isinstance(recipe, Tagging):
        return _predict_tags(run, recipe, request, console=console)
    if isinstance(recipe, TextRecipe):
        column = text_column(recipe)
        sources, all_texts = named_texts(
            paths, texts, column=column, encoding=recipe.data.encoding, columns=getattr(recipe.data, "columns", None)
        )
        samples = Sequences(tuple(sources), np.zeros(len(sources), np.int32), digests=(), texts=tuple(all_texts))
    else:
        samples = collect_series(paths, recipe, run.read_data_info("scale"))
    best = load_sequence_model(run, recipe, console)
    model = best.model
    noun = "sample" if len(samples) == 1 else "samples"
    console.say(f"run {run.path}: predicting {len(samples):,} {noun}")
    batches = predict_samples(model, samples, batch_size=recipe.train.batch_size, console=console)
    columns: dict[str, Sequence[str]] = {"file": samples.names}
    if samples.texts is not None:
        columns["text"] = samples.texts
    if isinstance(recipe, NumberRecipe):
        values = in_order(batches, len(samples))
        if output is not None:
            write_values(output, columns, values, safe_csv=request.safe_csv)
        results = value_rows(values)
    elif isinstance(recipe, TextMultilabel):
        names = run.read_classes()
        thresholds = usable_thresholds(read_thresholds(run, names), len(names), console)
        _, scores = label_scores(batches)
        is_predicted = predicted_labels(scores, thresholds)
        if output is not None:
            write_table(output, *prediction_table(columns, scores, is_predicted, names), safe_csv=request.safe_csv)
        results = [label_row(*parts, names) for parts in zip(scores, is_predicted, strict=True)]
    else:
        classes = run.read_classes()
        calibration = read_calibration(run, best.digest, console)
        ranking = Ranking(len(samples), len(classes), num_top=top, output=output, calibration=calibration)
        rank_classes(ranking, batches)
        if output is not None:
            write_probabilities(output, columns, ranking, classes, {}, safe_csv=request.safe_csv)
        results = list(listed(ranking.ranked(), classes, top))
    if output is not None:
        console.say(f"{count(samples, 'row')} written to {output}")
    predictions = [{name: values[i] for name, values in columns.items()} | result for i, result in enumerate(results)]
    return {"run": str(run.path), "predictions": predictions, "left_out": []}


def text_column(recipe: TextRecipe) -> str:
    """The column of tables that holds the text."""
    return recipe.data.text if isinstance(recipe.data, TextColumns) else "text"


def value_rows(values: Iterable[float]) -> list[dict[str, Any]]:
    """What is reported of each sample for which a number is predicted."""
    return [{"predicted": float(value)} for value in values]


def rank_classes(ranking: Ranking, batches: Iterable[tuple[np.ndarray, tuple[np.ndarray, ...]]]) -> None:
    """Add the batches of :func:`dlcli.tasks.sequences.evaluation.predict_samples` of a classifier to a ranking."""
    for index, (logits, probabilities) in batches:
        ranking.add(index, logits, probabilities)


def _predict_tags(run: RunDir, recipe: Tagging, request: PredictionRequest, *, console: Console) -> dict[str, Any]:
    paths, texts, output = request.paths, request.texts, request.output
    names, sentences = named_sentences(run, recipe, paths, texts)
    if not any(sentences):
        raise InputError("nothing to predict: the inputs contain no words.")
    loaded, classes = load_sequence_model(run, recipe, console), run.read_classes()
    model = loaded.model
    noun = "sentence" if len(sentences) == 1 else "sentences"
    console.say(f"run {run.path}: predicting {len(sentences):,} {noun}")
    used = [sentence[: recipe.text.max_length] for sentence in sentences]
    calibration = read_calibration(run, loaded.digest, console)
    parts = predict_words(model, used, batch_size=recipe.train.batch_size, console=console)
    ranked = rank_tags(parts, sum(map(len, used)), len(classes), calibration)
    best = ranked.predicted
    rows = [
        [name, position, word]
        for name, sentence in zip(names, used, strict=True)
        for position, word in enumerate(sentence, start=1)
    ]
    rows = [[*row, classes[k], float(p)] for row, k, p in zip(rows, best, ranked.confidence, strict=True)]
    if output is not None:
        header = ["file", "word", "text", "predicted", "confidence"]
        write_table(output, header, rows, safe_csv=request.safe_csv)
        console.say(f"{count(rows, 'row')} written to {output}")
    predictions = [{"file": name} | row for name, row in zip(names, tag_rows(used, best, classes), strict=True)]
    return {"run": str(run.path), "predictions": predictions, "left_out": []}


def rank_tags(
    parts: Iterable[PredictedWords], num_words: int, num_classes: int, calibration: Calibration | None
) -> RankedClasses:
    """The tags of all words of some sentences, in their order."""
    ranking = Ranking(num_words, num_classes, num_top=1, output=None, calibration=calibration)
    for part in parts:
        ranking.add(part.index, part.logits, part.probabilities, part.tags)
    return ranking.ranked()


def tag_rows(
    sentences: Sequence[Sequence[str]], tags: NDArray[np.int32], classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """What is reported of each sentence: its words and their tags.

    Args:
        tags: indices of those of all words ``[n]``.
    """
    start = 0
    for sentence in sentences:
        yield {"words": list(sentence), "tags": [classes[k] for k in tags[start : start + len(sentence)]]}
        start += len(sentence)


def named_sentences(
    run: RunDir, recipe: Tagging, paths: Sequence[Path], texts: Sequence[str]
) -> tuple[list[str], list[tuple[str, ...]]]:
    """The names and the words of sentences: those on the command line, the lines of stdin, and those of files.

    Raises:
        InputError: a file cannot be read.
    """
    names = [f"--text {position}" for position in range(1, len(texts) + 1)]
    sentences = [tuple(text.split()) for text in texts]
    tags = run.read_classes() if isinstance(recipe.data, Columns) else None
    for path in paths:
        if str(path) == "-":
            lines = lines_of_stdin(recipe.data.encoding)
            more_names, more = (
                [f"-:{line}" for line in range(1, len(lines) + 1)],
                [tuple(line.split()) for line in lines],
            )
        elif suffix_of(path) in JSON_LINES:
            key = recipe.data.words if isinstance(recipe.data, TaggedJson) else "words"
            found = json_sentences(path, words=key, tags=None, encoding=recipe.data.encoding)
            more_names, more = [f"{path}:{one.line}" for one in found], [one.words for one in found]
        else:
            more_names, more = read_words(path, encoding=recipe.data.encoding, tags=tags)
        names += more_names
        sentences += more
    return names, sentences


def lines_of_stdin(encoding: str) -> list[str]:
    """Read the lines of stdin, without line endings.

    Raises:
        InputError: it is not text in the encoding.
    """
    return lines_of(sys.stdin.buffer.read(), "-", encoding)


def named_texts(
    paths: Sequence[Path],
    texts: Sequence[str],
    *,
    column: str,
    encoding: str,
    columns: Sequence[str] | None,
    of_line: Callable[[str], str] | None = None,
) -> tuple[list[str], list[str]]:
    """Read the texts to predict: those on the command line, the lines of stdin and files, and the rows of tables.

    Args:
        column: the column of tables that holds the text.
        columns: the names of all columns of tables without a header.
        of_line: takes the text from a line; all files but .csv and .jsonl are then read as lines. None for the whole
            line, and files as in training.

    Returns:
        The names of the texts, and the texts.

    Raises:
        InputError: a file cannot be read, or there are no texts.
    """
    names = [f"--text {position}" for position in range(1, len(texts) + 1)]
    collected = list(texts)
    for path in paths:
        if str(path) == "-":
            lines = lines_of_stdin(encoding)
        elif of_line is not None and suffix_of(path) not in (".csv", ".jsonl", ".ndjson"):
            lines = lines_of_file(path, encoding)
        else:
            more_names, more = read_unlabeled(path, column=column, encoding=encoding, columns=columns)
            names += more_names
            collected += more
            continue
        names += [f"{path}:{line}" for line in range(1, len(lines) + 1)]
        collected += lines if of_line is None else map(of_line, lines)
    if not collected:
        raise InputError("nothing to predict: the inputs contain no texts.")
    return names, [plain_spaces(text) for text in collected]


def collect_series(paths: Sequence[Path], recipe: SequenceRecipe, info: dict[str, Any]) -> Sequences:
    """Read the series in files; ``info`` is what run.json records about the data."""
    refuse_stdin(paths)
    section = recipe.data
    keys = ("split", "group", "label", "target")
    is_table = isinstance(section, SequenceTable)
    others = [getattr(section, key, None) for key in keys] if is_table else ["label", "target"]  # their default names
    names: list[str] = []
    parts: list[Ragged] = []
    for path in paths:
        more_names, values = read_unlabeled_series(
            path,
            sequence=getattr(section, "sequence", "sequence"),
            time=getattr(section, "time", None),
            features=getattr(section, "features", None) or info.get("features"),
            others=[name for name in others if name is not None],
            num_features=len(info["scale"]["mean"]),
            columns=getattr(section, "columns", None),
            decimal=getattr(section, "decimal", None),
        )
        names += more_names
        parts.append(values)
    values = Ragged(np.concatenate([part.flat for part in parts]), np.concatenate([part.lengths for part in parts]))
    return Sequences(tuple(names), np.zeros(len(names), np.int32), digests=(), values=values)
