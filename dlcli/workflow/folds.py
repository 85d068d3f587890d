"""``dlcli train --folds``: cross-validation, a run for each fold, resumed where it was stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.printing import json_text
from dlcli.recipe.load import LoadedRecipe
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import entry_mode
from dlcli.rundir.runs import now, run_name, suffixed
from dlcli.rundir.tables import read_csv, rows_text
from dlcli.rundir.writing import replace_folder
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.run_models import model_file
from dlcli.workflow.label_errors import FOLDS, PREDICTIONS
from dlcli.workflow.same_recipe import check_same_recipe
from dlcli.workflow.several import Member, mean_and_spread, train_several
from dlcli.workflow.train import command, resume, train

HELD_OUT = "validation"  # the split that a fold is in its run


def train_folds(
    load_with_fold: Callable[[int], LoadedRecipe],
    number: int,
    *,
    runs: Path,
    name: str | None,
    device: Device,
    console: Console,
) -> dict[str, Any]:
    """Train a run for each fold, evaluated on the samples that it held out, as ``<name>-fold1of5`` and so on.

    Runs of these names with the same recipe are used as they are if they are complete, and resumed if they are not.
    Then ``runs/<name>-folds/`` is written: folds.json with the result, and predictions.csv with the predictions of all
    runs for what they held out, with a column ``fold``, if the task writes predictions.

    Args:
        load_with_fold: loads the recipe with ``data.fold`` set to a fold, counted from 1.

    Returns:
        ``runs``, ``mean`` and ``spread`` (n - 1) of each final metric, ``folder``, and ``optimistic``: whether the best
        epoch of each run was chosen on the fold that it is evaluated on.

    Raises:
        InputError: a run of such a name has another recipe, or the folder's name is taken by something else.
    """
    first = load_with_fold(1)
    base = name or first.recipe.name or run_name(first.path)
    folder = runs / suffixed(base, "-folds")
    if entry_mode(folder) and not entry_mode(folder / FOLDS):
        raise InputError(f"{folder}: exists and is not a result of --folds. Move it, or choose another --name.")

    def train_one(fold: int) -> dict[str, Any]:
        loaded = first if fold == 1 else load_with_fold(fold)
        run = RunDir(runs / suffixed(base, f"-fold{fold}of{number}"))
        if not entry_mode(run.path / "run.json"):
            return train(loaded, runs=runs, name=run.name, device=device, console=console, split=HELD_OUT)
        check_same_recipe(run, run.read_info(), loaded)
        if run.status() != "completed":
            return resume(run, device=device, console=console, given=loaded, split=HELD_OUT)
        model_file(run)
        console.say(f"run {run.path} is complete")
        return {"run": str(run.path), **run.read_info()}

    members = [Member(str(fold), lambda fold=fold: train_one(fold)) for fold in range(1, number + 1)]  # type: ignore[misc]
    results = train_several(
        members, console=console, hint=lambda _: "\nThen train the remaining folds with the same command."
    )
    found: dict[str, Any] = {
        "runs": [result["run"] for result in results],
        **mean_and_spread([one["final"] for one in results]),
    }
    found["optimistic"] = not str(results[0]["best"]["metric"]).startswith("train_")
    replace_folder(folder, _files([RunDir(Path(run)) for run in found["runs"]], found))
    return {"folder": str(folder), **found}


def _files(runs: list[RunDir], found: dict[str, Any]) -> dict[str, bytes | str | Callable[[Path], None]]:
    """The files of the folder of folds, by name."""
    files: dict[str, bytes | str | Callable[[Path], None]] = {
        FOLDS: json_text({"command": command(), "finished": now(), **found}) + "\n"
    }
    tables = [run.evaluation(HELD_OUT) / PREDICTIONS for run in runs]
    if all(table.is_file() for table in tables):
        rows = [{"fold": fold, **row} for fold, table in enumerate(tables, start=1) for row in read_csv(table)]
        if rows and all(list(row) == list(rows[0]) for row in rows):
            files[PREDICTIONS] = rows_text(rows)
    return files
