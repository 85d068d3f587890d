"""What people look for in a run: its task's headline metric on the split that was evaluated, and the worst classes."""

import math
from collections.abc import Mapping
from typing import Any

from dlcli.recipe.load import TASKS, respelled
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import read_csv

MAX_WORST = 3  # classes that are named


def final_metrics(info: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among the final metrics in a run's run.json, which may be anyone's; empty before the end."""
    final = info.get("final")
    if not isinstance(final, Mapping):
        return {}
    numbers = {name: value for name, value in final.items() if isinstance(value, (int, float))}
    return {name: value for name, value in numbers.items() if not isinstance(value, bool) and math.isfinite(value)}


def task_of_info(info: Mapping[str, Any]) -> type[Any] | None:
    """The schema of the task in a run's run.json; None for a task that this program does not have."""
    task = respelled({"task": info.get("task")})["task"]
    return TASKS.get(task) if isinstance(task, str) else None


def headline(info: Mapping[str, Any]) -> tuple[str, float] | None:
    """The name, such as ``test_accuracy``, and the value of a run's headline metric.

    None for a run that is not complete, and for one of a task that this program does not have.
    """
    task = task_of_info(info)
    if task is None:
        return None
    final = final_metrics(info)
    names = [f"{info.get('evaluated')}_{metric}" for metric in (task.special_headline, task.headline)]
    return next(((name, final[name]) for name in names if name in final), None)


def beside_headline(info: Mapping[str, Any]) -> tuple[str, float] | None:
    """The name and value of the metric without which a run's headline cannot be understood, if its task has one."""
    task = task_of_info(info)
    name = f"{info.get('evaluated')}_{'' if task is None else task.beside_headline}"
    value = final_metrics(info).get(name)
    return None if value is None else (name, value)


def headline_of_targets(run: RunDir, info: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The headline metric of each of several numbers that are predicted, by name; none for other runs.

    They may have different units, so that their mean says little.
    """
    first = headline(info)
    table = run.evaluation(str(info.get("evaluated"))) / "per_target.csv"
    if first is None or not table.exists():
        return []
    metric = first[0].removeprefix(f"{info.get('evaluated')}_")
    rows = [row for row in read_csv(table) if row.get(metric)]
    return [(row["target"], float(row[metric])) for row in rows] if len(rows) > 1 else []


def worst_classes(run: RunDir, split: str) -> list[tuple[str, float]]:
    """The name and recall of the classes with the lowest recall in an evaluation, the worst first.

    At most three, and not all classes; none whose samples are all recognized, and none for tasks without classes.
    """
    rows = _classes(run, split)
    recalls = [(row["class"], float(row["recall"])) for row in rows if row["recall"]]
    worst = sorted(((name, recall) for name, recall in recalls if recall < 1), key=lambda pair: pair[1])
    return worst[: min(MAX_WORST, len(rows) - 1)]


def telling_metrics(run: RunDir, info: Mapping[str, Any]) -> dict[str, float]:
    """A run's final metrics without its headline, and without accuracies where there is one class, which are all 1."""
    first = headline(info)
    left_out = {named[0] for named in (first, beside_headline(info)) if named is not None}
    split = str(info.get("evaluated"))
    if len(_classes(run, split)) == 1:
        left_out |= {f"{part}_accuracy" for part in (split, "train", "val")}
    return {name: value for name, value in (info.get("final") or {}).items() if name not in left_out}


def _classes(run: RunDir, split: str) -> list[dict[str, str]]:
    """The rows of an evaluation's per_class.csv; none for a task without classes."""
    table = run.evaluation(split) / "per_class.csv"
    return read_csv(table) if table.exists() else []
