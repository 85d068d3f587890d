"""``dlcli generate``: text from a trained language model."""

from typing import Any

from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.task import GenerationRequest

__all__ = ["GenerationRequest", "generate"]


def generate(run: RunDir, request: GenerationRequest, *, console: Console) -> dict[str, Any]:
    """Generate text with a run's best model.

    Returns ``run`` and ``samples``, each with its ``text``, prompt included, and the ``added`` part.

    Raises:
        InputError: the run's task is not language modeling, it has no model, or the class does not exist.
    """
    return task_of(load(run.config).recipe).generate(run, request, console)
