"""``dlcli runs``: listing, showing, comparing and removing runs. Needs no TensorFlow."""

import contextlib
import itertools
import math
import os
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.language.errors import shortened
from dlcli.recipe.language.suggestions import did_you_mean
from dlcli.recipe.yaml_writer import completed
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.runs import find_run
from dlcli.rundir.tables import read_csv
from dlcli.training.direction import lower_is_better
from dlcli.workflow.compare import ABSENT, differences
from dlcli.workflow.headline import final_metrics, headline
from dlcli.workflow.trials.directory import StudyDir, find_any_study, list_studies, study_at
from dlcli.workflow.trials.summary import summary as summary_of_study

REMOVING = ".removing-"  # prefix of the folders with runs that are being removed
STATUSES = ("running", "completed", "interrupted", "failed", "corrupt")
MAX_NAMES = 12  # of metrics in an error
ORDERS = ("started", "name", "best")  # by which runs are sorted, besides the names of metrics


def summary(run: RunDir) -> dict[str, Any]:
    """Summarize a run in a few values; the ``status`` of one that cannot be read is ``corrupt``, for a ``reason``."""
    link = {"link": os.readlink(run.path)} if run.path.is_symlink() else {}
    try:
        info = run.read_info()
        best = info.get("best") or {}
        epochs = len(read_csv(run.metrics)) if run.metrics.exists() else 0
        found = headline(info)
        return {
            "name": run.name,
            "status": run.status(),
            "task": info.get("task"),
            "started": info.get("started"),
            "seed": info.get("seed"),
            "epochs": epochs,
            "best": best.get("value"),
            "metric": best.get("metric"),
            "headline": found[0] if found else None,
            "value": found[1] if found else None,
            "evaluated": info.get("evaluated"),
            "final": info.get("final"),
            **link,
        }
    except InputError as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename or run.path}: cannot be read ({error.strerror})."
    return {"name": run.name, "status": "corrupt", "reason": reason, "final": None, **link}


def list_all_studies(runs: Path) -> list[dict[str, Any]]:
    """Summarize all searches and sweeps of a folder, newest first."""
    summaries = [summary_of_study(study) for study in list_studies(runs)]
    return sorted(summaries, key=lambda one: str(one.get("started") or ""), reverse=True)


def value_of(run: dict[str, Any], metric: str) -> float | None:
    """A final metric of a :func:`summary`, by its name, or by its name without the evaluated split."""
    metrics = final_metrics(run)
    return metrics.get(metric, metrics.get(f"{run.get('evaluated')}_{metric}"))


def in_order(summaries: list[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    """Sort summaries of runs: ``started`` (newest first), ``name``, ``best`` or a final metric.

    The best run comes first, and runs without a value last. Values of ``best`` are compared within one metric.

    Raises:
        InputError: no run has such a metric.
    """
    if order == "started":
        return summaries
    if order == "name":
        return sorted(summaries, key=lambda run: str(run["name"]))
    if order == "best":
        return sorted(summaries, key=lambda run: (str(run.get("metric")), *_rank(run.get("best"), run.get("metric"))))
    return by_metric(summaries, order, option="--sort", others=ORDERS)


def by_metric(
    summaries: list[dict[str, Any]], metric: str, *, option: str, others: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Sort summaries of runs by a final metric, the best first.

    Args:
        option: that the metric is from, for messages.
        others: what else it takes.

    Raises:
        InputError: no run has such a metric.
    """
    if summaries and all(value_of(run, metric) is None for run in summaries):
        names = [*others, *dict.fromkeys(name for run in summaries for name in final_metrics(run))]
        short = [name.removeprefix(f"{run.get('evaluated')}_") for run in summaries for name in final_metrics(run)]
        examples = ", ".join(names[:MAX_NAMES]) or "none yet"
        hint = did_you_mean(metric, [*names, *short]) or f". It takes, for example: {examples}."
        raise InputError(f"{option}: no run has a final metric '{shortened(metric)}'{hint}")
    return sorted(summaries, key=lambda run: _rank(value_of(run, metric), metric))


def _rank(value: Any, metric: Any) -> tuple[bool, float]:
    """What to sort by, so that the best value comes first and no value last."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return True, 0.0
    return False, value if lower_is_better(str(metric)) else -value


def show(run: RunDir) -> dict[str, Any]:
    """The content of run.json, the current status, and the last row of metrics.csv."""
    rows = read_csv(run.metrics) if run.metrics.exists() else []
    return {
        "run": str(run.path),
        **run.read_info(),
        "status": run.status(),
        "last_epoch": rows[-1] if rows else None,
        "attacks": attacks(run),
    }


def attacks(run: RunDir) -> dict[str, float]:
    """Robust accuracy of the run's current model by attack and epsilon, such as ``pgd 0.1``."""
    accuracies: dict[str, float] = {}
    for folder in sorted(run.attacks.glob("*")):
        with contextlib.suppress(InputError, OSError, KeyError, TypeError, ValueError):
            if read_json(folder / "attack.json")["sha256"] == run.read_info().get("model"):
                for row in read_csv(folder / "robustness.csv"):
                    if float(row["eps"]) > 0:
                        accuracies[f"{folder.name} {float(row['eps']):.4g}"] = float(row["robust_accuracy"])
    return accuracies


def diff(one: RunDir, other: RunDir) -> dict[str, Any]:
    """Compare two runs: differing recipe keys except the name, final metrics and robust accuracies, as pairs."""
    first, second = one.read_info(), other.read_info()
    recipe = differences(completed(first.get("config", {})), completed(second.get("config", {})))
    recipe.pop("name", None)
    recipe |= differences(first.get("ensemble"), second.get("ensemble"), "ensemble")
    metrics_one, metrics_two = first.get("final") or {}, second.get("final") or {}
    names = [*metrics_one, *(name for name in metrics_two if name not in metrics_one)]
    robust_one, robust_two = attacks(one), attacks(other)
    return {
        "runs": [one.name, other.name],
        "recipe": {key: list(pair) for key, pair in recipe.items()},
        "metrics": {name: [metrics_one.get(name, ABSENT), metrics_two.get(name, ABSENT)] for name in names},
        "attacks": {
            name: [robust_one.get(name, ABSENT), robust_two.get(name, ABSENT)] for name in robust_one | robust_two
        },
    }


def find_removable(runs: Path, reference: str) -> RunDir:
    """Find a run, search or sweep that may be deleted: one that reads as one of dlcli, at the path as given.

    Raises:
        InputError: there is no such run, the path contains ``..`` or is a link, or run.json is not that of a run.
    """
    if ".." in Path(reference).parts:
        raise InputError(f"{reference}: must not contain '..'. Give the path of the run directory itself.")
    run: RunDir = find_any_study(runs, reference) or find_run(runs, reference)
    if run.path.is_symlink():
        raise InputError(f"{run.path}: is a link. Give the path of the run directory itself.")
    try:
        run.read_info()
    except InputError as error:
        kind = run.kind if isinstance(run, StudyDir) else "run"
        raise InputError(
            f"{run.path}: not removed, because it does not read as a {kind} of dlcli ({error}). If nothing in it is "
            f"needed, delete it with: rm -r {shlex.quote(str(run.path))}"
        ) from None
    return run


def remove(run: RunDir) -> None:
    """Delete a run directory that :func:`find_removable` found.

    It is renamed first, so that a half-deleted directory is never mistaken for a run; run.json (or search.json,
    sweep.json) is deleted last, so that what a killed removal left can still be recognized.

    Raises:
        InputError: a process is using it.
    """
    run.lock()
    try:
        names = (f"{REMOVING}{number}-{run.name}" for number in itertools.count(1))
        renamed = next(path for path in map(run.path.with_name, names) if not os.path.lexists(path))
        info = run.info.name
        run.path.rename(renamed)
        _delete(renamed, info)
    finally:
        with contextlib.suppress(OSError):
            run.unlock()


def finish_removals(runs: Path) -> list[str]:
    """Delete the runs of a folder whose removal was killed, as far as they read as runs; their names."""
    finished = []
    for folder in sorted(runs.glob(f"{REMOVING}*")):
        with contextlib.suppress(InputError, OSError):
            if folder.is_symlink():
                continue
            if any(folder.iterdir()):
                run = study_at(folder) or RunDir(folder)
                run.read_info()
                run.lock()
                try:
                    _delete(folder, run.info.name)
                finally:
                    run.unlock()
            else:  # killed before its last step
                folder.rmdir()
            finished.append(re.sub(rf"{re.escape(REMOVING)}(\d+-)?", "", folder.name, count=1))
    return finished


def _delete(folder: Path, info: str) -> None:
    """Delete the directory of a run, search or sweep: run.json (or its like) last, the lock before it."""
    last = [folder / "run.lock", folder / info]
    for entry in [*(entry for entry in list(folder.iterdir()) if entry not in last), *last]:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    folder.rmdir()
