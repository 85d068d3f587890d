"""Connects the methods of a sweep with the runner of trials.

The choices of a trial are the values of the keys; those of the recipe itself have none. For ASHA they also hold the
``epochs`` to which it trains, which is no key of a recipe.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from dlcli.recipe.language.wording import listed
from dlcli.recipe.sections.sweep import Asha as AshaSection
from dlcli.recipe.sections.sweep import Sweep
from dlcli.search.keys.asha import Asha, Job, rung_epochs
from dlcli.search.keys.samplers import Grid, Random, Sampler, Tpe, same
from dlcli.search.keys.space import Axis, Options, Space
from dlcli.training.direction import lower_is_better
from dlcli.workflow.trials.records import Record
from dlcli.workflow.trials.runner import Proposal

EPOCHS = "epochs"


def score(record: Record, objective: str) -> float | None:
    """The value of the objective, negative where lower is better; None for a trial that is not complete."""
    value = record.metrics.get(objective) if record.status == "complete" else None
    return value if value is None or not lower_is_better(objective) else -value


def mistake(record: Record, space: Space, objective: str, *, section: Sweep, epochs: int) -> str | None:
    """What is wrong with a record that this sweep cannot have written; None if nothing is.

    Args:
        section: the ``sweep`` section of the recipe.
        epochs: of a whole training.
    """
    has_epochs = section.asha is not None
    if section.asha is not None and (
        reason := _mistake_in_rungs(record, section.asha, epochs=epochs, has_baseline=section.baseline)
    ):
        return reason
    if record.status == "complete" and not {objective, "epoch"} <= record.metrics.keys():
        return f"the metrics of a complete trial must have {objective} and epoch"
    values = values_of(record.choices) if has_epochs else record.choices
    if not values and record.trial == 0:  # the recipe's own
        return None
    if values.keys() != space.keys():
        return f"the choices must have {', '.join(space)}"
    wrong = next((key for key, axis in space.items() if not _is_on(axis, values[key])), None)
    return None if wrong is None else f"the value of {wrong} is not in the space of this sweep"


def _mistake_in_rungs(record: Record, asha: AshaSection, *, epochs: int, has_baseline: bool) -> str | None:
    """What is wrong with the epochs or the parent of a record of ASHA; None if nothing is."""
    found = record.choices.get(EPOCHS)
    if type(found) is not int:
        return f"the choices must have {EPOCHS}, a whole number"
    rungs = rung_epochs(asha.min_epochs, epochs, asha.reduction)
    starts = (epochs,) if has_baseline and record.trial == 0 else rungs[: asha.brackets]
    allowed = starts if record.parent is None else rungs[1:]
    if found not in allowed:
        return f"{EPOCHS} must be {listed(allowed) if allowed else 'those of a trial without a parent'}"
    if has_baseline and record.parent == 0:
        return "the trial with the recipe's own values is never continued"
    return None


def _is_on(axis: Axis, value: Any) -> bool:
    if isinstance(axis, Options):
        return any(same(option, value) for option in axis.values)
    kinds = (int,) if axis.scale == "whole" else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and axis.low <= value <= axis.high


class SweepProposer(Protocol):
    """A proposer of the runner that knows which checkpoints are needed."""

    def ask(self, trial: int) -> Proposal | None:
        """As for the runner."""

    def tell(self, record: Record) -> None:
        """As for the runner."""

    def continuable(self) -> set[int]:
        """The trials whose checkpoints may still be needed."""

    def number(self, record: Record) -> int:
        """The number of the trial of which a record was reported: several records of ASHA are of one trial."""


def make_proposer(section: Sweep, space: Space, *, objective: str, epochs: int, seed: int) -> SweepProposer:
    """The proposer that a recipe asks for.

    Args:
        epochs: of a whole training.
        seed: of what is drawn.
    """
    if section.asha is not None:
        rungs = rung_epochs(section.asha.min_epochs, epochs, section.asha.reduction)
        asha = Asha(
            space,
            rungs,
            reduction=section.asha.reduction,
            num_trials=section.budget.trials,
            seed=seed,
            is_tpe=section.asha.sampler == "tpe",
            brackets=section.asha.brackets,
        )
        return AshaProposer(asha, objective, epochs=epochs, has_baseline=section.baseline)
    sampler: Sampler
    match section.method:
        case "grid":
            sampler = Grid({key: axis for key, axis in space.items() if isinstance(axis, Options)})
        case "tpe":
            sampler = Tpe(space, seed)
        case _:
            sampler = Random(space, seed)
    return SamplerProposer(sampler, objective, limit=section.budget.trials, has_baseline=section.baseline)


class SamplerProposer:
    """Whole trainings with the values of a sampler, after one with the recipe's own values."""

    def __init__(self, sampler: Sampler, objective: str, *, limit: int | None, has_baseline: bool) -> None:
        self._sampler = sampler
        self._objective = objective
        self._limit = limit
        self._offset = int(has_baseline)

    def ask(self, trial: int) -> Proposal | None:
        number = trial - self._offset
        if number < 0:
            return Proposal({})
        if self._limit is not None and number >= self._limit:
            return None
        values = self._sampler.ask(number)
        return None if values is None else Proposal(values)

    def tell(self, record: Record) -> None:
        if record.choices:
            self._sampler.tell(dict(record.choices), score(record, self._objective))

    def continuable(self) -> set[int]:
        """None: every trial is trained to its end."""
        return set()

    def number(self, record: Record) -> int:
        return record.trial


class AshaProposer:
    """Rungs of trainings, after a whole one with the recipe's own values."""

    def __init__(self, asha: Asha, objective: str, *, epochs: int, has_baseline: bool) -> None:
        self._asha = asha
        self._objective = objective
        self._epochs = epochs
        self._has_baseline = has_baseline
        self._roots: dict[int, int] = {}

    def ask(self, trial: int) -> Proposal | None:
        if trial == 0 and self._has_baseline:
            return Proposal({EPOCHS: self._epochs})
        job = self._asha.ask(trial)
        return None if job is None else Proposal({**job.values, EPOCHS: job.epochs}, job.parent)

    def tell(self, record: Record) -> None:
        values = values_of(record.choices)
        if record.trial == 0 and self._has_baseline:
            return
        root = None if record.parent is None else self.root(record.trial, record.parent)
        job = Job(dict(values), root, record.parent, int(record.choices[EPOCHS]))
        self._roots[record.trial] = record.trial if root is None else root
        self._asha.tell(record.trial, job, score(record, self._objective))

    def root(self, trial: int, parent: int | None) -> int:
        """The trial that started what this one continues; itself if it starts."""
        return trial if parent is None else self._roots[parent]

    def continuable(self) -> set[int]:
        return self._asha.continuable()

    def number(self, record: Record) -> int:
        if record.trial == 0 and self._has_baseline:
            return 0
        return self._asha.number(self._roots[record.trial]) + self._has_baseline


def values_of(choices: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values of the keys of the space, without the epochs to which ASHA trains."""
    return {key: value for key, value in choices.items() if key != EPOCHS}
