"""``dlcli sweep``: trials with different values of some keys of a recipe, each a short training in a worker process.

The log of trials is the state: a sweep that was killed at any moment is resumed from it. This process imports no
TensorFlow; its workers do. The test split is never evaluated.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, load_text
from dlcli.recipe.yaml_writer import to_yaml, with_tuples
from dlcli.runtime.console import Console
from dlcli.workflow.sweep.design import Design
from dlcli.workflow.sweep.trials import Trials
from dlcli.workflow.trials.check import check_in_worker
from dlcli.workflow.trials.directory import TRIALS, StudyDir
from dlcli.workflow.trials.pool import Workers
from dlcli.workflow.trials.ray_pool import open_workers
from dlcli.workflow.trials.study import complete, mark_resumed, new_study, resuming


def sweep(
    loaded: LoadedRecipe,
    *,
    name: str,
    runs: Path,
    device: str,
    ray: str | None,
    command: Sequence[str],
    console: Console,
) -> dict[str, Any]:
    """Run a new sweep to its end.

    Args:
        name: of its directory.
        ray: the address of a Ray cluster that runs the trials; None for processes of this machine.
        command: the command line, for the record.

    Returns:
        The final content of sweep.json, and ``sweep``, the directory.

    Raises:
        InputError: the recipe or its data cannot be used; nothing was created.
        CheckFailed: no trial could be trained.
        Interrupted: a signal was received; the sweep can be resumed.
    """
    design = Design(loaded)
    with open_workers(design.section.workers, ray, device) as pool:
        facts = _check(design, pool, runs=runs, device=device, console=console)
        info = {
            "path": str(loaded.path.absolute()),
            "written": loaded.tree.values,
            "objective": facts["objective"],
        }
        study = new_study(runs, name, "sweep", loaded=loaded, facts=facts, command=command, logs=[TRIALS], info=info)
        return _finish(study, design, facts["objective"], pool, device=device, console=console)


def resume(
    study: StudyDir, *, device: str, ray: str | None, command: Sequence[str], console: Console
) -> dict[str, Any]:
    """Resume a sweep that was interrupted, from its log.

    Returns:
        As `sweep`.

    Raises:
        InputError: it is complete, in use or corrupt, or its data have changed.
    """
    with resuming(study) as info:
        if not isinstance(info.get("path"), str):
            raise InputError(f"{study.info}: is corrupt: 'path' is missing. Restore it from a copy.")
        design = Design(load_text(to_yaml(with_tuples(info["written"])).encode(), Path(info["path"])))
        with open_workers(design.section.workers, ray, device) as pool:
            facts = _check(design, pool, runs=study.path.parent, device=device, console=console)
            mark_resumed(study, facts, command)
            return _finish(study, design, facts["objective"], pool, device=device, console=console)


def _check(design: Design, pool: Workers, *, runs: Path, device: str, console: Console) -> dict[str, Any]:
    """Have a worker read the data and build the recipe's own network; returns what it found, with the ``objective``.

    Raises:
        InputError: the data, the recipe or its objective cannot be used.
    """
    loaded = design.loaded
    console.say("checking the data and starting the workers")
    task = {"device": device, "recipe": design.written, "path": str(loaded.path), "runs": str(runs)}
    outcome = check_in_worker(pool, task, loaded, console)
    objective = design.named_objective or outcome["best_metric"]
    if objective not in outcome["columns"]:
        known = ", ".join(name for name in outcome["columns"] if name.startswith("val_")) or "none"
        raise loaded.error(
            "sweep.objective", f"the trials have no {objective}; with this recipe the validation metrics are: {known}"
        )
    for warning in design.warnings(objective, num_train=outcome["splits"]["train"]):
        console.warn(warning)
    return {**outcome, "objective": objective}


def _finish(
    study: StudyDir, design: Design, objective: str, pool: Workers, *, device: str, console: Console
) -> dict[str, Any]:
    """Run the trials that are left, and complete sweep.json."""
    common = {"device": device, "runs": str(study.path.parent)}

    def run() -> dict[str, Any]:
        console.say(f"sweep {study.path}: {design.section.method}, {objective}")
        return Trials(study, design, objective, console, common=common).run(pool)

    return {"sweep": str(study.path), **complete(study, console, run)}
