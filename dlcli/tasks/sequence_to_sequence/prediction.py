"""Decodes the target texts of new source texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcli.recipe.tasks.sequence_to_sequence import PairsCsv, PairsTsv, SequenceToSequence
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.inspection import count
from dlcli.tasks.predictions import write_table
from dlcli.tasks.sequence_to_sequence.decoding import Hypothesis, TextDecoder, load_text_decoder
from dlcli.tasks.sequences.prediction import named_texts
from dlcli.tasks.sequences.tokens import count_longer
from dlcli.tasks.task import PredictionRequest


def before_tab(line: str) -> str:
    """The source text of a line of a training file."""
    return line.partition("\t")[0]


def predict(run: RunDir, recipe: SequenceToSequence, request: PredictionRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.predict`: the source texts are lines, rows of tables, or given directly.

    Raises:
        InputError: there is nothing to predict, or no model yet.
    """
    beam, output = request.beam, request.output
    names, sources = named_sources(recipe, request.paths, request.texts)
    decoder = load_text_decoder(run, recipe, console)
    if longer := count_longer(sources, recipe.text):
        limit = f"text.max_length, {recipe.text.max_length} {recipe.text.unit}"
        console.warn(f"{longer:,} of {len(sources):,} texts are longer than {limit}, and truncated")
    if num_unknown := decoder.count_unknown([text for text in sources if text.strip()]):
        console.warn(
            f"{num_unknown:,} of {len(sources):,} texts have {recipe.text.unit} that are not in the model's vocabulary"
        )
    console.say(f"run {run.path}: predicting {len(sources):,} {'text' if len(sources) == 1 else 'texts'}")
    hypotheses = decoder.decode(
        sources,
        beam=beam,
        batch_size=recipe.train.batch_size,
        copy_unknown=request.copy_unknown,
        console=console,
    )
    predictions = [
        {"file": name} | row_of(decoder, text, hypothesis)
        for name, text, hypothesis in zip(names, sources, hypotheses, strict=True)
    ]
    if output is not None:
        rows = [list(row.values()) for row in predictions]
        write_table(output, list(predictions[0]), rows, safe_csv=request.safe_csv)
        console.say(f"{count(predictions, 'row')} written to {output}")
    return {"run": str(run.path), "predictions": predictions, "left_out": []}


def row_of(decoder: TextDecoder, text: str, hypothesis: Hypothesis) -> dict[str, Any]:
    """What is reported of a source text."""
    predicted = decoder.text_of(hypothesis.ids, hypothesis.copied)
    return {"text": text, "predicted": predicted, "log_probability": hypothesis.log_probability}


def named_sources(
    recipe: SequenceToSequence, paths: Sequence[Path], texts: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The names and the source texts of files and of the command line.

    Raises:
        InputError: a file cannot be read, or there are no texts.
    """
    return named_texts(
        paths,
        texts,
        column=recipe.data.source if isinstance(recipe.data, PairsCsv) else "source",
        encoding=recipe.data.encoding if isinstance(recipe.data, PairsTsv | PairsCsv) else "utf-8",
        columns=getattr(recipe.data, "columns", None),
        of_line=before_tab if isinstance(recipe.data, PairsTsv) else None,
    )
