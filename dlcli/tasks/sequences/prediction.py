"""Prediction for sequences: files of lines, tables, arrays, stdin, or texts given by themselves."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.sequences.dataset import Sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.series.unlabeled import read_unlabeled_series
from dlcli.data.text.files import lines_of, lines_of_file
from dlcli.data.text.labeled import read_unlabeled
from dlcli.data.text.tagged import read_words
from dlcli.errors import InputError
from dlcli.recipe.load import SequenceRecipe
from dlcli.recipe.sections.series_data import SequenceTable
from dlcli.recipe.sections.text_data import TextTable
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.predictions import ranked, write_probabilities, write_rows, write_values
from dlcli.tasks.run_models import load_sequence_model
from dlcli.tasks.sequences.evaluation import predict_samples, predict_words
from dlcli.tasks.task import PredictionRequest


def predict(run: RunDir, recipe: SequenceRecipe, request: PredictionRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.predict`, for sequences; of text an empty line is a sample too."""
    paths, texts, top, output = request.paths, request.texts, request.top, request.output
    if isinstance(recipe, Tagging):
        return _predict_tags(run, recipe, paths, texts=texts, output=output, console=console)
    if isinstance(recipe, TextClassification):
        column = recipe.data.text if isinstance(recipe.data, TextTable) else "text"
        names, found = named_texts(paths, texts, column=column, encoding=recipe.data.encoding)
        samples = Sequences(tuple(names), np.zeros(len(names), np.int32), digests=(), texts=tuple(found))
    else:
        samples = _collect_series(paths, recipe, run.read_data_info("scale"))
    model = load_sequence_model(run, recipe)
    noun = "sample" if len(samples) == 1 else "samples"
    console.say(f"run {run.path}: predicting {len(samples):,} {noun}")
    outputs = predict_samples(model, samples, batch_size=recipe.train.batch_size, console=console)
    columns: dict[str, Sequence[str]] = {"file": samples.names}
    if samples.texts is not None:
        columns["text"] = samples.texts
    if isinstance(recipe, SequenceRegression):
        if output is not None:
            write_values(output, columns, outputs[0])
        answers = [{"predicted": float(value)} for value in outputs[0]]
    else:
        classes = run.read_classes()
        if output is not None:
            write_probabilities(output, columns, outputs[1], classes, {})
        answers = [ranked(row, classes, min(top, len(classes))) for row in outputs[1]]
    if output is not None:
        console.say(f"{len(samples):,} rows in {output}")
    predictions = [{name: values[i] for name, values in columns.items()} | answer for i, answer in enumerate(answers)]
    return {"run": str(run.path), "predictions": predictions, "left_out": []}


def _predict_tags(
    run: RunDir, recipe: Tagging, paths: Sequence[Path], *, texts: Sequence[str], output: Path | None, console: Console
) -> dict[str, Any]:
    names = [f"--text {position}" for position in range(1, len(texts) + 1)]
    sentences = [tuple(text.split()) for text in texts]
    for path in paths:
        if str(path) == "-":
            lines = lines_of_stdin(recipe.data.encoding)
            more_names, more = (
                [f"-:{line}" for line in range(1, len(lines) + 1)],
                [tuple(line.split()) for line in lines],
            )
        else:
            more_names, more = read_words(path, encoding=recipe.data.encoding)
        names += more_names
        sentences += more
    if not any(sentences):
        raise InputError("nothing to predict: there is no word in what was named.")
    model, classes = load_sequence_model(run, recipe), run.read_classes()
    noun = "sentence" if len(sentences) == 1 else "sentences"
    console.say(f"run {run.path}: predicting {len(sentences):,} {noun}")
    used = [sentence[: recipe.text.max_length] for sentence in sentences]
    _, probabilities = predict_words(model, used, batch_size=recipe.train.batch_size, console=console)
    best = probabilities.argmax(axis=1)
    rows = [
        [name, position, word]
        for name, sentence in zip(names, used, strict=True)
        for position, word in enumerate(sentence, start=1)
    ]
    rows = [[*row, classes[k], float(p[k])] for row, k, p in zip(rows, best, probabilities, strict=True)]
    if output is not None:
        write_rows(output, ["file", "word", "text", "predicted", "confidence"], rows)
        console.say(f"{len(rows):,} rows in {output}")
    predictions, at = [], 0
    for name, sentence in zip(names, used, strict=True):
        tags = [classes[k] for k in best[at : at + len(sentence)]]
        at += len(sentence)
        predictions.append({"file": name, "words": list(sentence), "tags": tags})
    return {"run": str(run.path), "predictions": predictions, "left_out": []}


def lines_of_stdin(encoding: str) -> list[str]:
    """What stdin holds, without the ends of lines.

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
    of_line: Callable[[str], str] | None = None,
) -> tuple[list[str], list[str]]:
    """What each text is called, and the texts: those given by themselves, lines of stdin and of files, rows of tables.

    Args:
        column: of tables, which holds the text.
        of_line: what counts of a line, where files are lines but for .csv and .jsonl; by default the whole line.

    Raises:
        InputError: something cannot be read, or there is no text.
    """
    names = [f"--text {position}" for position in range(1, len(texts) + 1)]
    found = list(texts)
    for path in paths:
        if str(path) == "-":
            lines = lines_of_stdin(encoding)
        elif of_line is not None and path.suffix not in (".csv", ".jsonl", ".ndjson"):
            lines = lines_of_file(path, encoding)
        else:
            more_names, more = read_unlabeled(path, column=column, encoding=encoding)
            names += more_names
            found += more
            continue
        names += [f"{path}:{line}" for line in range(1, len(lines) + 1)]
        found += lines if of_line is None else map(of_line, lines)
    if not found:
        raise InputError("nothing to predict: there is no text in what was named.")
    return names, found


def _collect_series(paths: Sequence[Path], recipe: SequenceRecipe, info: dict[str, Any]) -> Sequences:
    """The sequences of files; ``info`` is what run.json says of the data."""
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
        )
        names += more_names
        parts.append(values)
    values = Ragged(np.concatenate([part.flat for part in parts]), np.concatenate([part.lengths for part in parts]))
    return Sequences(tuple(names), np.zeros(len(names), np.int32), digests=(), values=values)
