"""Choosing runs of a folder: by a condition, by text that they contain, and the best of them."""

import contextlib
import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from dlcli.errors import InputError
from dlcli.recipe.language.diagnosis import types_at
from dlcli.recipe.load import TASKS
from dlcli.recipe.yaml_writer import completed
from dlcli.rundir.directory import RunDir
from dlcli.rundir.runs import list_runs
from dlcli.workflow.headline import final_metrics
from dlcli.workflow.run_filter import UNKNOWN, flat, matching, parse
from dlcli.workflow.run_notes import read_notes
from dlcli.workflow.runs import STATUSES, by_metric, summary, value_of


def select(runs: Path, where: str | None = None) -> list[dict[str, Any]]:
    """Summarize the runs of a folder that fulfill a condition, newest first, with their ``tags`` and ``note``.

    Args:
        where: a condition as of :func:`dlcli.workflow.run_filter.parse` on the values of a summary, the final metrics,
            also without the evaluated split, and the keys of the recipe; None for all runs.

    Raises:
        InputError: the condition has another form, or asks for a value that no run has.
    """
    condition = None if where is None else parse(where)
    found = list_runs(runs)
    summaries = [{**summary(run), **_notes(run)} for run in found]
    if condition is None:
        return summaries
    from dlcli.data.splits import SPLITS  # imports NumPy, which a list without a condition does not need

    configs = [_config(run) for run in found]
    values = [_values(config, one) for (config, _), one in zip(configs, summaries, strict=True)]
    _mark_unknown(values, [is_valid for _, is_valid in configs], summaries)
    tasks = {one["task"] for one in values if isinstance(one.get("task"), str)}
    choices: dict[str, Sequence[str]] = {"status": STATUSES, "evaluated": SPLITS, "metric": _metrics(summaries)}
    if tasks <= TASKS.keys():  # otherwise this program does not know all values
        choices |= {"task": tuple(TASKS)}
        choices |= _choices([comparison.name for comparison in condition.comparisons], [TASKS[task] for task in tasks])
    chosen = matching(condition, values, choices=choices)
    return [one for one, is_chosen in zip(summaries, chosen, strict=True) if is_chosen]


def _metrics(summaries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The metrics that may have chosen the best epochs of runs."""
    found = {str(one["metric"]) for one in summaries if one.get("metric") is not None}
    found |= {name for one in summaries for name in final_metrics(one) if name.startswith(("train_", "val_"))}
    return tuple(found)


def _mark_unknown(
    values: Sequence[dict[str, Any]], are_valid: Sequence[bool], summaries: Sequence[Mapping[str, Any]]
) -> None:
    """Mark what is not known of a run: all if run.json is corrupt, and keys that it lacks if its recipe is invalid."""
    known = {name for one in values for name in one}
    for own, is_valid, one in zip(values, are_valid, summaries, strict=True):
        if one["status"] == "corrupt":
            own |= dict.fromkeys(known - {"name", "status"}, UNKNOWN)
        elif not is_valid:
            own |= dict.fromkeys((name for name in known - own.keys() if "." in name), UNKNOWN)


def _config(run: RunDir) -> tuple[Mapping[str, Any], bool]:
    """The configuration of a run as this version would write it, and whether it is valid; empty if it cannot be
    read."""
    with contextlib.suppress(InputError, OSError):
        config = run.read_info()["config"]
        full = completed(config)
        return full, full is not config  # one that is not valid is returned as it is
    return {}, False


def _choices(keys: Iterable[str], schemas: Collection[type[Any]]) -> dict[str, tuple[str, ...]]:
    """All values of the keys of recipes that are one of a few words, such as ``model.kind``."""
    found = {}
    for key in keys:
        types = [one for schema in schemas for one in types_at(schema, tuple(key.split("."))) if one is not NoneType]
        if "." in key and types and all(get_origin(one) is Literal for one in types):
            found[key] = tuple(dict.fromkeys(str(value) for one in types for value in get_args(one)))
    return found


def _notes(run: RunDir) -> dict[str, Any]:
    """The tags and the note of a run; without any, a ``notes_reason`` where notes.json is corrupt."""
    try:
        return read_notes(run)
    except (InputError, OSError) as error:
        return {"tags": [], "note": "", "notes_reason": str(error)}


def unreadable_notes(runs: Path) -> list[str]:
    """Why the tags and the notes of runs cannot be read, so that no condition on them holds; a line for each."""
    return [str(notes["notes_reason"]) for run in list_runs(runs) if "notes_reason" in (notes := _notes(run))]


def _values(config: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, Any]:
    """What a condition on a run can ask for, by name."""
    metrics = final_metrics(one)
    prefix = f"{one.get('evaluated')}_"
    return {
        **dict(flat(config)),
        **{name.removeprefix(prefix): value for name, value in metrics.items()},
        **metrics,
        **{key: one.get(key) for key in ("name", "status", "started", "evaluated", "seed", "epochs", "best", "metric")},
        "note": UNKNOWN if "notes_reason" in one else one["note"] or None,
        "tag": UNKNOWN if "notes_reason" in one else one["tags"],
    }


def find(runs: Path, text: str) -> list[dict[str, Any]]:
    """Find the runs whose name, tags, note or recipe contain a text, whatever its case.

    Returns:
        For each run, newest first, ``name`` and ``found``: the values that contain the text, by name, where a value of
        the recipe counts as ``key: value``.
    """
    wanted, found = text.casefold(), []
    for run in list_runs(runs):
        config, _ = _config(run)
        notes = _notes(run)
        values = {**dict(flat(config)), "name": run.name, "tag": " ".join(notes["tags"]), "note": notes["note"]}
        matches = {
            key: value
            for key, value in values.items()
            if wanted in (f"{value}" if key in ("name", "tag", "note") else f"{key}: {value}").casefold()
        }
        if matches:
            found.append({"name": run.name, "found": matches})
    return found


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder; links are not followed, and what cannot be read counts as 0."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def all_but_best(
    summaries: Sequence[dict[str, Any]], number: int, metric: str | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Divide completed runs into the best ones and the others, both the best first.

    Args:
        summaries: of :func:`select`; runs that are not complete, or lack the metric, are in neither part.
        metric: the final metric to rank by; None for the headline metric, which must be the same for all.

    Raises:
        InputError: the runs have different headline metrics, tasks or evaluated splits, or none has the metric.
    """
    complete = [one for one in summaries if one["status"] == "completed"]
    if metric is None:
        names = sorted({str(one["headline"]) for one in complete if one.get("headline")})
        if len(names) > 1:
            raise InputError(
                f"--keep-best: the runs have different headline metrics: {', '.join(names)}. Name one with --metric, "
                "or choose runs with --where."
            )
        metric = names[0] if names else None
    if metric is None:
        return [], []
    ranked = [one for one in by_metric(complete, metric, option="--metric") if _has(one, metric)]
    for what, key in (("tasks", "task"), ("evaluated splits", "evaluated")):
        values = sorted({str(one[key]) for one in ranked})
        if len(values) > 1:
            raise InputError(
                f"--keep-best: the runs have different {what}: {', '.join(values)}. Choose those of one, such as with "
                f"--where '{key} = {values[0]}'."
            )
    return ranked[:number], ranked[number:]


def _has(one: Mapping[str, Any], metric: str) -> bool:
    value = value_of(dict(one), metric)
    return value is not None and math.isfinite(value)
