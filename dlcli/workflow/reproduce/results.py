"""``dlcli reproduce RUN --evaluation`` and ``--attack``: compute results of a run's model again, and compare."""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlcli.data.splits import SPLITS
from dlcli.errors import InputError
from dlcli.printing import escaped_line
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import MAX_METRICS_BYTES, check_keys, read_json
from dlcli.rundir.tables import read_csv
from dlcli.runtime.console import Console
from dlcli.runtime.machine import environment
from dlcli.runtime.startup import started_device
from dlcli.tasks.run_models import model_file
from dlcli.tasks.split_choice import OWN_DATA
from dlcli.workflow.attack.attack import attack
from dlcli.workflow.attack.inputs import load_inputs
from dlcli.workflow.attack.plan import Plan
from dlcli.workflow.attack.request import Request
from dlcli.workflow.evaluate import EvaluationRequest, evaluate
from dlcli.workflow.reproduce.environment import in_environment
from dlcli.workflow.reproduce.tables import compare_tables, flat, verdict_of

NOT_RESULTS = ("evaluated", "data", "epoch", "environment")
"""The keys of metrics.json that say when and of what it was made."""
TOP_K = re.compile(r"top_([0-9]{1,6})_accuracy")


def reproduce_evaluation(run: RunDir, name: str, *, tolerance: float, console: Console) -> dict[str, Any]:
    """Evaluate a run's model again, in a copy of the run, and compare with ``evaluation/<name>/``.

    Args:
        name: of the folder: a split, or one with test-time augmentation, such as ``test-tta-flip``.
        tolerance: the largest relative difference of two numbers that is accepted.

    Returns:
        ``run``, ``of`` (the folder), ``verdict`` (exact, close, different), ``reproduced``, ``compared`` (in words),
        ``first`` and ``beyond`` (the first difference, and the first beyond the tolerance), ``largest``,
        ``environment`` (what differs in it) and ``unrecorded``.

    Raises:
        InputError: there is no such evaluation, or it is one of other data than the run's own.
    """
    split, _, views = name.partition("-tta-")
    old = _existing(run, run.evaluation(name) if name not in ("", ".", "..") and "/" not in name else None, name)
    before = read_json(old / "metrics.json", MAX_METRICS_BYTES)
    if before.get("data") != OWN_DATA or split not in SPLITS or views not in ("", "flip", "crops", "flip+crops"):
        raise InputError(
            f"{old}: is an evaluation of other data than the run's own. Evaluate again with: dlcli evaluate {run.path} "
            "--data PATH"
        )
    top = tuple(int(match[1]) for key in before if (match := TOP_K.fullmatch(key)))
    model_file(run)
    with _copy_of(run) as copy:
        request = EvaluationRequest(split, top_k=top, views=views or None)  # type: ignore[arg-type]
        new = Path(evaluate(copy, request, console=console)["folder"])
        after = read_json(new / "metrics.json", MAX_METRICS_BYTES)
        numbers = compare_tables([_results(before)], [_results(after)], key="", tolerance=tolerance)
        parts = [("metrics.json", numbers)]
        if (new / "predictions.csv").exists():
            tables = [read_csv(folder / "predictions.csv") for folder in (old, new)]
            parts.append(("predictions.csv", compare_tables(*tables, key="row", tolerance=tolerance)))
    recorded = before["environment"] if isinstance(before.get("environment"), dict) else {}
    return {"run": str(run.path), "of": str(old), **in_environment(verdict_of(parts), recorded, after["environment"])}


def reproduce_attack(run: RunDir, name: str, *, runs: Path, tolerance: float, console: Console) -> dict[str, Any]:
    """Attack a run's model again with the settings in ``attacks/<name>/attack.json``, and compare the results.

    Returns:
        As of :func:`reproduce_evaluation`.

    Raises:
        InputError: there is no such attack, it was of other data than the run's own or of another model, or
            attack.json is corrupt.
    """
    is_name = name not in ("", ".", "..") and "/" not in name
    old = _existing(run, run.attacks / name if is_name else None, name)
    path = old / "attack.json"
    before = read_json(path)
    check_keys(path, before, settings=dict, samples=int, split=str, sha256=str)
    if before["samples"] < 1:
        raise InputError(f"{path}: is corrupt: 'samples' must be at least 1. Restore it from a copy.")
    if before["split"] not in SPLITS:
        raise InputError(f"{path}: the attack was on other data than the run's own. Run it again with: dlcli attack")
    plan = _plan(path, before["settings"])
    inputs = load_inputs(_request(run, runs, before), console)
    for key in ("sha256", "other_sha256"):
        if before.get(key) != inputs.source.get(key):
            raise InputError(f"{path}: was made with another model: the SHA-256 of its file differs. Attack it again.")
    with tempfile.TemporaryDirectory() as folder:
        result = attack(
            plan,
            inputs.target,
            inputs.samples,
            classes=inputs.classes,
            parent=Path(folder),
            name=name,
            source=inputs.source,
            scored_by=inputs.scored_by,
            with_checks=False,
            console=console,
        )
        new = Path(result["folder"])
        parts = []
        for table, key in (("robustness.csv", "eps"), ("samples.csv", "row")):
            tables = [read_csv(one / table) for one in (old, new)]
            parts.append((table, compare_tables(*tables, key=key, tolerance=tolerance)))
    found = in_environment(verdict_of(parts), before, environment(started_device()))
    return {"run": str(run.path), "of": str(old), **found}


def _existing(run: RunDir, folder: Path | None, name: str) -> Path:
    if folder is not None and folder.is_dir() and not folder.is_symlink():
        return folder
    kinds = [path for path in (run.evaluation("*").parent, run.attacks) if path.is_dir()]
    known = ", ".join(sorted(f"{kind.name}/{one.name}" for kind in kinds for one in kind.iterdir() if one.is_dir()))
    raise InputError(
        f"{run.path}: has no results named '{escaped_line(name)}'. It has: {escaped_line(known) or 'none'}."
    )


@contextlib.contextmanager
def _copy_of(run: RunDir) -> Iterator[RunDir]:
    """A copy of a run without checkpoints and results, so that what the run holds stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / run.name
        copy.mkdir()
        for file in run.path.iterdir():
            if file.is_file() and not file.is_symlink() and file != run.lock_file:
                shutil.copy2(file, copy / file.name)
        yield RunDir(copy)


def _results(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The results in metrics.json, by dotted keys."""
    return flat({key: value for key, value in metrics.items() if key not in NOT_RESULTS})


def _plan(path: Path, settings: dict[str, Any]) -> Plan:
    """The plan whose settings attack.json holds."""
    try:
        values = {"steps": None, "step_size": None, "restarts": 1, "loss": "cross-entropy", "target": None, **settings}
        plan = Plan(**{**values, "eps": tuple(map(float, settings["eps"]))})
        if plan.settings() != settings or plan.batch_size < 1 or (plan.num_saved or 0) < 0:
            raise ValueError
    except (TypeError, KeyError, ValueError):
        raise InputError(f"{path}: is corrupt: its settings are not those of an attack. Attack again.") from None
    return plan


def _request(run: RunDir, runs: Path, before: Mapping[str, Any]) -> Request:
    other = before.get("transfer_to")
    if other is not None and (not isinstance(other, str) or other.endswith(".keras")):
        raise InputError(f"{run.path}: an attack that is scored on a model file cannot be reproduced from attack.json.")
    return Request(
        run=str(run.path),
        runs=runs,
        data=None,
        split=before["split"],
        limit=before["samples"],
        input_range=None,
        classes=None,
        transfer_to=other,
        transfer_input_range=None,
        has_logits=False,
        target=None,
    )
