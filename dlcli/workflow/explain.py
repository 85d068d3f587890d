"""``dlcli explain``: what a run's model sees in images, written to ``explanations/<name>/`` in the run."""

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.printing import json_text
from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.runs import now
from dlcli.rundir.tables import rows_text
from dlcli.rundir.writing import replace_file, replace_folder
from dlcli.runtime.console import Console
from dlcli.runtime.machine import versions
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.task import ExplanationRequest
from dlcli.workflow.result_folder import free_folder
from dlcli.workflow.train import command

__all__ = ["ExplanationRequest", "explain"]


def explain(run: RunDir, request: ExplanationRequest, *, name: str | None, console: Console) -> dict[str, Any]:
    """Explain a run's best model, and write explanations.csv, explanation.json and the files of the task.

    Args:
        name: of the results folder; it gets a number if it has the results of a different request. Default: the
            methods.

    Returns:
        The content of explanation.json, with ``run``, ``folder``, ``explanations`` (the rows), ``left_out``,
        ``check``, ``tables`` and ``texts``.

    Raises:
        InputError: the run has no model, no image can be read, or the network lacks what a method needs.
    """
    run.remove_leftovers()
    explained = task_of(load(run.config).recipe).explain(run, request, console)
    identity = json.loads(json.dumps(explained.facts))

    folder = free_folder(run.explanations, name or explained.name, has_same=lambda made: has_facts(made, identity))
    info = {"explained": now(), "command": command(), "versions": versions(), **explained.facts}
    files = {
        "explanations.csv": rows_text(explained.rows),
        "explanation.json": json_text(info) + "\n",
        **explained.files,
    }
    if explained.check is not None:
        files["check.json"] = json_text(explained.check) + "\n"
    replace_folder(folder, files)
    if explained.plots:
        run.plots.mkdir(exist_ok=True)
    for file_name, image in explained.plots.items():
        replace_file(run.plots / file_name, image)
    return {
        "run": str(run.path),
        "folder": str(folder),
        "explanations": explained.rows,
        "left_out": [list(pair) for pair in explained.left_out],
        "check": explained.check,
        "tables": dict(explained.tables),
        "texts": [dataclasses.asdict(text) for text in explained.texts],
        "shown": list(explained.shown),
        **info,
    }


def has_facts(folder: Path, facts: dict[str, Any]) -> bool:
    """Whether the explanation in a folder has the same facts, and may be replaced."""
    with contextlib.suppress(InputError, OSError):
        info = read_json(folder / "explanation.json")
        return bool({key: info.get(key) for key in facts} == facts)
    return False
