"""``dlcli explain RUN --gradient-norms``: how far gradients reach back in the recurrent networks of runs."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dlcli.explanation.sequences.gradient_norms import GradientNorms, ratio_per_step
from dlcli.printing import json_text
from dlcli.recipe.load import load
from dlcli.report.plots.gradient_norms import gradient_norm_plot
from dlcli.rundir.directory import RunDir
from dlcli.rundir.runs import now
from dlcli.rundir.tables import rows_text
from dlcli.rundir.writing import replace_folder
from dlcli.runtime.console import Console
from dlcli.runtime.machine import versions
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.recurrent import norms_of_run
from dlcli.tasks.task import ExplanationRequest
from dlcli.workflow.explain import has_facts
from dlcli.workflow.result_folder import free_folder
from dlcli.workflow.train import command

NAME = "gradient-norms"


def explain_gradient_norms(
    runs: Sequence[RunDir], request: ExplanationRequest, *, name: str | None, console: Console
) -> dict[str, Any]:
    """Measure the gradient norms of runs, and write explanations/gradient-norms/ in the first one.

    Returns:
        ``run``, ``folder`` and ``networks``: for each run the layer, the ratio per step with trained and with initial
        weights and, for an LSTM, with initial weights without a forget bias, and the number of sequences.

    Raises:
        InputError: a run has no model, its network is not recurrent, or its data cannot be used.
    """
    first = runs[0]
    first.remove_leftovers()
    rows, networks, lines = [], [], []
    for run in runs:
        console.say(f"run {run.path}: measuring the gradient norms of its recurrent network")
        found = norms_of_run(run, task_of(load(run.config).recipe).recurrent_samples(run, request, console))
        lines.append((run.path.name, found.trained, found.initial, found.forgetting))
        networks.append(
            {
                "run": run.path.name,
                "layer": found.layer,
                "steps": len(found.trained),
                "ratio_trained": ratio_per_step(found.trained),
                "ratio_initial": ratio_per_step(found.initial),
                "ratio_forget_bias_0": None if found.forgetting is None else ratio_per_step(found.forgetting),
                "sequences": found.num_sequences,
            }
        )
        rows += _rows(run.path.name, found)
    identity = {"sha256": first.read_info().get("model"), "networks": json.loads(json_text(networks))}
    folder = free_folder(first.explanations, name or NAME, has_same=lambda made: has_facts(made, identity))
    info = {"explained": now(), "command": command(), "versions": versions(), **identity}
    files: dict[str, str | bytes | Callable[[Path], None]] = {
        "gradient_norms.csv": rows_text(rows),
        "gradient_norms.png": gradient_norm_plot(lines),
        "explanation.json": json_text(info) + "\n",
    }
    replace_folder(folder, files)
    return {"run": str(first.path), "folder": str(folder), **info}


def _rows(run: str, norms: GradientNorms) -> list[dict[str, Any]]:
    """The rows of gradient_norms.csv: one for each step."""
    columns = {"trained": norms.trained, "initial": norms.initial, "forget_bias_0": norms.forgetting}
    return [
        {
            "run": run,
            "step": -step,
            **{name: "" if values is None else f"{values[step - 1]:.6g}" for name, values in columns.items()},
        }
        for step in range(1, len(norms.trained) + 1)
    ]
