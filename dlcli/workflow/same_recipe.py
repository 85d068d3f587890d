"""Whether a recipe is the one that a run was trained with, but for where its data are."""

import os
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.language.errors import shortened
from dlcli.recipe.language.fields import path_keys
from dlcli.recipe.language.overrides import Override
from dlcli.recipe.load import PERMISSIONS, LoadedRecipe
from dlcli.recipe.yaml_writer import completed, resolved
from dlcli.rundir.directory import RunDir
from dlcli.workflow.compare import differences

MAX_CHANGES = 10  # keys named in one error


def recipe_changes(info: dict[str, Any], loaded: LoadedRecipe, *, but_for: str = "name") -> dict[str, tuple[Any, Any]]:
    """The keys in which a recipe differs from the one in a run's run.json, with both values.

    Args:
        but_for: a key that may differ, besides where the data are.
    """
    changes = differences(completed(info["config"]), resolved(loaded.recipe))
    for key in (but_for, *PERMISSIONS, *moved_keys(info, loaded)):
        changes.pop(key, None)
    return changes


def describe_changes(changes: dict[str, tuple[Any, Any]]) -> str:
    """Such as ``train.epochs was 3 and is 4; train.seed was 0 and is 1``."""
    return "; ".join(
        f"{shortened(key)} was {_value(old)} and is {_value(new)}"
        for key, (old, new) in list(changes.items())[:MAX_CHANGES]
    )


def _value(value: Any) -> str:
    return "not set" if value is None else shortened(str(value))


def check_same_recipe(run: RunDir, info: dict[str, Any], loaded: LoadedRecipe, *, but_for: str = "name") -> None:
    """Reject a recipe other than the one that the run was trained with; one key may differ, and where the data are."""
    changes = recipe_changes(info, loaded, but_for=but_for)
    if changes:
        raise InputError(
            f"{loaded.path}: differs from the recipe that {run.path} was trained with: {describe_changes(changes)}. "
            "Undo the change to continue the run, or train a new one."
        )


def moved_paths(loaded: LoadedRecipe, given: LoadedRecipe) -> list[Override]:
    """The paths of the data that are other ones in a given recipe than in the run's."""
    keys = path_keys(type(loaded.recipe.data))
    pairs = {key: (getattr(loaded.recipe.data, key), getattr(given.recipe.data, key)) for key in keys}
    return [
        Override.of_value(f"data.{key}", new, given.locate(f"data.{key}"))
        for key, (old, new) in pairs.items()
        if new is not None and new != old
    ]


def moved_keys(info: dict[str, Any], loaded: LoadedRecipe) -> dict[str, tuple[str, str]]:
    """The paths of the data that differ between run.json and a recipe, by key. Their fingerprint says whether the data
    differ."""
    keys = {f"data.{key}" for key in path_keys(type(loaded.recipe.data))}
    changes = differences(completed(info["config"]), resolved(loaded.recipe))
    return {
        key: paths
        for key, paths in changes.items()
        if key in keys and all(isinstance(path, str) and os.path.isabs(path) for path in paths)
    }
