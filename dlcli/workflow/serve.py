"""``dlcli serve``: the models of runs over HTTP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.serving.application import Application
from dlcli.serving.example import predict_example
from dlcli.serving.guard import Guard, is_loopback
from dlcli.serving.limits import Limits
from dlcli.serving.metrics import Metrics
from dlcli.serving.samples import FORMS
from dlcli.serving.served_model import ServedModel
from dlcli.serving.server import bind, url_of
from dlcli.serving.server import serve as serve_until_stopped
from dlcli.tasks.dispatch import task_of
from dlcli.workflow.headline import final_metrics, headline

LEAST_TOKEN = 16  # characters


@dataclass(frozen=True)
class ServeRequest:
    """What ``dlcli serve`` is asked for.

    Attributes:
        host, port: the address to listen on; port 0 for any that is free.
        token: that requests must have; None for none.
        insecure: serve other machines without a token.
    """

    host: str
    port: int
    token: str | None = None
    insecure: bool = False


def serve(runs: Sequence[RunDir], request: ServeRequest, console: Console, on_start: Callable[[str], None]) -> None:
    """Serve the best models of runs until a signal.

    Args:
        on_start: is called with the address, as soon as the server listens on it.

    Raises:
        InputError: the address or the token cannot be used, or a run has no model.
        Interrupted: by the signal; requests that were at work are answered.
    """
    check(runs, request)
    limits, metrics = Limits(), Metrics()
    with bind(request.host, request.port) as bound:  # first, because loading the models takes longer
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


def check(runs: Sequence[RunDir], request: ServeRequest) -> None:
    """Refuse an address that everyone could use, a weak token, and runs of one name.

    Raises:
        InputError: says what to do instead.
    """
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name}: several runs have this name, by which models are addressed. Name one of them.")
    if request.token is not None and (len(request.token) < LEAST_TOKEN or not request.token.isprintable()):
        raise InputError(
            f"--token: must have at least {LEAST_TOKEN} printable characters. Received {len(request.token)}."
        )
    if not is_loopback(request.host) and request.token is None and not request.insecure:
        raise InputError(
            f"--host {request.host}: other machines could use the models. Give a --token, or --insecure to let them."
        )


def _load(run: RunDir, limits: Limits, console: Console) -> ServedModel:
    predictor = task_of(load(run.config).recipe).predictor(run, console)
    if predictor.kind not in FORMS:
        raise InputError(f"{run.path}: dlcli serve does not support models of {predictor.kind}. Use dlcli predict.")
    example, seconds = predict_example(predictor, limits.max_batch)
    per_sample = f", {min(seconds[size] / size for size in seconds) * 1000:.2f} ms per sample" if seconds else ""
    console.say(f"run {run.path}: loaded{per_sample}")
    return ServedModel(run.name, predictor, _card(run), example, seconds)


def _card(run: RunDir) -> dict[str, Any]:
    """What the page shows of a run: its task, data, training and metrics, without any path."""
    info = run.read_info()
    first = headline(info)
    return {
        "task": str(info.get("task", "")),
        "model": str((info["config"].get("model") or {}).get("kind", "")),
        "headline": None if first is None else list(first),
        "evaluated": str(info.get("evaluated", "")),
        "metrics": final_metrics(info),
        "samples": info["data"]["samples"],
        "shape": [side for side in info["data"].get("shape", ()) if type(side) is int],
        "started": str(info.get("started", "")),
        "seed": info["config"].get("seed"),
    }
