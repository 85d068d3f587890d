"""``dlcli serve``: the models of runs over HTTP."""

import socket
from collections.abc import Callable, Sequence
from typing import Any

from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.serving.address import is_loopback, url_of
from dlcli.serving.application import Application
from dlcli.serving.example import predict_example
from dlcli.serving.guard import Guard
from dlcli.serving.limits import Limits
from dlcli.serving.metrics import Metrics
from dlcli.serving.served_model import ServedModel
from dlcli.serving.server import serve as serve_until_stopped
from dlcli.tasks.dispatch import task_of
from dlcli.workflow.headline import final_metrics, headline
from dlcli.workflow.serve_request import ServeRequest


def serve(
    runs: Sequence[RunDir],
    request: ServeRequest,
    bound: socket.socket,
    *,
    console: Console,
    on_start: Callable[[str], None],
) -> None:
    """Serve the best models of runs until a signal.

    Args:
        bound: to the request's address; it is bound first, because loading the models takes longer.
        on_start: is called with the address, as soon as the server listens on it.

    Raises:
        InputError: a run has no model.
        Interrupted: by the signal; requests that were at work are answered.
    """
    limits, metrics = Limits(), Metrics()
    address = url_of(bound)
    models = [_load(run, limits, console) for run in runs]
    guard = Guard(is_local=is_loopback(request.host), token=request.token)
    application = Application(models, guard=guard, limits=limits, metrics=metrics, report=console.warn)
    if not guard.is_local and request.token is None:
        console.warn(f"--insecure: everyone who reaches {address} can use the models")
    try:
        serve_until_stopped(application, bound, limits, metrics, lambda: on_start(address))
    finally:
        application.stop()


def _load(run: RunDir, limits: Limits, console: Console) -> ServedModel:
    predictor = task_of(load(run.config).recipe).predictor(run, console)
    example, seconds = predict_example(predictor, limits.max_batch)
    per_sample = f", {min(seconds[size] / size for size in seconds) * 1000:.2f} ms per sample" if seconds else ""
    console.say(f"run {run.path}: loaded{per_sample}")
    return ServedModel(run.name, predictor, card_of(run), example, seconds)


def card_of(run: RunDir) -> dict[str, Any]:
    """What the page shows of a run: its task, data, training and metrics, without any path."""
    info = run.read_info()
    model, shape = info["config"].get("model"), info["data"].get("shape")  # which anyone may have written
    first = headline(info)
    return {
        "task": str(info.get("task", "")),
        "model": str(model.get("kind", "")) if isinstance(model, dict) else "",
        "headline": None if first is None else list(first),
        "evaluated": str(info.get("evaluated", "")),
        "metrics": final_metrics(info),
        "samples": info["data"]["samples"],
        "shape": [side for side in shape if type(side) is int] if isinstance(shape, list) else [],
        "started": str(info.get("started", "")),
    }
