"""Has a worker read the data of a recipe and build its network, before anything is written."""

from collections.abc import Mapping
from typing import Any

from dlcli.errors import CheckFailed, InputError
from dlcli.recipe.language.errors import Diagnostic, RecipeError
from dlcli.recipe.load import LoadedRecipe
from dlcli.runtime.console import Console
from dlcli.workflow.trials.pool import Lost, Workers


def check_in_worker(pool: Workers, task: Mapping[str, Any], loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
    """Check a recipe in a worker, which is then ready for the first trial; warnings about the data are printed.

    Args:
        task: what all tasks have (``device``, ``path``, ``runs``), and the ``recipe``, derived from ``loaded``.
        loaded: the recipe of the user, in which errors are located.

    Returns:
        What :func:`dlcli.workflow.trials.training.check` returns.

    Raises:
        InputError: the data or the recipe cannot be used.
        CheckFailed: the worker crashed.
    """
    pool.submit("check", {**task, "kind": "check"})
    _, outcome = pool.wait()
    if isinstance(outcome, Lost):
        raise CheckFailed(f"{loaded.path}: {outcome.reason}")
    if outcome.get("diagnostics"):
        raise RecipeError(
            Diagnostic(loaded.tree.place(loaded.tree.path(key)), key, message)
            for key, message in outcome["diagnostics"]
        )
    if outcome["status"] == "failed":
        raise (InputError if outcome.get("is_input") else CheckFailed)(outcome["error"])
    for warning in outcome["warnings"]:
        console.warn(warning)
    return outcome
