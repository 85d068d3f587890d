"""The files of a search beside its logs: the best recipe, the Pareto front, and the plots."""

from collections.abc import Mapping, Sequence
from typing import Any

from dlcli.recipe.sections.search import Search
from dlcli.recipe.yaml_writer import to_yaml, with_tuples
from dlcli.report.plots.cells import cells_plot
from dlcli.report.plots.search import Tried, front_plot, progress_plot
from dlcli.rundir.tables import rows_text
from dlcli.rundir.writing import replace_file
from dlcli.search.pareto import front
from dlcli.training.direction import lower_is_better
from dlcli.workflow.search.proposer import score
from dlcli.workflow.trials.directory import StudyDir
from dlcli.workflow.trials.records import Record

DEFAULT_COST = "multiply_adds"  # the second dimension of the front where the objective names none


def write_best(study: StudyDir, values: Mapping[str, Any], origin: str) -> None:
    """Write best.yaml, a recipe for ``dlcli train``.

    Args:
        values: the recipe.
        origin: what it is, for a comment: ``trial 12, val_accuracy 0.9722``.
    """
    command = f"# Command: dlcli train {study.best}"
    replace_file(
        study.best,
        f"# Found by dlcli search in {study.path}: {origin}\n{command}\n\n{to_yaml(with_tuples(dict(values)))}",
    )


def write_front(study: StudyDir, records: Sequence[Record], section: Search) -> None:
    """Write front.csv: the trials of the search that no other one is better than in all objectives, the best first."""
    complete = [record for record in records if score(record, section.metric) is not None]
    found = [complete[index] for index in front_of(complete, section)]
    rows = [
        {
            "trial": record.trial,
            section.metric: record.metrics[section.metric],
            **record.cost,
            **{cell: _short(record.choices["genotype"][cell]) for cell in ("normal", "reduction")},
        }
        for record in sorted(found, key=lambda record: -(score(record, section.metric) or 0.0))
    ]
    replace_file(study.front, rows_text(rows))


def front_of(records: Sequence[Record], section: Search) -> list[int]:
    """The indices of the complete trials in the Pareto front of the metric and the costs; without any, of the metric
    and the multiply-adds."""
    costs = section.costs or (DEFAULT_COST,)
    return front(
        [[score(record, section.metric) or 0.0, *(-record.cost[cost] for cost in costs)] for record in records]
    )


def write_plots(
    study: StudyDir, records: Mapping[str, Sequence[Record]], section: Search, cells: Mapping[str, Any]
) -> None:
    """Draw the best so far, the front, and the two cells."""
    cost = (section.costs or (DEFAULT_COST,))[0]
    tried = {origin: _tried(trials, section.metric, cost) for origin, trials in records.items()}
    lower = lower_is_better(section.metric)
    complete = [record for record in records["search"] if score(record, section.metric) is not None]
    best = [_tried([complete[index]], section.metric, cost)[0] for index in front_of(complete, section)]
    study.plots.mkdir(exist_ok=True)
    replace_file(study.plot("progress.png"), progress_plot(tried, metric=section.metric, lower_is_better=lower))
    replace_file(study.plot("front.png"), front_plot(tried, best, metric=section.metric, cost=cost.replace("_", "-")))
    replace_file(study.plot("cells.png"), cells_plot(cells))


def _tried(records: Sequence[Record], metric: str, cost: str) -> list[Tried]:
    """What plots show of the trials that were trained, in the order of the log."""
    return [
        Tried(record.metrics.get(metric), record.cost.get(cost)) for record in records if record.status != "refused"
    ]


def _short(cell: Mapping[str, Any]) -> str:
    """A cell on one line: ``s2 = sep3(s0) + identity(s1); …; concatenate s2 s3``."""
    states = [f"s{number} = {' + '.join(terms)}" for number, terms in enumerate(cell["states"], start=2)]
    return "; ".join([*states, f"concatenate {' '.join(cell['concatenate'])}"])
