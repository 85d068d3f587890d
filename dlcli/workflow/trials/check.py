"""Has a worker read the data of a recipe and build its network, before anything is written."""

from collections.abc import Mapping
from typing import Any

from dlcli.errors import CheckFailed, InputError
from dlcli.recipe.language.errors import Diagnostic, RecipeError
from dlcli.recipe.load import LoadedRecipe
from dlcli.workflow.trials.pool import Lost
from dlcli.workflow.trials.work import Setting


def check_in_worker(setting: Setting, recipe: Mapping[str, Any], loaded: LoadedRecipe) -> dict[str, Any]:
    """Check a recipe in a worker, which is then ready for the first trial; warnings about the data are printed.

    Args:
        recipe: plain values, derived from ``loaded``.
        loaded: the recipe of the user, in which errors are located.

    Returns:
        What :func:`dlcli.workflow.trials.training.check` returns.

    Raises:
        InputError: the data or the recipe cannot be used.
        CheckFailed: the worker crashed.
    """
    setting.console.say("checking the data and starting the workers")
    task = {"kind": "check", "recipe": recipe, "path": str(loaded.path)}
    setting.pool.submit("check", {**task, "device": setting.device, "runs": str(setting.runs)})
    _, outcome = setting.pool.wait()
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
        setting.console.warn(warning)
    return outcome
