"""The sections of a report on a search or sweep: its verdict, trials, finalists and plots."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.printing import json_text
from dlcli.report.page.page import Section, Table
from dlcli.rundir.tables import read_csv
from dlcli.training.direction import lower_is_better
from dlcli.workflow.report.facts import capitalized, is_better, spoken
from dlcli.workflow.report.images import image_of
from dlcli.workflow.search.results import STATUSES, conclusion
from dlcli.workflow.trials.directory import StudyDir
from dlcli.workflow.trials.records import TrialLog

MAX_TRIALS = 50  # rows of the table of trials, the best ones
MAX_ERRORS = 10  # errors of trials that are shown
PLOTS = {
    "progress.png": "the best value so far",
    "front.png": "the metric of each trial against the cost of its network",
    "cells.png": "the two cells that were found",
    "parallel_coordinates.png": "the values of each trial and its result",
    "importance.png": "the share of the variance that each key explains",
}


def sections_of_study(study: StudyDir, *, max_width: int) -> list[Section]:
    """All sections.

    Args:
        max_width: of an image in pixels.

    Raises:
        InputError: the directory is corrupt.
    """
    info = study.read_info()
    make: Callable[[StudyDir, dict[str, Any]], list[Section]] = _sweep if study.kind == "sweep" else _search
    try:
        first, *others = make(study, info)
        images = [image for name, alt in PLOTS.items() for image in image_of(study.plot(name), alt, max_width)]
        reproduction = _reproduction(study, info)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InputError(f"{study.info}: is corrupt. Restore it from a copy.") from None
    return [first, Section("Plots", images=images), *others, reproduction]


def _state(study: StudyDir, info: Mapping[str, Any]) -> list[str]:
    """A warning where there is no result yet."""
    status = study.status()
    if status == "completed":
        return []
    reason = f": {info['reason']}" if info.get("reason") else ""
    return [f"The {study.kind} is {status}{reason}: what is shown may change."]


# Sweeps ---------------------------------------------------------------------------------------------------------------


def _sweep(study: StudyDir, info: Mapping[str, Any]) -> list[Section]:
    metric, best, own = info["objective"], info.get("best"), info.get("baseline")
    if best is None:
        return [Section("Verdict", ["There is no result yet."], _state(study, info)), *_trials_of_sweep(study, info)]
    lines = [
        f"Best {spoken(metric)}: {_value(best, metric)}, in trial {best['trial']} of {info['trials']:,} trials with "
        f"{info['epochs']:,} epochs in all.",
    ]
    if own is not None and is_better(metric, best[metric], own[metric]):
        lines.append(
            f"The recipe's own values reach {_value(own, metric)}. The best of many trials was chosen by the same "
            "validation samples that its figure is for, and looks better than it is: train it and the recipe's own "
            "values with new seeds before believing a difference."
        )
    elif own is not None:
        lines.append(f"The recipe's own values reach {_value(own, metric)}: no trial is better.")
    if info["failed"]:
        lines.append(f"{info['failed']:,} trials failed.")
    header = ["key", "best trial", *(["recipe"] if own else [])]
    rows = [
        [key, _text(value), *([_text(own["values"].get(key))] if own else [])] for key, value in best["values"].items()
    ]
    commands = [f"dlcli train {shlex.quote(str(study.best))} --seeds 3"]
    return [
        Section("Verdict", lines, _state(study, info), [Table(header, rows)], commands=commands),
        *_trials_of_sweep(study, info),
    ]


def _trials_of_sweep(study: StudyDir, info: Mapping[str, Any]) -> list[Section]:
    metric, space = info["objective"], info["config"]["sweep"]["space"]
    rows = read_csv(study.table) if study.table.exists() else []
    names = ["trial", *space, metric, "spread", "epoch", "epochs", "parameters", "seconds"]
    header = [name for name in names if any(row.get(name) for row in rows)]
    complete = [row for row in rows if row["status"] == "complete"]
    ranked = sorted(complete, key=lambda row: float(row[metric]), reverse=not lower_is_better(metric))
    table = Table(
        header, [[row[key] if key in space else _number(row[key]) for key in header] for row in ranked[:MAX_TRIALS]]
    )
    failed = [[int(row["trial"]), row["error"]] for row in rows if row["status"] != "complete"]
    return [_trials(table, len(ranked), failed, study.table)]


def _trials(table: Table, num_ranked: int, failed: Sequence[Sequence[Any]], file: Path) -> Section:
    lines = [f"{num_ranked:,} trainings, the best first, of {file.name}."]
    if num_ranked > len(table.rows):
        lines = [f"The best {len(table.rows)} of {num_ranked:,} trainings, of {file.name}."]
    tables = [table] if num_ranked else []
    if failed:
        more = "" if len(failed) <= MAX_ERRORS else f", the first {MAX_ERRORS} of {len(failed):,}"
        tables.append(Table(["trial", "error"], failed[:MAX_ERRORS], f"Trials without a result{more}"))
    return Section("Trials", lines, tables=tables)


# Searches -------------------------------------------------------------------------------------------------------------


def _search(study: StudyDir, info: Mapping[str, Any]) -> list[Section]:
    result = info.get("result")
    if result is None:
        return [Section("Verdict", ["There is no result yet."], _state(study, info)), *_trials_of_search(study, info)]
    metric, name = result["metric"], result["compared_by"]
    lines = [
        capitalized(f"{spoken(name)} of the chosen finalist of {origin}: {_score(score)}.")
        for origin, score in result["chosen"].items()
    ]
    if result["comparison"] is not None:
        lines.append(capitalized(f"{conclusion(result['comparison'], name)}."))
    rows = [
        [origin, part["trials"], *(part[status] for status in STATUSES), part["best"] and part["best"][metric]]
        for origin in ("search", "random")
        if (part := result.get(origin)) is not None
    ]
    trials = Table(["", "trials", *STATUSES, f"best {metric} of a trial"], rows)
    columns = ("origin", "trial", "mean", "spread", "parameters", "multiply_adds")
    finalists = Table(
        ["from", "trial", f"mean {metric}", "standard deviation", "parameters", "multiply-adds"],
        [[one[column] for column in columns] for one in result["finalists"]],
        "By their mean over seeds; their runs are in finals/.",
    )
    commands = [f"dlcli train {shlex.quote(str(study.best))}"]
    return [
        Section("Verdict", lines, _state(study, info), [trials], commands=commands),
        Section("Finalists", tables=[finalists]),
        *_trials_of_search(study, info),
    ]


def _trials_of_search(study: StudyDir, info: Mapping[str, Any]) -> list[Section]:
    metric = info["config"]["search"]["objective"][0]
    records = TrialLog(study.trials).read()
    complete = [record for record in records if metric in record.metrics and record.status == "complete"]
    ranked = sorted(complete, key=lambda record: record.metrics[metric], reverse=not lower_is_better(metric))
    rows = [
        [
            record.trial,
            record.parent,
            record.metrics[metric],
            record.cost.get("parameters"),
            record.cost.get("multiply_adds"),
            float(record.seconds),
        ]
        for record in ranked[:MAX_TRIALS]
    ]
    header = ["trial", "child of", metric, "parameters", "multiply-adds", "seconds"]
    failed = [[record.trial, f"{record.status}: {record.error}"] for record in records if record.status != "complete"]
    return [_trials(Table(header, rows), len(ranked), failed, study.trials)]


# Both -----------------------------------------------------------------------------------------------------------------


def _reproduction(study: StudyDir, info: Mapping[str, Any]) -> Section:
    samples = ", ".join(f"{count:,} {split}" for split, count in info["samples"].items())
    lines = [
        f"Seed {info['config']['train']['seed']}, started {str(info['started'])[:19]} UTC. Samples: {samples}. "
        f"Fingerprint of the data: {info['fingerprint'][:16]}…",
    ]
    return Section("How to reproduce", lines, commands=[" ".join(map(shlex.quote, map(str, info["command"])))])


def _value(record: Mapping[str, Any], metric: str) -> str:
    return _score({"mean": record[metric], "spread": record.get("spread")})


def _score(score: Mapping[str, Any]) -> str:
    spread = "" if score["spread"] is None else f" (standard deviation {score['spread']:.4f} over seeds)"
    return f"{score['mean']:.4f}{spread}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value, indent=None)


def _number(text: str) -> Any:
    """A cell of trials.csv: a number if it reads as one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
