"""``dlcli evaluate``: a trained model's results on a split or on other data with the same labels."""

from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.task import EvaluationRequest

__all__ = ["EvaluationRequest", "evaluate"]


def evaluate(run: RunDir, request: EvaluationRequest, *, console: Console) -> dict[str, Any]:
    """Evaluate a run's best model and write ``evaluation/<split>/``.

    Returns the metrics, plus ``run``, ``split`` and ``folder``.

    Raises:
        InputError: the run has no model, the data cannot be used, or the split does not exist.
    """
    if request.top_k:
        _check_top_k(max(request.top_k), len(run.read_classes()))
    run.remove_leftovers()
    return task_of(load(run.config).recipe).evaluate(run, request, console)


def _check_top_k(largest: int, num_classes: int) -> None:
    if largest >= num_classes:
        raise InputError(
            f"--top-k must be less than the number of classes, {num_classes}, because the accuracy is 1 otherwise. "
            f"Received {largest}."
        )
