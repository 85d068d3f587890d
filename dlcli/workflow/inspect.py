"""``dlcli data``: checking, describing, dividing and previewing data. The user's data are never changed."""

from pathlib import Path
from typing import Any

from dlcli.recipe.load import LoadedRecipe
from dlcli.runtime.console import Console
from dlcli.tasks import dispatch
from dlcli.tasks.dispatch import task_of


def check(loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
    """Looks for problems in all the data of a recipe; as :meth:`dlcli.tasks.task.Task.check`."""
    return task_of(loaded.recipe).check(loaded, console)


def check_folder(folder: Path, console: Console) -> dict[str, Any]:
    """The same for a folder with a folder of images for each class."""
    return dispatch.check_folder(folder, console)


def stats(loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
    """Statistics of a recipe's data; as :meth:`dlcli.tasks.task.Task.stats`."""
    return task_of(loaded.recipe).stats(loaded, console)


def divide(loaded: LoadedRecipe, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
    """The samples of each class by split; as :meth:`dlcli.tasks.task.Task.divide`."""
    return task_of(loaded.recipe).divide(loaded, output, console)


def preview(loaded: LoadedRecipe, output: Path, *, num_samples: int, num_epochs: int, console: Console) -> bool:
    """Draws augmented samples, and returns whether the recipe augments; as :meth:`dlcli.tasks.task.Task.preview`."""
    task_of(loaded.recipe).preview(loaded, output, num_samples=num_samples, num_epochs=num_epochs, console=console)
    return getattr(loaded.recipe, "augment", None) is not None
