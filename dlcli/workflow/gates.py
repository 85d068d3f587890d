"""``dlcli explain RUN --gates``: what an LSTM or GRU layer keeps, writes and shows at each step of a sequence."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.explanation.sequences.gates import Gates
from dlcli.printing import json_text
from dlcli.recipe.load import load
from dlcli.report.plots.gates import gate_plot
from dlcli.rundir.directory import RunDir
from dlcli.rundir.runs import now
from dlcli.rundir.tables import csv_text
from dlcli.rundir.writing import replace_folder
from dlcli.runtime.console import Console
from dlcli.runtime.machine import versions
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.recurrent import gates_of_run
from dlcli.tasks.task import ExplanationRequest
from dlcli.workflow.explain import has_facts
from dlcli.workflow.result_folder import free_folder
from dlcli.workflow.train import command

NAME = "gates"
OPEN, CLOSED = 0.9, 0.1


def explain_gates(run: RunDir, request: ExplanationRequest, *, name: str | None, console: Console) -> dict[str, Any]:
    """Compute the gates for one sequence of a split, or ``request.limit`` of them, and write explanations/gates/.

    Returns:
        ``run``, ``folder``, ``layer``, ``sequences``, and ``gates``: for each gate the mean of its values, the share
        that is open and closed, and how far they vary over the steps.

    Raises:
        InputError: the run has no model, its network has no gates, or its data cannot be used.
    """
    run.remove_leftovers()
    console.say(f"run {run.path}: computing the gates of its recurrent network")
    request = replace(request, limit=request.limit or 1)
    found = gates_of_run(task_of(load(run.config).recipe).recurrent_samples(run, request, console))
    identity = {
        "sha256": run.read_info().get("model"),
        "layer": found[0].layer,
        "sequences": len(found),
        "gates": [_row(name, [one.gates[name] for one in found]) for name in found[0].gates],
    }
    folder = free_folder(run.explanations, name or NAME, has_same=lambda made: has_facts(made, identity))
    info = {"explained": now(), "command": command(), "versions": versions(), **identity}
    first = found[0]
    files: dict[str, str | bytes | Callable[[Path], None]] = {
        "gates.csv": csv_text(["sequence", "step", *first.gates, "state"], _rows(found)),
        "gates.npz": lambda path: _write_arrays(path, first),
        "gates.png": gate_plot(first.inputs, first.gates, first.state),
        "explanation.json": json_text(info) + "\n",
    }
    replace_folder(folder, files)
    return {"run": str(run.path), "folder": str(folder), **info}


def _row(name: str, values: Sequence[Any]) -> dict[str, Any]:
    every = np.concatenate([value.ravel() for value in values])
    return {
        "gate": name,
        "mean": float(every.mean()),
        "open": float(np.mean(every > OPEN)),
        "closed": float(np.mean(every < CLOSED)),
        "varies": float(np.mean([value.std(axis=0).mean() for value in values])),
    }


def _rows(found: Sequence[Gates]) -> Iterator[list[Any]]:
    """The means over the units at each step."""
    for number, one in enumerate(found, start=1):
        columns = [*one.gates.values(), one.state]
        for step, means in enumerate(zip(*(values.mean(axis=1) for values in columns), strict=True)):
            yield [number, step, *(f"{mean:.6g}" for mean in means)]


def _write_arrays(path: Path, gates: Gates) -> None:
    arrays: dict[str, Any] = {"inputs": gates.inputs, **gates.gates, "state": gates.state, "outputs": gates.outputs}
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)
