"""``dlcli reproduce RUN``: train a run again, and say whether the result is the same."""

from pathlib import Path
from typing import Any

from dlcli.data.splits import SPLITS, describe_difference
from dlcli.errors import InputError, Interrupted
from dlcli.recipe.language.overrides import Override
from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.rundir.runs import suffixed
from dlcli.rundir.tables import read_csv
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_keras_file, weights_digest
from dlcli.runtime.startup import Device
from dlcli.tasks.checks import data_difference
from dlcli.tasks.job import Job
from dlcli.tasks.run_models import model_file
from dlcli.workflow.headline import final_metrics
from dlcli.workflow.reproduce.again import SUFFIX, NotTheSame, different
from dlcli.workflow.reproduce.environment import environment_changes, may_differ, unrecorded
from dlcli.workflow.reproduce.tables import Compared, compare_tables
from dlcli.workflow.same_recipe import describe_changes, recipe_changes
from dlcli.workflow.train import refuse_other_class_weights, train


def reproduce(
    run: RunDir,
    *,
    runs: Path,
    epochs: int | None,
    data: Override | None,
    tolerance: float,
    device: Device,
    console: Console,
) -> dict[str, Any]:
    """Train a run again from its config.yaml, seed and data, as ``<name>-reproduced``, and compare the two.

    Args:
        runs: the folder for the new run.
        epochs: train and compare only the first epochs; the schedule is that of all.
        data: the new place of data that were moved.
        tolerance: the largest relative difference of a number in metrics.csv (but for gradient_norm) and of a final
            metric that is accepted where the environments differ, or the device is a GPU.

    Returns:
        ``verdict``: exact, close or different; ``reproduced``, ``epochs`` (number compared), ``weights`` (the digests
        of both models, None if not compared), ``environment``, ``unrecorded``, ``first`` and ``beyond`` (the first
        cell of metrics.csv that differs, and differs by more than the tolerance), ``largest`` (relative difference),
        and ``notes``. If recipe, data or pretrained weights differ, nothing is trained, ``reproduction`` is None, and
        ``differs`` says in what.

    Raises:
        InputError: the run is not complete, or its data cannot be read.
    """
    info = run.read_info()
    _check_comparable(run, info, epochs)
    refuse_other_class_weights(run, info)
    loaded = load(run.config, [] if data is None else [data])
    try:
        if changes := recipe_changes(info, loaded):
            raise NotTheSame(f"config.yaml differs from the recipe in run.json: {describe_changes(changes)}")
        result = train(
            loaded,
            runs=runs,
            name=suffixed(run.name, SUFFIX),
            device=device,
            console=console,
            split=info.get("evaluated") if info.get("evaluated") in SPLITS else None,
            check=lambda job: _check_job(run, info, job),
            until=epochs,
        )
    except NotTheSame as difference:
        return different(run.path, str(difference))
    except Interrupted as stop:
        hint = f"\nThen compare the two with: dlcli reproduce {run.path} --with {stop.folder}"
        raise Interrupted(f"{stop}{hint}", stop.signal_number) from None
    other = RunDir(Path(result["run"]))
    compared = _compare(run, other, epochs=epochs, tolerance=tolerance)
    other.update_info(reproduces={"run": run.name, "verdict": compared["verdict"]})
    return compared


def compare_trained(run: RunDir, other: RunDir, *, epochs: int | None, tolerance: float) -> dict[str, Any]:
    """Compare a run with one that was trained from the same recipe, seed and data, perhaps on another machine.

    Returns:
        As of :func:`reproduce`.

    Raises:
        InputError: one of them is not complete, or corrupt.
    """
    for one in (run, other):
        _check_comparable(one, one.read_info(), epochs)
    info = run.read_info()
    if changes := recipe_changes(info, load(other.config)):
        return different(run.path, f"the recipe of {other.path} differs: {describe_changes(changes)}", other.path)
    if info["data"]["fingerprint"] != other.read_info()["data"]["fingerprint"]:
        difference = describe_difference(read_csv(run.split), read_csv(other.split))
        return different(run.path, f"the data of {other.path} differ: {difference}", other.path)
    return _compare(run, other, epochs=epochs, tolerance=tolerance)


def _check_comparable(run: RunDir, info: dict[str, Any], epochs: int | None) -> None:
    if info["status"] != "completed" and epochs is None:
        raise InputError(
            f"{run.path}: is not complete. Resume it with: dlcli train --resume {run.path}, or reproduce its first "
            "epochs with --epochs-only N."
        )
    if info.get("best") is None:
        raise InputError(f"{run.path}: was not trained by dlcli train, so there is nothing to train again.")
    rows = read_csv(run.metrics)
    done = len(rows)
    if any(row.get("epoch") != str(number) for number, row in enumerate(rows, start=1)):
        raise InputError(f"{run.metrics}: is corrupt: its column epoch must count from 1 on. Restore it from a copy.")
    if done == 0:
        raise InputError(f"{run.metrics}: has no rows, so there is nothing to compare. Restore it from a copy.")
    if epochs is not None and epochs > done:
        raise InputError(f"--epochs-only must be at most the {done} epochs of {run.path}. Received {epochs}.")


def _check_job(run: RunDir, info: dict[str, Any], job: Job) -> None:
    if difference := data_difference(run, job.dataset):
        raise NotTheSame(f"the data differ: {difference}")
    old, new = (base.get("sha256") if isinstance(base, dict) else None for base in (info.get("base"), job.base()))
    if old != new:
        raise NotTheSame("the file of the pretrained weights differs from the one that the run started from")


def _compare(run: RunDir, other: RunDir, *, epochs: int | None, tolerance: float) -> dict[str, Any]:
    """Compare two runs of one recipe, seed and data: the values that :func:`reproduce` returns."""
    infos = run.read_info(), other.read_info()
    tables = [read_csv(one.metrics)[:epochs] for one in (run, other)]
    rows = compare_tables(tables[0], tables[1], key="epoch", tolerance=tolerance)
    digests, final = None, None
    if epochs is None:
        digests = [_weights(one, info) for one, info in zip((run, other), infos, strict=True)]
        metrics = [final_metrics(info) for info in infos]
        final = compare_tables(metrics[:1], metrics[1:], key="", tolerance=tolerance)
    is_exact = rows.is_equal and (digests is None or digests[0] == digests[1]) and (final is None or final.is_equal)
    is_close = rows.is_close and (final is None or final.is_close) and may_differ(*infos)
    return {
        "run": str(run.path),
        "reproduction": str(other.path),
        "reproduced": is_exact or is_close,
        "verdict": "exact" if is_exact else "close" if is_close else "different",
        "epochs": rows.num_rows,
        "tolerance": tolerance,
        "weights": digests,
        "environment": {key: list(values) for key, values in environment_changes(*infos).items()},
        "unrecorded": unrecorded(infos[0]),
        "first": _place(rows, final, "first"),
        "beyond": _place(rows, final, "beyond"),
        "largest": max(rows.largest, final.largest if final else 0.0),
        "notes": _notes(infos[0]),
    }


def _place(rows: Compared, final: Compared | None, which: str) -> str | None:
    place = getattr(rows, which)
    if place is not None:
        return f"metrics.csv, {place}"
    place = None if final is None else getattr(final, which)
    return None if place is None else f"final metric {place}"


def _weights(run: RunDir, info: dict[str, Any]) -> str:
    """The digest of the weights of a run's model; of a run of an earlier version it is computed."""
    path = model_file(run)
    recorded = info.get("weights")
    return recorded if isinstance(recorded, str) else weights_digest(load_keras_file(path))


def _notes(info: dict[str, Any]) -> list[str]:
    """What happened to the old run that a run in one go does not repeat."""
    return ["the run was extended after its first end; it was reproduced in one go"] if info.get("extended") else []
