"""Trials are run until the budget is spent, and a run that was killed continues from its log."""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import CheckFailed
from dlcli.workflow.trials.pool import Pool
from dlcli.workflow.trials.records import Record, TrialLog
from dlcli.workflow.trials.runner import Plan, Proposal, run_trials

COMMAND = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


class Climbing:
    """Proposes one more than the best value so far, so that what is proposed depends on all earlier records."""

    def __init__(self, *, length: int = 1000) -> None:
        self.best, self.parent, self._length = 0.0, None, length
        self.told: list[Record] = []

    def ask(self, trial: int) -> Proposal | None:
        return Proposal({"value": self.best + trial}, self.parent) if trial < self._length else None

    def tell(self, record: Record) -> None:
        self.told.append(record)
        if record.metrics.get("val_accuracy", 0) > self.best:
            self.best, self.parent = record.metrics["val_accuracy"], record.trial


def plan(*, num_trials: int = 5, do: Callable[[int], str] = lambda trial: "train", **more: Any) -> Plan:
    def task(trial: int, proposal: Proposal) -> dict[str, Any]:
        return {"do": do(trial), "value": proposal.choices["value"]}

    return Plan(task=task, seed=lambda trial: 100 + trial, num_trials=num_trials, **more)


def without_process(records: list[Record]) -> list[Any]:
    return [(r.trial, r.parent, r.choices, r.status, r.metrics.get("val_accuracy"), r.seed, r.error) for r in records]


def test_a_killed_run_continues_to_the_same_trials(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(record: Record) -> None:
        raise Killed

    with Pool(1, command=COMMAND) as pool:
        expected = run_trials(TrialLog(tmp_path / "whole.jsonl"), Climbing(), plan(), pool)
    assert [record.trial for record in expected] == list(range(5))
    assert [record.metrics["val_accuracy"] for record in expected] == [0, 1, 3, 6, 10]
    assert [record.parent for record in expected] == [None, None, 1, 2, 3]
    assert [record.seed for record in expected] == [100, 101, 102, 103, 104]
    log = TrialLog(tmp_path / "killed.jsonl")
    for _ in range(5):
        with contextlib.suppress(Killed), Pool(1, command=COMMAND) as pool:
            run_trials(log, Climbing(), plan(report=kill), pool)
    proposer = Climbing()
    with Pool(1, command=COMMAND) as pool:
        found = run_trials(log, proposer, plan(), pool)
        assert pool.num_running == 0
    assert without_process(found) == without_process(expected) == without_process(log.read())
    assert without_process(proposer.told) == without_process(expected)


def test_what_crashes_hangs_or_fails_is_recorded_and_what_is_refused_does_not_count(tmp_path: Path) -> None:
    what = ["train", "crash", "refused", "failed", "hang", "train"]
    log = TrialLog(tmp_path / "trials.jsonl")
    with Pool(2, command=COMMAND) as pool:
        run_trials(log, Climbing(), plan(do=lambda trial: what[trial], seconds_a_trial=6), pool)
    records = sorted(log.read(), key=lambda record: record.trial)
    statuses = ["complete", "failed", "refused", "failed", "failed", "complete"]
    assert [record.status for record in records] == statuses
    assert [record.error is None for record in records] == [status == "complete" for status in statuses]
    assert records[4].error == "took longer than the limit on its time, and was stopped"


def test_a_number_that_a_killed_process_was_running_is_run_again(tmp_path: Path) -> None:
    log = TrialLog(tmp_path / "trials.jsonl")
    with Pool(1, command=COMMAND) as pool:
        records = run_trials(TrialLog(tmp_path / "other.jsonl"), Climbing(), plan(num_trials=3), pool)
        log.append(records[0])
        log.append(replace(records[2], parent=0))
        run_trials(log, Climbing(), plan(num_trials=4), pool)
    assert [record.trial for record in log.read()] == [0, 2, 1, 3]


def test_the_time_may_end_it_and_so_may_the_proposer(tmp_path: Path) -> None:
    with Pool(1, command=COMMAND) as pool:
        assert len(run_trials(TrialLog(tmp_path / "a"), Climbing(), plan(seconds=1.5), pool)) == 3  # of 0.5 s each
        assert len(run_trials(TrialLog(tmp_path / "b"), Climbing(length=2), plan(), pool)) == 2


def test_a_hopeless_run_is_stopped(tmp_path: Path) -> None:
    with Pool(1, command=COMMAND) as pool:
        with pytest.raises(CheckFailed, match=r"the first 10 trials failed. The last one: it failed"):
            run_trials(TrialLog(tmp_path / "a"), Climbing(), plan(num_trials=20, do=lambda _: "failed"), pool)
        with pytest.raises(
            CheckFailed, match=r"50 of 50 trials exceed the limits; the smallest networks have 7 parameters. R"
        ):
            run_trials(TrialLog(tmp_path / "b"), Climbing(), plan(num_trials=9, do=lambda _: "refused"), pool)
