"""``dlcli reproduce`` of a search or sweep: train every trial in its logs again, and compare trials and winner."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import InputError, Interrupted
from dlcli.recipe.language.overrides import Override
from dlcli.rundir.directory import RunDir
from dlcli.rundir.runs import suffixed
from dlcli.runtime.console import Console
from dlcli.workflow.reproduce.again import SUFFIX, NotTheSame, different
from dlcli.workflow.reproduce.environment import in_environment
from dlcli.workflow.reproduce.tables import compare_tables, flat, verdict_of
from dlcli.workflow.same_recipe import describe_changes, recipe_changes
from dlcli.workflow.search.finals import final_name
from dlcli.workflow.studies import work_of
from dlcli.workflow.trials.directory import LOGS, StudyDir
from dlcli.workflow.trials.records import Record, TrialLog
from dlcli.workflow.trials.study import check_logs
from dlcli.workflow.trials.work import recipe_of, start

RESULTS = ("chosen", "best", "baseline")
"""The parts of a result that say who won: of a search the chosen finalists, of a sweep the best and the first trial."""


def reproduce_study(
    study: StudyDir,
    *,
    data: Override | None,
    tolerance: float,
    device: str,
    command: Sequence[str],
    console: Console,
) -> dict[str, Any]:
    """Train again what the logs of a search or sweep say, as ``<name>-reproduced``, and compare the two.

    Every trial is trained again with the choices and seed in the log, and so are the finalists of a search; the chosen
    ones are evaluated on the test split again.

    Args:
        tolerance: the largest relative difference of two numbers that is accepted where the environments differ, or the
            device is a GPU.

    Returns:
        As of :func:`compare_studies`. If recipe or data differ, nothing is trained, ``reproduction`` is None, and
        ``differs`` says in what.

    Raises:
        InputError: the search or sweep is not complete or corrupt, or its data cannot be read.
        CheckFailed: nothing can be trained.
        Interrupted: a signal was received; it can be resumed.
    """
    info = _complete_info(study)
    for name in LOGS:  # one that is corrupt is reported before anything is written
        TrialLog(study.log_of_trials(name)).read()
    loaded = recipe_of(study, info, [] if data is None else [data])
    if changes := recipe_changes(info, loaded):
        return different(study.path, f"'written' in {study.info} differs from 'config': {describe_changes(changes)}")

    def check_facts(facts: Mapping[str, Any]) -> None:
        if facts["fingerprint"] != info.get("fingerprint"):
            raise NotTheSame(
                f"the data differ from those of the {study.kind}: {_data_difference(info, facts['splits'])}"
            )

    try:
        result = start(
            work_of(study.kind, loaded),
            name=suffixed(study.name, SUFFIX),
            runs=study.path.parent,
            device=device,
            ray=None,
            command=command,
            console=console,
            replays=study,
            check_facts=check_facts,
        )
    except NotTheSame as difference:
        return different(study.path, str(difference))
    except Interrupted as stop:
        hint = f"\nThen compare the two with: dlcli reproduce {study.path} --with {stop.folder}"
        raise Interrupted(f"{stop}{hint}", stop.signal_number) from None
    other = StudyDir(Path(result["directory"]), study.kind)
    compared = compare_studies(study, other, tolerance=tolerance)
    other.update_info(reproduces={"run": study.name, "verdict": compared["verdict"]})
    return compared


def compare_studies(study: StudyDir, other: StudyDir, *, tolerance: float) -> dict[str, Any]:
    """Compare a search or sweep with one of the same recipe, seed and data, perhaps on another machine.

    Trials are compared by their numbers: status, choices, metrics and cost, and the weights of finalists whose runs are
    in both; then who won, with its values.

    Returns:
        ``run``, ``reproduction`` (the directories), ``verdict`` (exact, close, different), ``reproduced``, ``compared``
        (in words), ``first`` and ``beyond`` (the first difference, and the first beyond the tolerance), ``largest``,
        ``tolerance``, ``environment``, ``unrecorded``, and ``notes``: which trials are not compared.

    Raises:
        InputError: they are of different kinds, or one of them is not complete or corrupt.
    """
    if study.kind != other.kind:
        raise InputError(f"{other.path}: is a {other.kind}, and {study.path} a {study.kind}. Name two of one kind.")
    infos = [_complete_info(one) for one in (study, other)]
    if changes := recipe_changes(infos[0], recipe_of(other, infos[1])):
        return different(study.path, f"the recipe of {other.path} differs: {describe_changes(changes)}", other.path)
    if infos[0].get("fingerprint") != infos[1].get("fingerprint"):
        return different(
            study.path,
            f"the data of {other.path} differ: {_data_difference(infos[0], infos[1].get('samples'))}",
            other.path,
        )
    parts, notes = [], []
    for name in LOGS:
        logs = [TrialLog(one.log_of_trials(name)).read() for one in (study, other)]
        if any(logs):
            rows = [_rows(one, records) for one, records in zip((study, other), logs, strict=True)]
            comparable = _comparable(*rows)
            parts.append((name, compare_tables(*comparable, key="trial", tolerance=tolerance)))
            kept = {row["trial"] for row in comparable[1]}
            if left_out := [str(row["trial"]) for row in rows[1] if row["trial"] not in kept]:
                noun = "trial" if len(left_out) == 1 else "trials"
                notes.append(f"{study.log_of_trials(name)} lacks {noun} {', '.join(left_out)}, not compared")
    results = [_result(info) for info in infos]
    parts.append(("result", compare_tables(results[:1], results[1:], key="", tolerance=tolerance)))
    return {
        "run": str(study.path),
        "reproduction": str(other.path),
        **in_environment(verdict_of(parts), *infos),
        "tolerance": tolerance,
        "notes": notes,
    }


def _data_difference(info: Mapping[str, Any], samples: Any) -> str:
    """How data differ from those of a search or sweep, which records the number of samples of each split."""
    old = info.get("samples")
    if not isinstance(old, dict) or not isinstance(samples, dict):
        return "their fingerprints differ"
    if old == samples:
        return "their fingerprints differ, with the same numbers of samples"
    return "; ".join(
        f"{old.get(split, 0):,} {split} samples became {samples.get(split, 0):,}"
        for split in dict.fromkeys([*old, *samples])
        if old.get(split) != samples.get(split)
    )


def _complete_info(study: StudyDir) -> dict[str, Any]:
    info = study.read_info()
    if info["status"] != "completed":
        raise InputError(f"{study.path}: is not complete. Resume it with: dlcli {study.kind} --resume {study.path}")
    check_logs(study, info)
    return info


def _result(info: Mapping[str, Any]) -> dict[str, Any]:
    """Who won, by dotted keys. The number of a sweep's best trial may depend on the order in which trials ended."""
    is_search = isinstance(info.get("result"), dict)
    result = info["result"] if is_search else info
    cells = flat({key: result[key] for key in RESULTS if key in result})
    return cells if is_search else {key: value for key, value in cells.items() if not key.endswith(".trial")}


def _rows(study: StudyDir, records: Sequence[Record]) -> list[dict[str, Any]]:
    """What is compared of the trials of a log, in the order of their numbers."""
    return [
        {
            "trial": record.trial,
            "status": record.status,
            "choices": json.dumps(record.choices, sort_keys=True),
            "seed": record.seed,
            **record.metrics,
            **record.cost,
            "weights": _weights(study, record),
        }
        for record in sorted(records, key=lambda record: record.trial)
    ]


def _comparable(
    old: list[dict[str, Any]], new: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows without trials before the last one that only the new log has, and without weights that one lacks."""
    known = {row["trial"] for row in old}
    new = [row for row in new if row["trial"] in known or row["trial"] > max(known, default=-1)]
    for before, after in zip(old, new, strict=False):
        if None in (before["weights"], after["weights"]):
            del before["weights"], after["weights"]
    return old, new


def _weights(study: StudyDir, record: Record) -> str | None:
    """The digest of the weights of a finalist; None for another trial, or where its run was removed."""
    choices = record.choices
    if "origin" not in choices or not study.finals.is_dir():
        return None
    run = RunDir(study.finals / final_name(choices))
    found = run.read_info().get("weights") if run.info.exists() else None
    return found if isinstance(found, str) else None
