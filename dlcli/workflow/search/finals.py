"""The finalists: which candidates are trained again, at full size and with new seeds, and what came out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.evaluation.paired import LEVEL, compare_seeds, deviation
from dlcli.search.keys.samplers import same
from dlcli.workflow.search.proposer import lacks, score
from dlcli.workflow.trials.records import Record
from dlcli.workflow.trials.runner import Proposal

ORIGINS = ("search", "random")


def best_trials(records: Sequence[Record], metric: str, number: int) -> list[Record]:
    """The best complete trials, each with other cells, the best first; the earlier one of equals."""
    scored = [(value, record) for record in records if (value := score(record, metric)) is not None]
    found: list[Record] = []
    for _, record in sorted(scored, key=lambda pair: (-pair[0], pair[1].trial)):
        if all(record.choices["encoded"] != other.choices["encoded"] for other in found):
            found.append(record)
    return found[:number]


class FinalProposer:
    """Proposes the trainings of finalists in order: each finalist with each seed.

    Args:
        finalists: for each origin, ``search`` and ``random``, its best trials.
        seeds: number of trainings of each.
        metric: of the search.
    """

    def __init__(self, finalists: Mapping[str, Sequence[Record]], seeds: int, metric: str) -> None:
        self._metric = metric
        self.proposals = [
            Proposal({"origin": origin, "trial": record.trial, "repeat": repeat, **record.choices})
            for origin, records in finalists.items()
            for record in records
            for repeat in range(seeds)
        ]

    def ask(self, trial: int) -> Proposal | None:
        """The training of this number."""
        return self.proposals[trial] if trial < len(self.proposals) else None

    def tell(self, record: Record) -> None:
        """Nothing depends on it."""

    def mistake(self, record: Record) -> str | None:
        """What is wrong with a record that this search cannot have written; None if nothing is."""
        if (reason := lacks(record, self._metric)) is not None:
            return reason
        proposal = self.ask(record.trial)
        is_own = proposal is not None and same(dict(record.choices), dict(proposal.choices))
        return None if is_own else "the choices are not those of a finalist of this search"


def final_name(choices: Mapping[str, Any]) -> str:
    """The name of the run of a finalist: ``search-0012-1`` is trial 12 of the search, with the second seed."""
    return f"{choices['origin']}-{choices['trial']:04d}-{choices['repeat']}"


@dataclass(frozen=True)
class Finalist:
    """The trainings of one finalist.

    Attributes:
        origin: search or random.
        trial: its number there.
        genotype: the cells.
        runs: the names of its runs.
        values: the metric of each run on the validation split.
        cost: its parameters and multiply-adds at full size.
    """

    origin: str
    trial: int
    genotype: Mapping[str, Any]
    runs: tuple[str, ...]
    values: tuple[float, ...]
    cost: Mapping[str, float]

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def spread(self) -> float | None:
        """The standard deviation over the seeds (n - 1); None for one seed."""
        return deviation(self.values)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the cells."""
        names = ("origin", "trial", "mean", "spread")
        return {name: getattr(self, name) for name in names} | {
            "values": list(self.values),
            "runs": list(self.runs),
            **self.cost,
        }


def ranked(records: Sequence[Record], metric: str, seeds: int) -> list[Finalist]:
    """The finalists of which every training is complete, the best mean first."""
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in sorted(records, key=lambda record: record.trial):
        groups.setdefault((record.choices["origin"], record.choices["trial"]), []).append(record)
    found = []
    for (origin, trial), members in groups.items():
        scores = [score(record, metric) for record in members]
        if len(members) == seeds and None not in scores:
            finalist = Finalist(
                origin,
                trial,
                members[0].choices["genotype"],
                tuple(final_name(record.choices) for record in members),
                tuple(record.metrics[metric] for record in members),
                members[0].cost,
            )
            found.append((-float(np.mean([value for value in scores if value is not None])), finalist))
    return [finalist for _, finalist in sorted(found, key=lambda pair: pair[0])]


def difference(one: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    """The difference of two means over seeds, with its 95% interval by Welch's method (Welch 1947).

    Returns:
        ``difference``: the mean of ``one`` minus that of ``other``; ``interval``: its bounds, None if one of them has a
        single value; ``is_evidence``: whether the interval leaves out 0.
    """
    found = compare_seeds(other, one)
    interval = None if found.interval is None else list(found.interval)
    return {"difference": found.value, "interval": interval, "level": LEVEL, "is_evidence": found.is_evidence}
