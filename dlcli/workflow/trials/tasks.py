"""What a worker does: check a recipe, train a trial without keeping its weights, train a whole run, evaluate a run.

Each task is a JSON object with its ``kind``, and so is its outcome. Errors are part of the outcome: bad input has the
kind ``input``, everything else that may happen in training is ``failed``.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcli.errors import CheckFailed, InputError
from dlcli.printing import escaped_line
from dlcli.recipe.language.errors import RecipeError
from dlcli.recipe.load import LoadedRecipe, Override, load_text
from dlcli.recipe.yaml_writer import to_yaml
from dlcli.runtime.startup import start_tensorflow

MAX_ERROR = 500  # characters that are recorded


def do_task(task: Mapping[str, Any]) -> dict[str, Any]:
    """Do a task, and return its outcome: ``status``, ``error``, and what the task's kind adds."""
    start = time.monotonic()
    try:
        outcome: dict[str, Any] = {"status": "complete", "error": None, **_do(task)}
    except RecipeError as error:  # by key, too: the places may be those of a text that nobody sees
        diagnostics = [(diagnostic.key, diagnostic.message) for diagnostic in error.diagnostics]
        outcome = {"status": "failed", "error": str(error), "is_input": True, "diagnostics": diagnostics}
    except InputError as error:
        outcome = {"status": "failed", "error": str(error), "is_input": True}
    except CheckFailed as error:
        outcome = {"status": "failed", "error": str(error)}
    except Exception as error:  # whatever a network makes TensorFlow do is recorded, not fatal
        first = (str(error).strip().splitlines() or [""])[0]
        outcome = {"status": "failed", "error": escaped_line(f"{type(error).__name__}: {first}"[:MAX_ERROR])}
    return {"metrics": {}, "cost": {}, **outcome, "seconds": round(time.monotonic() - start, 3)}


def _do(task: Mapping[str, Any]) -> dict[str, Any]:
    device = start_tensorflow(task["device"], worker=task.get("worker"))
    from dlcli.workflow.trials import training

    training.optimize_graphs(task.get("optimize_graphs", True))
    kind = task["kind"]
    if kind == "test":
        return training.test_run(Path(task["run"]))
    loaded = loaded_of(task["recipe"], Path(task["path"]), task.get("changes", {}))
    match kind:
        case "check":
            return training.check(loaded, runs=Path(task["runs"]), device=device)
        case "trial":
            return training.train_trial(
                loaded,
                folder=Path(task["folder"]),
                runs=Path(task["runs"]),
                limits=task["limits"],
                device=device,
            )
        case "seeds":
            return training.train_seeds(
                loaded,
                seeds=task["seeds"],
                objective=task["objective"],
                folder=Path(task["folder"]),
                runs=Path(task["runs"]),
                device=device,
            )
        case "rung":
            return training.train_rung(
                loaded, folder=Path(task["folder"]), runs=Path(task["runs"]), until=task["until"], device=device
            )
        case "run":
            return training.train_run(loaded, folder=Path(task["folder"]), name=task["name"], device=device)
        case _:
            raise ValueError(f"unknown kind of task: {kind}")


def loaded_of(values: dict[str, Any], path: Path, changes: Mapping[str, Any]) -> LoadedRecipe:
    """The recipe of plain values; ``path`` is the file that it was derived from, for messages and relative paths.

    Args:
        changes: values of dotted keys, applied and checked as ``--set`` does.

    Raises:
        RecipeError: it is not valid.
    """
    return load_text(to_yaml(values).encode(), path, [setting(key, value) for key, value in changes.items()])


def setting(key: str, value: Any, origin: str | None = None) -> Override:
    """The override that gives a key a plain value.

    Args:
        origin: what messages name as its place; None for ``KEY=VALUE``.
    """
    text = to_yaml({"value": value}, on_one_line=True).strip()[len("{value: ") : -1]
    return Override(key, text, origin or f"{key}={text}")
