"""``dlcli train --folds``: cross-validation, a run for each fold, resumed where it was stopped."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.printing import json_text
from dlcli.recipe.load import LoadedRecipe
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import check_keys, entry_mode, read_json
from dlcli.rundir.runs import now, run_name, suffixed
from dlcli.rundir.tables import read_csv, rows_text
from dlcli.rundir.writing import replace_folder
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.checks import data_difference
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.run_models import model_file
from dlcli.workflow.label_errors import FOLDS, PREDICTIONS
from dlcli.workflow.same_recipe import check_same_recipe
from dlcli.workflow.several import Member, mean_and_spread, train_several
from dlcli.workflow.train import command, resume, train

HELD_OUT = "validation"  # the split that a fold is in its run
RESUME_HINT = "\nThe command with --folds resumes it too, and trains the remaining folds."


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

    Runs of these names with the same recipe and data are used as they are if they are complete, and resumed if not.
    Then ``runs/<name>-folds/`` is written: folds.json with the result, and predictions.csv with the predictions of all
    runs for what they held out, with a column ``fold``, if the task writes predictions.

    Args:
        load_with_fold: loads the recipe with ``data.fold`` set to a fold, counted from 1.

    Returns:
        ``runs``, ``mean`` and ``spread`` (n - 1) of each final metric, ``folder``, and ``optimistic``: whether the best
        epoch of each run was chosen on the fold that it is evaluated on.

    Raises:
        InputError: a run of such a name has another recipe or other data, or the folder's name is taken by something
            else, such as the result of another number of folds.
    """
    first = load_with_fold(1)
    base = name or first.recipe.name or run_name(first.path)
    folder = runs / suffixed(base, "-folds")
    _check_result(folder, number)
    _check_other_folds(runs, base, number)
    fold_runs = {fold: RunDir(runs / suffixed(base, f"-fold{fold}of{number}")) for fold in range(1, number + 1)}
    existing = {fold: run for fold, run in fold_runs.items() if entry_mode(run.path / "run.json")}
    for fold, run in existing.items():  # before any is trained
        _check_trained(run, load_with_fold(fold))

    def train_one(fold: int) -> dict[str, Any]:
        loaded, run = load_with_fold(fold), fold_runs[fold]
        if fold not in existing:
            return train(loaded, runs=runs, name=run.name, device=device, console=console)
        if run.status() != "completed":
            return resume(run, device=device, console=console, given=loaded)
        console.say(f"run {run.path} is complete")
        return {"run": str(run.path), **run.read_info()}

    members = [Member(str(fold), lambda fold=fold: train_one(fold)) for fold in fold_runs]  # type: ignore[misc]
    results = train_several(members, console=console, hint=lambda _: RESUME_HINT)
    found: dict[str, Any] = {
        "runs": [result["run"] for result in results],
        **mean_and_spread([one["final"] for one in results]),
    }
    found["optimistic"] = not str(results[0]["best"]["metric"]).startswith("train_")
    replace_folder(folder, _files([RunDir(Path(run)) for run in found["runs"]], found))
    return {"folder": str(folder), **found}


def _check_result(folder: Path, number: int) -> None:
    """Refuse a folder for the result that is not one of as many folds."""
    if not entry_mode(folder):
        return
    if not entry_mode(folder / FOLDS):
        raise InputError(f"{folder}: exists and is not a result of --folds. Move it, or choose another --name.")
    found = read_json(folder / FOLDS)
    check_keys(folder / FOLDS, found, runs=list)
    if len(found["runs"]) != number:
        raise InputError(
            f"{folder}: is the result of --folds {len(found['runs'])}. Move or delete it, or choose another --name."
        )


def _check_other_folds(runs: Path, base: str, number: int) -> None:
    """Refuse runs of another number of folds of the same name, whose set may be unfinished."""
    for path in sorted(runs.glob("*-fold*of*/run.json")):
        fold = re.search(r"-fold\d+of(\d+)$", path.parent.name)
        if fold and int(fold[1]) != number and path.parent.name == suffixed(base, fold[0]):
            raise InputError(
                f"{path.parent}: is a run of --folds {fold[1]}. Remove the runs of that set, or choose another --name."
            )


def _check_trained(run: RunDir, loaded: LoadedRecipe) -> None:
    """Refuse the run of a fold that has another recipe or, if it is complete, other data."""
    info = run.read_info()
    check_same_recipe(run, info, loaded)
    if run.status() != "completed":
        return
    model_file(run)
    for name, value in (info.get("final") or {}).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{run.info}: is corrupt: the final metric '{name}' is no number. Restore it from a copy.")
    if info.get("evaluated") != HELD_OUT:
        raise InputError(
            f"{run.path}: was evaluated on {info.get('evaluated')}, not on its fold. Remove it, and give the "
            "same command again."
        )
    dataset = task_of(loaded.recipe).open_data(loaded, Console(quiet=True))
    if difference := data_difference(run, dataset):
        raise InputError(
            f"{run.path}: was trained on other data: {difference}. Restore them, or train all folds anew under another "
            "--name."
        )


def _files(runs: list[RunDir], found: dict[str, Any]) -> dict[str, bytes | str | Callable[[Path], None]]:
    """The files of the folder of folds, by name."""
    files: dict[str, bytes | str | Callable[[Path], None]] = {
        FOLDS: json_text({"command": command(), "finished": now(), **found}) + "\n"
    }
    if any((run.evaluation(HELD_OUT) / PREDICTIONS).is_file() for run in runs):
        rows = [{"fold": fold, **row} for fold, run in enumerate(runs, start=1) for row in _held_out(run)]
        if all(list(row) == list(rows[0]) for row in rows):
            files[PREDICTIONS] = rows_text(rows)
    return files


def _held_out(run: RunDir) -> list[dict[str, str]]:
    """The predictions of a run for its fold.

    Raises:
        InputError: they are missing, or, of classes, those of some samples are.
    """
    table = run.evaluation(HELD_OUT) / PREDICTIONS
    rows = read_csv(table) if table.is_file() else []
    missing = 0
    if rows and {"file", "correct"} <= rows[0].keys():
        held_out = {row["file"] for row in read_csv(run.split) if row["split"] == HELD_OUT}
        predicted = {row["file"] for row in rows}
        missing = len(held_out - predicted) if predicted <= held_out else 0
    if not rows or missing:
        what = f"lacks {missing:,} of the samples" if rows else "is missing or has no rows"
        raise InputError(f"{table}: {what}. Evaluate the run again with: dlcli evaluate {run.path} --split {HELD_OUT}")
    return rows
