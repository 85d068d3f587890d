"""Comparison of settings, each the runs of one recipe with different seeds."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.errors import InputError
from dlcli.evaluation.paired import compare_seeds, deviation
from dlcli.recipe.language.errors import shortened
from dlcli.recipe.language.suggestions import did_you_mean
from dlcli.recipe.yaml_writer import completed
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_file
from dlcli.training.direction import lower_is_better
from dlcli.workflow.compare import differences
from dlcli.workflow.comparison.words import facts
from dlcli.workflow.headline import headline

MAX_NAMES = 12  # of metrics in an error


def compare_settings(runs: Sequence[RunDir], metric: str | None = None) -> dict[str, Any]:
    """Compare settings, each the runs of one recipe with different seeds, by a final metric.

    Args:
        metric: the name of a final metric, such as ``test_accuracy``; None for the headline metric.

    Returns:
        ``metric``; ``data``, a run for each of the different data; and ``settings``, the best first, each with
        ``name``, ``runs``, ``seeds``, ``values``, ``mean``, ``deviation`` (None for one run), and, but for the best,
        ``behind``: the :class:`Difference` from the best one.

    Raises:
        InputError: a run is not complete or lacks the metric, or two are the same recipe with the same seed.
    """
    infos = [run.read_info() for run in runs]
    chosen = metric or _shared_headline(runs, infos)
    groups: list[tuple[dict[str, Any], list[int]]] = []
    for number, info in enumerate(infos):
        config = _setting(info)
        members = next((members for other, members in groups if not differences(config, other)), None)
        if members is None:
            groups.append((config, [number]))
        else:
            members.append(number)
    settings: list[dict[str, Any]] = []
    for _, members in groups:
        _check_seeds([(runs[i], infos[i].get("seed")) for i in members])
        values = [_final(runs[i], infos[i], chosen) for i in members]
        settings.append(
            {
                "name": runs[members[0]].name,
                "runs": [runs[i].name for i in members],
                "seeds": [infos[i].get("seed") for i in members],
                "values": values,
                "mean": float(np.mean(values)),
                "deviation": deviation(values),
            }
        )
    settings.sort(key=lambda setting: setting["mean"], reverse=not lower_is_better(chosen))
    for setting in settings[1:]:
        setting["behind"] = facts(compare_seeds(setting["values"], settings[0]["values"]))
    data: dict[str, str] = {}
    for run, info in zip(runs, infos, strict=True):
        data.setdefault(info["data"]["fingerprint"], run.name)
    return {"metric": chosen, "data": list(data.values()), "settings": settings}


def write_plot(path: Path, comparison: Mapping[str, Any]) -> None:
    """Write the forest plot of a comparison of settings."""
    from dlcli.report.plots.settings import forest  # Matplotlib takes half a second to import

    replace_file(path, forest(comparison["settings"], metric=comparison["metric"]))


def _check_seeds(members: Sequence[tuple[RunDir, Any]]) -> None:
    """Refuse runs of one setting with the same seed, which say nothing new about the spread."""
    found: dict[Any, RunDir] = {}
    for run, seed in members:
        if seed in found:
            raise InputError(
                f"{found[seed].path} and {run.path}: have the same recipe and seed {seed}. Name one of them."
            )
        found[seed] = run


def _setting(info: Mapping[str, Any]) -> dict[str, Any]:
    """A run's recipe without its name and seed, and the members of an ensemble, whose recipe is that of the first."""
    config: dict[str, Any] = completed(info.get("config", {}))
    train = {key: value for key, value in (config.get("train") or {}).items() if key != "seed"}
    own = {key: value for key, value in config.items() if key != "name"}
    return {**own, "train": train, "ensemble": info.get("ensemble")}


def _shared_headline(runs: Sequence[RunDir], infos: Sequence[Mapping[str, Any]]) -> str:
    names = []
    for run, info in zip(runs, infos, strict=True):
        found = headline(info)
        if found is None and info.get("final"):
            raise InputError(f"{run.path}: its headline metric is not a finite number. Name another with --metric.")
        if found is None:
            raise InputError(f"{run.path}: has no final metrics yet. Finish it with: dlcli train --resume {run.path}")
        names.append(found[0])
    if len(set(names)) > 1:
        listed = ", ".join(sorted(set(names)))
        raise InputError(f"the runs have different headline metrics: {listed}. Name one with --metric.")
    return names[0]


def _final(run: RunDir, info: Mapping[str, Any], metric: str) -> float:
    value = (info.get("final") or {}).get(metric)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        names = list(info.get("final") or {})
        hint = did_you_mean(metric, names) or f". It has, for example: {', '.join(names[:MAX_NAMES]) or 'none'}."
        raise InputError(f"{run.path}: has no final metric '{shortened(metric)}'{hint}")
    if not math.isfinite(value):
        raise InputError(f"{run.path}: the final metric '{metric}' is {value}, not a finite number.")
    return float(value)
