"""``dlcli sweep``: trials with different values of some keys of a recipe, each a short training in a worker process.

The log of trials is the state: a sweep that was killed at any moment is resumed from it. This process imports no
TensorFlow; its workers do. The test split is never evaluated.
"""

import importlib.util
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import CheckFailed, InputError, Interrupted, Terminated
from dlcli.printing import escaped_line
from dlcli.recipe.language.overrides import Override
from dlcli.recipe.load import LoadedRecipe, load_text
from dlcli.recipe.sections.sweep import Sweep
from dlcli.recipe.yaml_writer import resolved, to_yaml, with_tuples
from dlcli.rundir.runs import now
from dlcli.rundir.writing import replace_file, replace_json
from dlcli.runtime.console import Console
from dlcli.search.keys.space import Options, Space, combinations
from dlcli.training.direction import lower_is_better
from dlcli.workflow.sweep.files import (
    best_of,
    epochs_of,
    importance_of,
    is_baseline,
    shown_value,
    write_best,
    write_plots,
    write_table,
)
from dlcli.workflow.sweep.proposer import EPOCHS, AshaProposer, SweepProposer, make_proposer, mistake, values_of
from dlcli.workflow.sweep.space import objective_of, space_of
from dlcli.workflow.trials.check import check_in_worker
from dlcli.workflow.trials.directory import StudyDir, create_study
from dlcli.workflow.trials.pool import Pool
from dlcli.workflow.trials.records import Record, TrialLog
from dlcli.workflow.trials.runner import Plan, Proposal, run_trials

MAX_SHOWN_ERROR = 100  # characters of an error in a line about a trial
MAX_GRID = 100_000  # combinations
NO_LIMIT = 10**9  # trials, where hours or the proposer limit them


class Study:
    """What a sweep does, as its recipe says.

    Args:
        loaded: the recipe.

    Raises:
        InputError: it has no ``sweep`` section, or one that cannot be used.
    """

    def __init__(self, loaded: LoadedRecipe) -> None:
        self.loaded = loaded
        self.section = _section_of(loaded)
        self.written = _written(loaded)
        self.space: Space = space_of(loaded, self._load_with)
        self.named_objective = objective_of(loaded, self._load_with)
        recipe = loaded.recipe
        if self.section.asha is not None and recipe.train.stages:
            raise loaded.error("sweep.method", "asha needs train.epochs, and cannot be combined with train.stages")
        if self.section.method == "tpe" and importlib.util.find_spec("optuna") is None:
            raise loaded.error("sweep.method", "tpe needs Optuna; install it with: pip install 'dlcli[sweep]'")
        self._check_grid()
        self.epochs = sum(stage.epochs for stage in recipe.train.stages) or recipe.train.epochs
        self.seed = recipe.train.seed

    def _load_with(self, overrides: Sequence[Override]) -> LoadedRecipe:
        return load_text(to_yaml(self.written).encode(), self.loaded.path, overrides)

    def _check_grid(self) -> None:
        budget = self.section.budget.trials
        if self.section.method != "grid":
            return
        size = combinations({key: axis for key, axis in self.space.items() if isinstance(axis, Options)})
        if size is not None and size > MAX_GRID:
            raise self.loaded.error(
                "sweep.space",
                f"a grid may have at most {MAX_GRID:,} combinations. Received {size:,}; use method: random",
            )
        if budget is not None and size is not None and budget < size:
            raise self.loaded.error(
                "sweep.budget.trials", f"the grid has {size:,} combinations. Received {budget:,}; raise or remove it"
            )

    @property
    def num_trials(self) -> int | None:
        """The number of trials that start, the baseline included; None if the space does not limit it."""
        limits = [self.section.budget.trials, combinations(self.space) if self.section.method != "tpe" else None]
        known = [limit for limit in limits if limit is not None]
        return min(known) + self.section.baseline if known else None

    def recipe_of_trials(self, objective: str) -> dict[str, Any]:
        """The recipe without what a trial changes; its best epoch is that of the objective."""
        train = dict(self.written.get("train") or {})
        train.setdefault("best_metric", objective)
        return {**self.written, "train": train}


def _section_of(loaded: LoadedRecipe) -> Sweep:
    if loaded.recipe.sweep is None:
        raise InputError(
            f"{loaded.path}: a sweep section is missing, such as sweep: {{space: {{train.optimizer.learning_rate: "
            "{log: [1e-4, 0.1]}}, budget: {trials: 20}}. See docs/guide/sweep.md."
        )
    return loaded.recipe.sweep


def _written(loaded: LoadedRecipe) -> dict[str, Any]:
    """The recipe as it was written, with the values of the command line, without ``name`` and ``sweep``.

    What is not written stays open: a default may depend on what a trial changes.
    """
    return {key: value for key, value in loaded.tree.values.items() if key not in ("name", "sweep")}


def sweep(
    loaded: LoadedRecipe, *, name: str, runs: Path, device: str, command: Sequence[str], console: Console
) -> dict[str, Any]:
    """Run a new sweep to its end.

    Args:
        name: of its directory.
        command: the command line, for the record.

    Returns:
        The final content of sweep.json, and ``sweep``, the directory.

    Raises:
        InputError: the recipe or its data cannot be used; nothing was created.
        CheckFailed: no trial could be trained.
        Interrupted: a signal was received; the sweep can be resumed.
    """
    study = Study(loaded)
    with Pool(study.section.workers) as pool:
        facts = _check(study, pool, runs=runs, device=device, console=console)

        def write(folder: StudyDir) -> None:
            replace_file(folder.recipe, loaded.text)
            info = {
                "status": "running",
                "command": list(command),
                "started": now(),
                "path": str(loaded.path.absolute()),
                "written": loaded.tree.values,
                "config": resolved(loaded.recipe),
                "objective": facts["objective"],
                "samples": facts["splits"],
                "fingerprint": facts["fingerprint"],
            }
            replace_json(folder.info, info)

        folder = create_study(runs, name, "sweep", write)
        return _finish(folder, study, facts["objective"], pool, runs=runs, device=device, console=console)


def resume(folder: StudyDir, *, device: str, command: Sequence[str], console: Console) -> dict[str, Any]:
    """Resume a sweep that was interrupted, from its log.

    Returns:
        As `sweep`.

    Raises:
        InputError: it is complete, in use or corrupt.
    """
    folder.lock()
    try:
        return _resume(folder, device=device, command=command, console=console)
    finally:
        folder.unlock()


def _resume(folder: StudyDir, *, device: str, command: Sequence[str], console: Console) -> dict[str, Any]:
    info = folder.read_info()
    if info["status"] == "completed":
        raise InputError(f"{folder.path}: this sweep is complete. Its best recipe is {folder.best}.")
    if not isinstance(info.get("written"), dict) or not isinstance(info.get("path"), str):
        raise InputError(f"{folder.info}: is corrupt: 'written' or 'path' is missing. Restore it from a copy.")
    study = Study(load_text(to_yaml(with_tuples(info["written"])).encode(), Path(info["path"])))
    folder.remove_leftovers()
    resumed = [*info.get("resumed", []), {"time": now(), "command": list(command)}]
    runs = folder.path.parent
    with Pool(study.section.workers) as pool:
        facts = _check(study, pool, runs=runs, device=device, console=console)
        if facts["fingerprint"] != info.get("fingerprint"):
            raise InputError(f"{folder.path}: the data have changed since the sweep was started. Restore them.")
        folder.update_info(status="running", resumed=resumed)
        return _finish(folder, study, facts["objective"], pool, runs=runs, device=device, console=console)


def _check(study: Study, pool: Pool, *, runs: Path, device: str, console: Console) -> dict[str, Any]:
    """Have a worker read the data and build the recipe's own network; returns what it found, with the ``objective``.

    Raises:
        InputError: the data, the recipe or its objective cannot be used.
    """
    loaded = study.loaded
    console.say("checking the data and starting the workers")
    task = {"device": device, "recipe": study.written, "path": str(loaded.path), "runs": str(runs)}
    outcome = check_in_worker(pool, task, loaded, console)
    objective = study.named_objective or outcome["best_metric"]
    if objective not in outcome["columns"]:
        known = ", ".join(name for name in outcome["columns"] if name.startswith("val_")) or "none"
        raise loaded.error(
            "sweep.objective", f"the trials have no {objective}; with this recipe the validation metrics are: {known}"
        )
    if not objective.startswith("val_"):
        console.warn(f"the objective is {objective}: the trial that fits the training data best wins")
    return {**outcome, "objective": objective}


def _finish(
    folder: StudyDir, study: Study, objective: str, pool: Pool, *, runs: Path, device: str, console: Console
) -> dict[str, Any]:
    """Run the trials that are left, and complete sweep.json."""
    console.log = folder.log
    console.say(f"sweep {folder.path}: {study.section.method}, {objective}")
    trials = _Trials(folder, study, objective, console, common={"device": device, "runs": str(runs)})
    try:
        result = trials.run(pool)
    except (KeyboardInterrupt, Terminated) as stop:
        number = stop.signal_number if isinstance(stop, Terminated) else signal.SIGINT
        folder.update_info(status="interrupted")
        done = len(trials.log.read())
        raise Interrupted(
            f"stopped after {done} trials. Resume with: dlcli sweep --resume {folder.path}", number
        ) from None
    except CheckFailed as error:
        folder.update_info(status="failed", reason=str(error))
        raise
    finally:
        console.close()
        folder.unlock()
    folder.update_info(status="completed", reason=None, finished=now(), **result)
    return {"sweep": str(folder.path), **folder.read_info()}


class _Trials:
    """The trials of a sweep in its directory."""

    def __init__(
        self, folder: StudyDir, study: Study, objective: str, console: Console, *, common: dict[str, Any]
    ) -> None:
        self._folder, self._study, self._objective, self._console = folder, study, objective, console
        self._recipe = study.recipe_of_trials(objective)
        self._common = {**common, "recipe": self._recipe, "path": str(study.loaded.path)}
        self._seeds = [study.seed + number for number in range(study.section.seeds)]
        self._proposer: SweepProposer = make_proposer(
            study.section, study.space, objective=objective, epochs=study.epochs, seed=study.seed
        )
        self.log = TrialLog(
            folder.trials,
            lambda record: mistake(record, study.space, objective, has_epochs=study.section.asha is not None),
        )
        self._records: list[Record] = self.log.read()

    def run(self, pool: Pool) -> dict[str, Any]:
        """Run the trials that are left; returns the result."""
        if self._records:
            self._console.say(f"{len(self._records)} trials of {self._folder.trials.name} are kept")
        section = self._study.section
        total = self._study.num_trials
        if section.asha is not None:
            self._folder.paused.mkdir(exist_ok=True)
        plan = Plan(
            task=self._task,
            seed=lambda trial: self._study.seed,
            num_trials=NO_LIMIT if section.asha is not None or total is None else total,
            seconds=None if section.budget.hours is None else 3600 * section.budget.hours,
            report=self._report,
        )
        records = run_trials(self.log, self._proposer, plan, pool)
        best = best_of(records, self._objective)
        if best is None:
            raise CheckFailed("no trial was trained to its end. See trials.csv for the errors.")
        return self._result(records, best)

    def _task(self, trial: int, proposal: Proposal) -> dict[str, Any]:
        task = {**self._common, "changes": values_of(proposal.choices)}
        if isinstance(self._proposer, AshaProposer):
            root = self._proposer.root(trial, proposal.parent)
            folder = str(self._folder.paused / f"{root:04d}")
            return {**task, "kind": "rung", "folder": folder, "until": proposal.choices[EPOCHS]}
        folder = str(self._folder.path)
        return {**task, "kind": "seeds", "folder": folder, "seeds": self._seeds, "objective": self._objective}

    def _report(self, record: Record) -> None:
        self._records.append(record)
        write_table(self._folder, self._records, self._study.space)
        self._remove_checkpoints(self._proposer.continuable())
        self._console.say(self._line(record))

    def _remove_checkpoints(self, needed: set[int]) -> None:
        if self._folder.paused.exists():
            for path in self._folder.paused.iterdir():
                if path.name.isdecimal() and int(path.name) not in needed:
                    shutil.rmtree(path)

    def _line(self, record: Record) -> str:
        """``trial 7 of 21  model.dropout 0.3  val_accuracy 0.9722  12.3 s  best 0.9778 (trial 3)``"""
        total = self._study.num_trials
        started = sum(one.parent is None for one in self._records)
        of_total = f" ({started} of {total})" if total is not None else ""
        shown = ", ".join(f"{key} {shown_value(value)}" for key, value in values_of(record.choices).items())
        shown = shown or "the recipe's values"
        if EPOCHS in record.choices:
            shown += f", to epoch {record.choices[EPOCHS]}"
        if record.status != "complete":
            error = escaped_line((record.error or "").splitlines()[0][:MAX_SHOWN_ERROR])
            return f"trial {record.trial}{of_total}  {shown}  {record.status}: {error}"
        best = best_of(self._records, self._objective)
        assert best is not None
        return (
            f"trial {record.trial}{of_total}  {shown}  {self._objective} {record.metrics[self._objective]:.4f}  "
            f"{record.seconds:.1f} s  best {best.metrics[self._objective]:.4f} (trial {best.trial})"
        )

    def _result(self, records: Sequence[Record], best: Record) -> dict[str, Any]:
        folder, study, objective = self._folder, self._study, self._objective
        write_table(folder, records, study.space)
        write_best(folder, self._recipe, study.loaded.path, best, objective)
        importance = importance_of(records, study.space, objective, study.seed)
        if any(values_of(record.choices) for record in records if record.status == "complete"):
            write_plots(folder, records, study.space, objective, importance)
        if folder.paused.exists():
            shutil.rmtree(folder.paused)
        baseline = next((record for record in records if is_baseline(record)), None)
        return {
            "objective": objective,
            "is_lower_better": lower_is_better(objective),
            "trials": sum(record.parent is None for record in records),
            "failed": sum(record.status == "failed" for record in records),
            "epochs": sum(epochs_of(records)),
            "seconds": round(sum(record.seconds for record in records), 3),
            "best": _of_record(best, objective),
            "baseline": None if baseline is None else _of_record(baseline, objective),
            "importance": importance,
        }


def _of_record(record: Record, objective: str) -> dict[str, Any]:
    return {
        "trial": record.trial,
        "values": dict(values_of(record.choices)),
        objective: record.metrics[objective],
        "spread": record.metrics.get("spread"),
        "epoch": record.metrics["epoch"],
    }
