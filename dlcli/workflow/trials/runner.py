"""Runs trials in workers until a budget is spent: what one is to try, a proposer decides from the log of those before.

A run that was killed at any moment continues from its log, and has lost at most the trials that were running. With one
worker it then tries the same as if it had never stopped; with several, the order of the log decides what follows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dlcli.errors import CheckFailed
from dlcli.workflow.trials.pool import Lost, Workers
from dlcli.workflow.trials.records import Record, TrialLog

MAX_FAILED = 10  # trials at the start; if all fail, so will the others
MAX_REFUSED = 50  # trials that exceed a limit, for each one that does not; the first ones are as hopeless


@dataclass(frozen=True)
class Proposal:
    """What is to be tried: plain JSON values, and the trial that they were derived from, if any."""

    choices: Mapping[str, Any]
    parent: int | None = None


class Proposer(Protocol):
    """Decides what is tried. What it proposes depends only on its seed and on the records, in their order."""

    def ask(self, trial: int) -> Proposal | None:
        """What to try as this trial; None if that depends on trials that are running, or if nothing is left."""

    def tell(self, record: Record) -> None:
        """A trial has ended."""


@dataclass(frozen=True)
class Plan:
    """How trials are run.

    Attributes:
        task: the task of :mod:`dlcli.workflow.trials.tasks` for what is proposed as a trial of this number.
        seed: the seed of the training of a trial; ``task`` must put it into the recipe.
        num_trials: the budget. Trials that exceed a limit and were not trained do not count.
        seconds: the budget of time; None for no limit. What earlier processes spent counts.
        seconds_a_trial: after which a trial is stopped and recorded as failed; None for no limit.
        report: called with each new record, when it is in the log.
    """

    task: Callable[[int, Proposal], Mapping[str, Any]]
    seed: Callable[[int], int]
    num_trials: int
    seconds: float | None = None
    seconds_a_trial: float | None = None
    report: Callable[[Record], None] = lambda record: None


def run_trials(log: TrialLog, proposer: Proposer, plan: Plan, pool: Workers) -> list[Record]:
    """Run trials until the budget is spent or the proposer has nothing left.

    Args:
        log: the state; the proposer receives the trials that it holds, and they are not run again.
        pool: the workers.

    Returns:
        All records, in the order of the log.

    Raises:
        InputError: the log is corrupt.
        CheckFailed: all of the first trials failed, or nearly all exceed the limits.
    """
    records = log.read()
    for record in records:
        proposer.tell(record)
    running: dict[int, Proposal] = {}
    while True:
        while pool.is_free and not _is_spent(records, len(running), plan, pool.num_workers):
            trial = _next_number(records, running)
            proposal = proposer.ask(trial)
            if proposal is None:
                break
            pool.submit(trial, plan.task(trial, proposal), seconds=plan.seconds_a_trial)
            running[trial] = proposal
        if not running:
            return records
        trial, outcome = pool.wait()
        record = _record(trial, running.pop(trial), outcome, plan)
        log.append(record)
        records.append(record)
        proposer.tell(record)
        plan.report(record)
        _check_hopeless(records)


def _next_number(records: Sequence[Record], running: Mapping[int, Proposal]) -> int:
    """The smallest number without a trial: one that a killed process was running is run again."""
    used = {*(record.trial for record in records), *running}
    return next(number for number in range(len(used) + 1) if number not in used)


def _is_spent(records: Sequence[Record], num_running: int, plan: Plan, num_workers: int) -> bool:
    num_trained = sum(record.status != "refused" for record in records)
    if num_trained + num_running >= plan.num_trials:
        return True
    num_refused = len(records) - num_trained
    if num_refused >= MAX_REFUSED * max(1, num_trained):
        raise CheckFailed(
            f"{num_refused:,} of {len(records):,} trials exceed the limits; the smallest networks have "
            f"{_smallest(records)}. Raise the limits of the objective, or make the networks of trials smaller."
        )
    return plan.seconds is not None and sum(record.seconds for record in records) / num_workers >= plan.seconds


def _smallest(records: Sequence[Record]) -> str:
    """The smallest of each cost: ``12,000 multiply-adds and 800 parameters``."""
    costs = dict.fromkeys(name for record in records for name in record.cost)
    least = {name: min(record.cost[name] for record in records if name in record.cost) for name in costs}
    return " and ".join(f"{value:,.0f} {name.replace('_', '-')}" for name, value in least.items())


def _check_hopeless(records: Sequence[Record]) -> None:
    trained = [record for record in records if record.status != "refused"]
    if len(trained) >= MAX_FAILED and all(record.status == "failed" for record in trained):
        raise CheckFailed(f"the first {len(trained)} trials failed. The last one: {trained[-1].error}")


def _record(trial: int, proposal: Proposal, outcome: dict[str, Any] | Lost, plan: Plan) -> Record:
    if isinstance(outcome, Lost):
        outcome = {"status": "failed", "metrics": {}, "cost": {}, "seconds": outcome.seconds, "error": outcome.reason}
    return Record(
        trial=trial,
        parent=proposal.parent,
        choices=proposal.choices,
        status=outcome["status"],
        metrics=outcome["metrics"],
        cost=outcome["cost"],
        seconds=outcome["seconds"],
        seed=plan.seed(trial),
        error=outcome["error"],
    )
