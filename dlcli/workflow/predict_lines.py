"""``dlcli predict RUN -``: the lines of stdin, each predicted as it arrives."""

import sys
from collections.abc import Iterator
from typing import Any

from dlcli.data.text.stream import arriving_lines
from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.predictor import MAX_BATCH, ReadsLines
from dlcli.tasks.task import PredictionRequest

STDIN = "-"


def predict_lines(run: RunDir, request: PredictionRequest, *, console: Console) -> Iterator[dict[str, Any]]:
    """Predict each line of stdin with a run's best model, which stays loaded while none comes.

    Lines that arrive together are predicted together, at most MAX_BATCH.

    Yields:
        The rows of ``predictions`` of :func:`dlcli.workflow.predict.predict`.

    Raises:
        InputError: the run has no model, or a line cannot be used; those before it are predicted first.
    """
    recipe = load(run.config).recipe
    predictor = task_of(recipe).predictor(run, console)
    assert isinstance(predictor, ReadsLines)
    encoding = getattr(recipe.data, "encoding", "utf-8")
    console.say(f"run {run.path}: predicting the lines of stdin as they arrive")
    number = 0
    for lines in arriving_lines(sys.stdin.buffer, STDIN, encoding, at_most=MAX_BATCH):
        names = [f"{STDIN}:{number + i}" for i in range(1, len(lines) + 1)]
        number += len(lines)
        samples: list[Any] = []
        failure = None
        try:
            samples += (predictor.read_line(line, name=name) for name, line in zip(names, lines, strict=True))
        except InputError as error:
            failure = error
        rows = predictor.predict(samples, top=request.top, beam=request.beam, copy_unknown=request.copy_unknown)
        for name, row in zip(names, rows, strict=False):
            yield {"file": name} | row
        if failure is not None:
            raise failure
