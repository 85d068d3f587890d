"""Decodes the target texts of new source texts."""

from typing import Any

from dlcli.recipe.tasks.sequence_to_sequence import PairsCsv, PairsTsv, SequenceToSequence
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.predictions import write_rows
from dlcli.tasks.sequence_to_sequence.decoding import load_answerer
from dlcli.tasks.sequences.prediction import named_texts
from dlcli.tasks.sequences.tokens import count_longer
from dlcli.tasks.task import PredictionRequest


def _before_tab(line: str) -> str:
    """What is given in a line like those of training."""
    return line.partition("\t")[0]


def predict(run: RunDir, recipe: SequenceToSequence, request: PredictionRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.predict`: lines of files and of stdin, rows of tables, texts by themselves.

    Raises:
        InputError: there is nothing to answer, or no model yet.
    """
    paths, texts, beam, output = request.paths, request.texts, request.beam, request.output
    names, given = named_texts(
        paths,
        texts,
        column=recipe.data.source if isinstance(recipe.data, PairsCsv) else "source",
        encoding=recipe.data.encoding if isinstance(recipe.data, PairsTsv | PairsCsv) else "utf-8",
        of_line=_before_tab if isinstance(recipe.data, PairsTsv) else None,
    )
    answerer = load_answerer(run, recipe)
    if longer := count_longer(given, recipe.text):
        most = f"{recipe.text.max_length} {recipe.text.unit}"
        console.warn(f"{longer:,} of {len(given):,} texts are longer than {most}: the rest is cut off")
    if strange := answerer.count_unknown(given):
        console.warn(f"in {strange:,} of {len(given):,} texts are {recipe.text.unit} that the model does not know")
    console.say(f"run {run.path}: answering {len(given):,} {'text' if len(given) == 1 else 'texts'}")
    said = answerer.answer(given, beam=beam, batch_size=recipe.train.batch_size, console=console)
    predictions = [
        {"file": name, "text": text, "predicted": answerer.write(own.tokens), "log_probability": own.log_probability}
        for name, text, own in zip(names, given, said, strict=True)
    ]
    if output is not None:
        write_rows(output, list(predictions[0]), [list(row.values()) for row in predictions])
        console.say(f"{len(predictions):,} rows in {output}")
    return {"run": str(run.path), "predictions": predictions, "left_out": []}
