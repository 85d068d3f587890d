"""Trains in a worker: a trial, whose weights are not kept, or a whole run that is evaluated on validation data."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.recipe.load import LoadedRecipe
from dlcli.report.cost.layer_table import LayerTable
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import read_csv
from dlcli.runtime.console import Console
from dlcli.runtime.machine import environment
from dlcli.runtime.startup import Device
from dlcli.tasks.dispatch import prepare, task_of
from dlcli.tasks.run_models import with_run_files
from dlcli.tasks.task import EvaluationRequest
from dlcli.temporary import temporary_folder
from dlcli.training import checkpoint
from dlcli.workflow import train as workflow
from dlcli.workflow.evaluate import evaluate


class _Rows:
    """Observes a training loop, and keeps the rows of its epochs."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def stage(self, name: str, num_epochs: int) -> None:
        """Nothing is shown."""

    def progress(self, *values: Any) -> None:
        """Nothing is shown."""

    def stopping(self) -> None:
        """Workers ignore signals."""

    def epoch(self, row: dict[str, Any], num_epochs: int, is_best: bool) -> None:
        self.rows.append(row)


class _Collecting(Console):
    """A quiet console that keeps its warnings."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def check(loaded: LoadedRecipe, *, runs: Path, device: Device) -> dict[str, Any]:
    """Read the data of a recipe and build its network, as training would.

    Returns:
        The ``cost`` of the network, the number of samples of each of the ``splits``, the ``fingerprint`` of the data,
        the ``columns`` of metrics, the ``best_metric``, the ``warnings`` about the data, and the ``environment`` as in
        run.json: ``device``, ``versions`` and ``machine``.

    Raises:
        InputError: the data or the recipe cannot be used.
    """
    console = _Collecting()
    job = prepare(with_run_files(loaded, runs), device, console)
    return {
        "cost": costs(job.table()),
        "splits": {split: len(samples) for split, samples in job.dataset.splits.items()},
        "fingerprint": job.dataset.fingerprint(),
        "columns": list(job.loop(RunDir(runs), _Rows()).columns),
        "best_metric": job.best_metric,
        "environment": environment(device.name),
        "warnings": [*(warning.text for warning in job.dataset.warnings), *console.warnings],
    }


def train_trial(
    loaded: LoadedRecipe, *, folder: Path, runs: Path, limits: Mapping[str, float], device: Device
) -> dict[str, Any]:
    """Train a recipe for a short time, and return the metrics of its best epoch on train and validation.

    The test split is not evaluated. Checkpoints are in a temporary folder, which a killed worker leaves to
    :func:`dlcli.temporary.remove_leftovers`.

    Args:
        folder: where the temporary folder is made.
        runs: where ``run:NAME`` is looked up.
        limits: the largest ``multiply_adds`` and ``parameters``; a network that exceeds one is not trained.

    Returns:
        ``status``: complete or refused; ``metrics``, ``cost`` and ``error``.

    Raises:
        InputError: the recipe cannot be used, or the network does not fit into the memory.
        CheckFailed: the loss is not finite.
    """
    console = _Collecting()
    loaded = with_run_files(loaded, runs)
    if limits:  # the table is built without weights, which a large network would fill the memory with
        table, _ = task_of(loaded.recipe).table_of_recipe(loaded, None, console)
        if (reason := exceeded(costs(table), limits)) is not None:
            return {"status": "refused", "cost": costs(table), "error": reason}
    job = prepare(loaded, device, console)
    with temporary_folder(folder / "trial") as temporary:
        rows = _Rows()
        loop = job.loop(RunDir(temporary), rows)
        loop.train()
        best = rows.rows[loop.state.best.epoch - 1]
    metrics = {key: value for key, value in best.items() if key.startswith(("train_", "val_"))}
    return {"metrics": metrics | {"epoch": best["epoch"], "epochs": loop.state.epoch}, "cost": costs(job.table())}


def train_seeds(
    loaded: LoadedRecipe, *, seeds: Sequence[int], objective: str, folder: Path, runs: Path, device: Device
) -> dict[str, Any]:
    """Train a trial once with each seed, as :func:`train_trial` does.

    Returns:
        As :func:`train_trial`, with the means over the seeds, the standard deviation (n - 1) of the objective as
        ``spread`` if there are several, and the ``epochs`` of all.
    """
    outcomes = []
    for seed in seeds:
        train = loaded.recipe.train.model_copy(update={"seed": seed})
        of_seed = dataclasses.replace(loaded, recipe=loaded.recipe.model_copy(update={"train": train}))
        outcomes.append(train_trial(of_seed, folder=folder, runs=runs, limits={}, device=device))
    if len(outcomes) == 1:
        return outcomes[0]
    metrics = {
        name: float(np.mean([outcome["metrics"][name] for outcome in outcomes])) for name in outcomes[0]["metrics"]
    }
    metrics["epochs"] = sum(outcome["metrics"]["epochs"] for outcome in outcomes)
    metrics["spread"] = float(np.std([outcome["metrics"][objective] for outcome in outcomes], ddof=1))
    return {"metrics": metrics, "cost": outcomes[0]["cost"]}


def train_rung(loaded: LoadedRecipe, *, folder: Path, runs: Path, until: int, device: Device) -> dict[str, Any]:
    """Train to a number of epochs, or from the checkpoint in a folder on, exactly as if training had never paused.

    Args:
        folder: of the checkpoint, in a folder that exists.

    Returns:
        As :func:`train_trial`, with the metrics of the best epoch so far.
    """
    job = prepare(with_run_files(loaded, runs), device, _Collecting())
    folder.mkdir(exist_ok=True)
    run = RunDir(folder)
    loop = job.loop(run, _Rows())
    if run.checkpoint_names.exists():
        saved, _ = checkpoint.load_last(run)
        loop.resume(saved)
    else:
        loop.cut_metrics()  # of a process that was killed before its first checkpoint
    loop.train(until=until)
    best = read_csv(run.metrics)[loop.state.best.epoch - 1]
    metrics = {key: float(value) for key, value in best.items() if key.startswith(("train_", "val_"))}
    epochs = {"epoch": int(best["epoch"]), "epochs": loop.state.epoch}
    return {"metrics": metrics | epochs, "cost": costs(job.table())}


def train_run(loaded: LoadedRecipe, *, folder: Path, name: str, device: Device) -> dict[str, Any]:
    """Train a run to its end, or resume it; it is evaluated on the validation split, so that test stays unseen.

    Returns:
        Its final ``metrics``, ``cost``, and the path of the ``run``.

    Raises:
        InputError: the recipe cannot be used.
        CheckFailed: the loss is not finite.
    """
    console = _Collecting()
    run = RunDir(folder / name)
    if run.info.exists() and run.read_info()["status"] == "completed":
        info = run.read_info()
    elif run.info.exists():
        info = workflow.resume(run, device=device, console=console, given=None, split="validation")
    else:
        info = workflow.train(loaded, runs=folder, name=name, device=device, console=console, split="validation")
    table = task_of(loaded.recipe).table_of_run(run, run.read_info()["data"])
    return {"metrics": info["final"] | {"epoch": info["best"]["epoch"]}, "cost": costs(table), "run": str(run.path)}


def test_run(path: Path) -> dict[str, Any]:
    """Evaluate a run on the test split; returns its metrics."""
    result = evaluate(RunDir(path), EvaluationRequest(split="test"), console=_Collecting())
    return {"metrics": {key: value for key, value in result.items() if isinstance(value, float)}}


def optimize_graphs(wanted: bool) -> None:
    """Whether TensorFlow rewrites graphs before it runs them, which takes up to a third of the time of a training of
    seconds. Results may differ in the last digits."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not wanted})


def costs(table: LayerTable) -> dict[str, int]:
    """The parameters and multiply-adds of a network."""
    return {"parameters": table.parameters, "multiply_adds": table.operations.multiply_adds}


def exceeded(cost: Mapping[str, float], limits: Mapping[str, float]) -> str | None:
    """Which limit a network exceeds, as a sentence; None if it exceeds none."""
    for name, limit in limits.items():
        if cost[name] > limit:
            return f"has {cost[name]:,.0f} {name.replace('_', '-')}, more than the limit of {limit:,.0f}"
    return None
