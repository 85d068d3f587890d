"""The current names of metrics in the files of runs that an earlier version wrote."""

import re
from collections.abc import Iterable
from typing import Any

OLD_METRIC = re.compile(r"((?:\w+_)?)localisation(_(?:accuracy|error|curve)(?:_\w+)?)")
"""Names of metrics in the files of runs made before 0.2, when the spelling was British."""


def current_name(metric: str) -> str:
    """The current name of a metric, such as a column of metrics.csv; a name that has not changed stays as it is."""
    match = OLD_METRIC.fullmatch(metric)
    return f"{match[1]}localization{match[2]}" if match else metric


def with_current_names(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object with the current names of metrics, as keys and where a key names one, and of the task."""
    values = {current_name(key): value for key, value in pairs}
    for key in ("metric", "best_metric"):
        if isinstance(values.get(key), str):
            values[key] = current_name(values[key])
    if values.get("task") == "localisation":
        values["task"] = "localization"
    return values
