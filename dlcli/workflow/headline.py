"""The metric that people look for in a run: its task's headline metric on the split that was evaluated."""

import math
from collections.abc import Mapping
from typing import Any

from dlcli.recipe.load import TASKS, respelled


def final_metrics(info: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among the final metrics in a run's run.json, which may be anyone's; empty before the end."""
    final = info.get("final")
    if not isinstance(final, Mapping):
        return {}
    numbers = {name: value for name, value in final.items() if isinstance(value, (int, float))}
    return {name: value for name, value in numbers.items() if not isinstance(value, bool) and math.isfinite(value)}


def headline(info: Mapping[str, Any]) -> tuple[str, float] | None:
    """The name, such as ``test_accuracy``, and the value of a run's headline metric.

    None for a run that is not complete, and for one of a task that this program does not have.
    """
    task = respelled({"task": info.get("task")})["task"]
    if not isinstance(task, str) or task not in TASKS:
        return None
    name = f"{info.get('evaluated')}_{TASKS[task].headline}"
    value = final_metrics(info).get(name)
    return None if value is None else (name, value)
