"""The trials of a sweep in its directory."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import CheckFailed
from dlcli.printing import escaped_line
from dlcli.training.direction import lower_is_better
from dlcli.workflow.sweep.design import Design
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
from dlcli.workflow.trials.directory import StudyDir
from dlcli.workflow.trials.records import Record, TrialLog
from dlcli.workflow.trials.runner import Plan, Proposal, run_trials
from dlcli.workflow.trials.work import Setting

MAX_SHOWN_ERROR = 100  # characters of an error in a line about a trial
NO_LIMIT = 10**9  # trials, where hours or the proposer limit them


def log_of_trials(path: Path, design: Design, objective: str) -> TrialLog:
    """The log of a sweep."""
    return TrialLog(
        path, lambda record: mistake(record, design.space, objective, section=design.section, epochs=design.epochs)
    )


class Trials:
    """The trials of a sweep in its directory.

    Args:
        folder: the directory.
        design: what the sweep does.
        objective: of the trials.
        setting: where they are run.

    Raises:
        InputError: the log is corrupt.
    """

    def __init__(self, folder: StudyDir, design: Design, objective: str, setting: Setting) -> None:
        self._folder, self._design, self._objective, self._setting = folder, design, objective, setting
        self._recipe = design.recipe_of_trials(objective)
        where = {"device": setting.device, "runs": str(setting.runs)}
        self._common = {**where, "recipe": self._recipe, "path": str(design.loaded.path)}
        self._seeds = [design.seed + number for number in range(design.section.seeds)]
        self._proposer: SweepProposer = make_proposer(
            design.section, design.space, objective=objective, epochs=design.epochs, seed=design.seed
        )
        self.log = log_of_trials(folder.trials, design, objective)
        self._records: list[Record] = self.log.read()

    def run(self) -> dict[str, Any]:
        """Run the trials that are left; returns the result.

        Raises:
            CheckFailed: no trial was trained to its end.
        """
        if self._records:
            self._setting.console.say(f"{len(self._records)} trials of {self._folder.trials.name} are kept")
        section = self._design.section
        total = self._design.num_trials
        if section.asha is not None:
            self._folder.paused.mkdir(exist_ok=True)
        hours = None if self._setting.replays is not None else section.budget.hours
        plan = Plan(
            task=self._task,
            seed=lambda trial: self._design.seed,
            num_trials=NO_LIMIT if section.asha is not None or total is None else total,
            seconds=None if hours is None else 3600 * hours,
            report=self._report,
        )
        proposer = self._setting.proposer(self._proposer, self.log)
        records = run_trials(self.log, proposer, plan, self._setting.pool)
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
        self._write_table(self._records)
        self._remove_checkpoints(self._proposer.continuable())
        self._setting.console.say(self._line(record))

    def _write_table(self, records: Sequence[Record]) -> None:
        write_table(
            self._folder, records, self._design.space, own=self._design.own_values, number_of=self._proposer.number
        )

    def _remove_checkpoints(self, needed: set[int]) -> None:
        if self._folder.paused.exists():
            for path in self._folder.paused.iterdir():
                if path.name.isdecimal() and int(path.name) not in needed:
                    shutil.rmtree(path)

    def _line(self, record: Record) -> str:
        """``trial 7 of 21  model.dropout 0.3  val_accuracy 0.9722  12.3 s  best 0.9778 (trial 3)``"""
        total, number = self._design.num_trials, self._proposer.number(record)
        started = sum(one.parent is None for one in self._records)
        of_total = f" ({started} of {total})" if total is not None else ""
        shown = ", ".join(f"{key} {shown_value(value)}" for key, value in values_of(record.choices).items())
        shown = shown or "the recipe's values"
        if EPOCHS in record.choices:
            shown += f", to epoch {record.choices[EPOCHS]}"
        if record.status != "complete":
            error = escaped_line((record.error or "").splitlines()[0][:MAX_SHOWN_ERROR])
            return f"trial {number}{of_total}  {shown}  {record.status}: {error}"
        best = best_of(self._records, self._objective)
        assert best is not None
        return (
            f"trial {number}{of_total}  {shown}  {self._objective} {record.metrics[self._objective]:.4f}  "
            f"{record.seconds:.1f} s  best {best.metrics[self._objective]:.4f} (trial {self._proposer.number(best)})"
        )

    def _result(self, records: Sequence[Record], best: Record) -> dict[str, Any]:
        folder, design, objective = self._folder, self._design, self._objective
        self._write_table(records)
        number = self._proposer.number(best)
        write_best(folder, self._recipe, design.loaded.path, best, objective=objective, number=number)
        importance = importance_of(records, design.space, objective, design.seed)
        if any(values_of(record.choices) for record in records if record.status == "complete"):
            write_plots(folder, records, design.space, objective, importance)
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
            "best": self._of_record(best),
            "baseline": None if baseline is None else self._of_record(baseline),
            "importance": importance,
        }

    def _of_record(self, record: Record) -> dict[str, Any]:
        return {
            "trial": self._proposer.number(record),
            "values": dict(values_of(record.choices)) or self._design.own_values,
            self._objective: record.metrics[self._objective],
            "spread": record.metrics.get("spread"),
            "epoch": record.metrics["epoch"],
        }
