"""``dlcli generate``: text from a trained language model."""

from typing import Any

from dlcli.recipe.load import load
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.task import GenerationRequest

__all__ = ["GenerationRequest", "generate"]


def generate(run: RunDir, request: GenerationRequest, *, console: Console) -> dict[str, Any]:
    """Generates text with a run's best model.

    Returns ``run`` and ``samples``: for each its ``text``, prompt included, and what was ``added``.

    Raises:
        InputError: the run's task is not language modeling, it has no model, or there is no such class.
    """
    return task_of(load(run.config).recipe).generate(run, request, console)
