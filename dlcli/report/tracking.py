"""Sends what a run reports to an experiment tracker, MLflow or Weights & Biases.

A tracker is a second place for what the run directory has anyway: one that is not installed, not reachable or fails in
any other way is reported once, and the training goes on without it.
"""

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

Kind = Literal["mlflow", "wandb"]

PROJECT = "dlcli"  # of MLflow the experiment
MOST_PARAMETERS = 100  # in a request to MLflow
MOST_CHARACTERS = 500  # of the value of a parameter


class Client(Protocol):
    """A tracker with one open run, whose ``id`` is known from the start."""

    id: str

    def metrics(self, values: Mapping[str, float], step: int) -> None: ...

    def files(self, paths: Sequence[Path]) -> None: ...

    def close(self, *, is_complete: bool) -> None: ...


class Tracking:
    """One run at a tracker.

    Args:
        kind: the tracker; None for none.
        warn: reports a failure, once.
    """

    def __init__(self, kind: Kind | None, warn: Callable[[str], None]) -> None:
        self._kind = kind
        self._warn = warn
        self._client: Client | None = None

    def start(self, name: str, config: Mapping[str, Any], *, folder: Path, known: str | None) -> str | None:
        """Open the run at the tracker, or open it again.

        Args:
            name: of the run.
            config: the complete recipe.
            folder: where a tracker may write files.
            known: what this returned when the run was started; None for a new run.

        Returns:
            The tracker's id of the run; None if there is no tracker, or it failed.
        """
        if self._kind is None:
            return None
        make = {"mlflow": Mlflow, "wandb": Wandb}[self._kind]
        self._try(lambda: setattr(self, "_client", make(name, _flat(config), folder, known)))
        return None if self._client is None else self._client.id

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Send the row of an epoch of metrics.csv."""
        values = {name: float(value) for name, value in row.items() if name not in ("stage", "epoch")}
        self._send(lambda client: client.metrics(values, int(row["epoch"])))

    def finish(self, metrics: Mapping[str, Any], files: Sequence[Path], *, epoch: int) -> None:
        """Send the final metrics and files, and close the run."""
        numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
        self._send(lambda client: client.metrics(numbers, epoch))
        self._send(lambda client: client.files([path for path in files if path.exists()]))
        self._close(is_complete=True)

    def stop(self) -> None:
        """Close the run as one that did not end, if it is still open."""
        self._close(is_complete=False)

    def _close(self, *, is_complete: bool) -> None:
        self._send(lambda client: client.close(is_complete=is_complete))
        self._client = None

    def _send(self, send: Callable[[Client], None]) -> None:
        client = self._client
        if client is not None:
            self._try(lambda: send(client))

    def _try(self, call: Callable[[], None]) -> None:
        try:
            call()
        except ImportError:
            self._client = None
            self._warn(
                f"train.track: {self._kind} is not installed, so that nothing is sent to it. Install it with: pip "
                f"install 'dlcli[{self._kind}]'"
            )
        except Exception as error:  # a tracker may raise anything, and none of it concerns the training
            self._client = None
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            self._warn(f"train.track: {self._kind} failed ({reason}); nothing more is sent to it")


class Mlflow:
    """A run in the experiment ``dlcli`` of the server or folder that MLFLOW_TRACKING_URI names."""

    def __init__(self, name: str, parameters: Mapping[str, str], folder: Path, known: str | None) -> None:
        tracking = importlib.import_module("mlflow.tracking")
        self._entities = importlib.import_module("mlflow.entities")
        self._client = tracking.MlflowClient()
        if known is not None:
            self.id = known
            self._client.update_run(known, "RUNNING")
            return
        experiment = self._client.get_experiment_by_name(PROJECT)
        number = self._client.create_experiment(PROJECT) if experiment is None else experiment.experiment_id
        self.id = self._client.create_run(number, run_name=name).info.run_id
        params = [self._entities.Param(key, value) for key, value in parameters.items()]
        for start in range(0, len(params), MOST_PARAMETERS):
            self._client.log_batch(self.id, params=params[start : start + MOST_PARAMETERS])

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(self.id, [self._entities.Metric(key, value, now, step) for key, value in values.items()])

    def files(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self._client.log_artifact(self.id, str(path))

    def close(self, *, is_complete: bool) -> None:
        self._client.set_terminated(self.id, "FINISHED" if is_complete else "KILLED")


class Wandb:
    """A run in the project ``dlcli``; WANDB_MODE=offline writes it to a folder."""

    def __init__(self, name: str, parameters: Mapping[str, str], folder: Path, known: str | None) -> None:
        wandb = importlib.import_module("wandb")
        again = {"id": known, "resume": "allow"} if known is not None else {}
        settings = {"silent": True}  # it would print between the epochs
        options = {"config": dict(parameters), "dir": str(folder), "settings": settings, **again}
        self._run = wandb.init(project=PROJECT, name=name, **options)
        self.id = str(self._run.id)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def files(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self._run.save(str(path), base_path=str(path.parent), policy="now")

    def close(self, *, is_complete: bool) -> None:
        self._run.finish(exit_code=0 if is_complete else 1)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The keys of a recipe with dots, and their values as text."""
    found: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            found[f"{prefix}{key}"] = str(value)[:MOST_CHARACTERS]
    return found
