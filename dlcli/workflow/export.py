"""``dlcli export``: a run's model for other programs, checked against the Keras model by its own runtime."""

import contextlib
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dlcli.errors import CheckFailed, InputError, raise_lost_stop
from dlcli.exporting.client import client_text
from dlcli.exporting.comparison import Comparison
from dlcli.exporting.convert import convert, load, num_bytes
from dlcli.exporting.exportable import Exportable, Runtime, keras_runtime, num_samples
from dlcli.exporting.formats import BOUNDS, DISTRIBUTIONS, FILES, Bound
from dlcli.exporting.latency import latencies
from dlcli.printing import json_text
from dlcli.recipe.load import load as load_recipe
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.runs import now
from dlcli.rundir.writing import new_folder, write_file
from dlcli.runtime.console import Console
from dlcli.runtime.library_output import captured_stderr
from dlcli.runtime.machine import versions
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.task import ExportRequest
from dlcli.temporary import temporary_file
from dlcli.workflow.result_folder import free_folder
from dlcli.workflow.train import command

__all__ = ["ExportRequest", "export"]

INFO = "export.json"
SIZES = (1, 32)  # of batches whose time is measured


def export(
    run: RunDir,
    request: ExportRequest,
    *,
    output: Path | None,
    tolerance: float | None,
    evaluates: bool,
    console: Console,
) -> dict[str, Any]:
    """Export a run's best model into ``exports/<format>/``, or into ``output``, and check what was written.

    Args:
        request, output: which :func:`dlcli.workflow.export_request.check_request` has accepted.
        tolerance: the largest difference that is accepted; None for the one of `BOUNDS`.
        evaluates: whether the exported model is also evaluated on all samples of the split.

    Returns:
        The content of export.json, with ``run`` and ``folder``.

    Raises:
        InputError: the run has no model, its data cannot be used, or the format does not support the network.
        CheckFailed: the exported model differs too much; it is kept in a folder whose name ends in ``-refused``.
    """
    run.remove_leftovers()
    exportable = task_of(load_recipe(run.config).recipe).exportable(run, request, console)
    if evaluates and exportable.evaluate is None:
        raise InputError("--evaluate: is not available for the exported models of this task. Remove the option.")
    bound = BOUNDS[request.quantization]
    bound = bound if tolerance is None else Bound(tolerance, tolerance, bound.agreement)
    facts = {"format": request.format, "quantization": request.quantization, "model": exportable.digest}
    name = "-".join(filter(None, (request.format, request.quantization)))
    target = _free(run.exports, name, facts) if output is None else output
    with new_folder(target) as new:
        console.say(f"converting to {name}")
        with captured_stderr(), _disk_errors(new.path, 2 * exportable.num_bytes):
            batch = convert(exportable, new.path, request.format, request.quantization)
            runtime = load(new.path, request.format, batch)
        raise_lost_stop()
        original = keras_runtime(exportable.model)
        comparison = compare(exportable, original, runtime, console)
        console.say("measuring the time of each model")
        sizes = SIZES if batch is None else (batch,)
        info = {
            "exported": now(),
            "command": command(),
            "versions": {**versions(), **{package: version(package) for package in DISTRIBUTIONS[request.format]}},
            **facts,
            "epoch": exportable.epoch,
            "file": FILES[request.format],
            "inputs": _described(exportable.model.inputs, exportable.inputs, batch),
            "outputs": _described(exportable.model.output, exportable.outputs, batch),
            **exportable.info,
            "check": {
                "split": exportable.split,
                "samples": sum(map(num_samples, exportable.batches)),
                **comparison.to_dict(),
                "bound": {
                    "largest_difference": bound.difference,
                    "mean_difference": bound.mean,
                    "agreement": bound.agreement,
                },
                "passed": comparison.is_within(bound),
            },
            "bytes": {"keras": exportable.num_bytes, "exported": num_bytes(new.path / FILES[request.format])},
            "milliseconds": {
                "keras": latencies(original, exportable.batches, sizes),
                "exported": latencies(runtime, exportable.batches, sizes),
                "cores": len(os.sched_getaffinity(0)),
            },
        }
        if evaluates and exportable.evaluate is not None and comparison.is_within(bound):
            console.say(f"evaluating the exported model on {exportable.split}")
            metrics = exportable.evaluate(runtime, new.path / "evaluation" / exportable.split)
            info["metrics"] = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
        files = {"client.py": client_text(exportable.client, request.format), INFO: json_text(info) + "\n"}
        for file_name, content in {**exportable.files, **files}.items():
            write_file(new.path / file_name, content.encode())
        if not comparison.is_within(bound):
            target = _free(target.parent, f"{target.name}-refused", facts)
        new.put(target)
    if not comparison.is_within(bound):
        raise CheckFailed(_refusal(comparison, bound, target))
    return {"run": str(run.path), "folder": str(target), **info}


def compare(exportable: Exportable, original: Runtime, runtime: Runtime, console: Console) -> Comparison:
    """Run both models on the samples of an exportable model and compare their outputs."""
    batches = exportable.batches
    console.say(f"comparing with the Keras model on {sum(map(num_samples, batches)):,} samples of {exportable.split}")
    ours, theirs = [], []
    for done, batch in enumerate(batches, start=1):
        ours.append(original(batch))
        theirs.append(runtime(batch))
        console.evaluating(done, len(batches))
    return exportable.compare(ours, theirs)


def _described(tensors: Any, meanings: Any, batch: int | None) -> list[dict[str, Any]]:
    """The inputs or outputs for export.json; None in a shape is any size."""
    named = tensors if isinstance(tensors, dict) else {tensor.name: tensor for tensor in tensors}
    return [
        {"name": name, "shape": [batch, *named[name].shape[1:]], "dtype": named[name].dtype, "meaning": meaning}
        for name, meaning in meanings.items()
    ]


def _refusal(comparison: Comparison, bound: Bound, folder: Path) -> str:
    if not comparison.is_finite:
        what = "has outputs that are not finite"
    elif comparison.difference is not None and comparison.difference > bound.difference:
        what = (
            f"differs from the Keras model by {comparison.difference:.3g} of the range of its outputs, more than "
            f"{bound.difference:g}; --tolerance sets another bound"
        )
    elif comparison.mean is not None and comparison.mean > bound.mean:
        what = (
            f"differs from the Keras model by {comparison.mean:.3g} of the range of its outputs in the mean of the "
            f"samples, more than {bound.mean:g}; --tolerance sets another bound"
        )
    else:
        what = f"agrees on {comparison.agreement:.1%} of the samples ({comparison.decision}), less than "
        what += f"{bound.agreement:.0%}"
    return f"{folder}: the exported model is refused: it {what}."


def _free(parent: Path, name: str, facts: dict[str, Any]) -> Path:
    """The folder of that name; with a number if it has another model."""

    def has_same(folder: Path) -> bool:
        with contextlib.suppress(InputError, OSError):
            info = read_json(folder / INFO)
            return {key: info.get(key) for key in facts} == facts
        return False

    if (parent / name).is_symlink():
        raise InputError(f"{parent / name}: is a link. Remove it, or choose another folder with -o.")
    return free_folder(parent, name, has_same=has_same)


@contextlib.contextmanager
def _disk_errors(folder: Path, num_bytes: int) -> Iterator[None]:
    """Turns what a library makes of a full disk into an error of the operating system.

    Args:
        num_bytes: that the library writes at most.

    Raises:
        OSError: so much cannot be written to the folder.
    """
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(folder)
        raise
    except Exception:
        with temporary_file(folder / "model") as probe, open(probe, "wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, num_bytes)
            except OSError as error:
                error.filename = str(folder)
                raise
        raise
