"""The files of a sweep: the table of trials, the best recipe, and the plots."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.printing import json_text
from dlcli.recipe.load import load_text
from dlcli.recipe.yaml_writer import resolved, to_yaml
from dlcli.report.plots.sweep import Coordinate, best_so_far, importance_bars, parallel_coordinates
from dlcli.rundir.tables import rows_text
from dlcli.rundir.writing import replace_file
from dlcli.search.keys.samplers import importances
from dlcli.search.keys.space import Interval, Options, Space
from dlcli.training.direction import lower_is_better
from dlcli.workflow.sweep.proposer import EPOCHS, score, values_of
from dlcli.workflow.trials.directory import StudyDir
from dlcli.workflow.trials.records import Record
from dlcli.workflow.trials.tasks import setting

MIN_FOR_IMPORTANCE = 10  # trials


def best_of(records: Sequence[Record], objective: str) -> Record | None:
    """The complete trial with the best objective, the earlier one of equals; None if there is none."""
    scored = [(value, record) for record in records if (value := score(record, objective)) is not None]
    return min(scored, key=lambda pair: (-pair[0], pair[1].trial))[1] if scored else None


def write_table(
    study: StudyDir,
    records: Sequence[Record],
    space: Space,
    *,
    own: Mapping[str, Any],
    number_of: Callable[[Record], int],
) -> None:
    """Write trials.csv: a row for each trial, or for each part of a trial of ASHA, in the order of their numbers.

    Args:
        own: the recipe's own values.
        number_of: the number of the trial that a record is of.
    """
    metrics = list(dict.fromkeys(name for record in records for name in record.metrics))
    costs = list(dict.fromkeys(name for record in records for name in record.cost))
    rows = []
    for record in sorted(records, key=lambda record: (number_of(record), record.choices.get(EPOCHS, 0))):
        values = values_of(record.choices) or own
        rows.append(
            {
                "trial": number_of(record),
                "status": record.status,
                **{key: _cell(values[key]) if key in values else "" for key in space},
                **{name: record.metrics.get(name, "") for name in metrics},
                **{name: record.cost.get(name, "") for name in costs},
                "seconds": record.seconds,
                "error": record.error or "",
            }
        )
    replace_file(study.table, rows_text(rows))


def _cell(value: Any) -> Any:
    return json_text(value, indent=None) if isinstance(value, (list, tuple, dict, bool)) or value is None else value


def write_best(
    study: StudyDir, written: Mapping[str, Any], path: Path, best: Record, *, objective: str, number: int
) -> None:
    """Write best.yaml, a recipe for ``dlcli train``.

    Args:
        written: the recipe as it was written, without ``sweep``.
        path: of its file.
        number: of the trial.
    """
    changes = [setting(key, value) for key, value in values_of(best.choices).items()]
    loaded = load_text(to_yaml(dict(written)).encode(), path, changes)
    head = (
        f"# Found by dlcli sweep in {study.path}: trial {number}, {objective} {best.metrics[objective]:.4f}\n"
        f"# Command: dlcli train {study.best}\n"
    )
    replace_file(study.best, f"{head}\n{to_yaml(resolved(loaded.recipe))}")


def importance_of(records: Sequence[Record], space: Space, objective: str, seed: int) -> dict[str, float] | None:
    """The importance of each key, by the longest training of each trial; None for few trials, or without Optuna."""
    told = _finished(records, objective)
    if len(told) < MIN_FOR_IMPORTANCE or len(space) < 2 or importlib.util.find_spec("optuna") is None:
        return None
    return importances(space, told, seed)


def write_plots(
    study: StudyDir, records: Sequence[Record], space: Space, objective: str, importance: Mapping[str, float] | None
) -> None:
    """Draw the best so far, the values of all trials, and the keys' importance if it is known."""
    lower = lower_is_better(objective)
    study.plots.mkdir(exist_ok=True)
    finished = _finished(records, objective)
    sign = -1.0 if lower else 1.0
    values = [sign * value for _, value in finished]
    baseline = next((record.metrics[objective] for record in records if is_baseline(record)), None)
    totals = np.cumsum(epochs_of(records)).tolist()
    tried = [
        (total, record.metrics[objective])
        for total, record in zip(totals, records, strict=True)
        if record.status == "complete" and values_of(record.choices)
    ]
    epochs, scores = zip(*tried, strict=True)
    curve = best_so_far(epochs, scores, objective=objective, is_lower_better=lower, baseline=baseline)
    replace_file(study.plot("progress.png"), curve)
    coordinates = [_coordinate(key, axis, [one[key] for one, _ in finished]) for key, axis in space.items()]
    lines = parallel_coordinates(coordinates, values, objective=objective, is_lower_better=lower)
    replace_file(study.plot("parallel_coordinates.png"), lines)
    if importance is not None:
        replace_file(study.plot("importance.png"), importance_bars(importance, objective=objective))


def is_baseline(record: Record) -> bool:
    """Whether a trial is complete and has the recipe's own values."""
    return not values_of(record.choices) and record.status == "complete"


def epochs_of(records: Sequence[Record]) -> list[int]:
    """The epochs that each trial has trained itself, without those of the trial that it continues."""
    trained = {record.trial: int(record.metrics.get("epochs", 0)) for record in records}
    return [
        trained[record.trial] - (0 if record.parent is None else trained[record.parent])
        if record.status == "complete"
        else 0
        for record in records
    ]


def _finished(records: Sequence[Record], objective: str) -> list[tuple[dict[str, Any], float]]:
    """The values and score of each complete trial that no other one continues, in the order of the log."""
    continued = {record.parent for record in records if record.status == "complete"}
    found = []
    for record in records:
        value = score(record, objective)
        values = dict(values_of(record.choices))
        if value is not None and values and record.trial not in continued:
            found.append((values, value))
    return found


def _coordinate(key: str, axis: Interval | Options, values: Sequence[Any]) -> Coordinate:
    if isinstance(axis, Interval):
        return Coordinate(key, values, "log" if axis.scale == "log" else "linear")
    shown = [shown_value(option) for option in axis.values]
    return Coordinate(key, [shown_value(value) for value in values], "options", shown)


def shown_value(value: Any) -> str:
    """A value on one line: ``0.3``, ``null``, ``[16, 8]``."""
    return value if isinstance(value, str) else json_text(value, indent=None)
