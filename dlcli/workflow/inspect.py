"""``dlcli data``: checking, describing, splitting and previewing data. The user's data is never changed."""

from pathlib import Path
from typing import Any

from dlcli.recipe.load import LoadedRecipe
from dlcli.runtime.console import Console
from dlcli.tasks import dispatch
from dlcli.tasks.dispatch import task_of


def check(loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
    """Look for problems in all the data of a recipe; see :meth:`dlcli.tasks.task.Task.check`."""
    return task_of(loaded.recipe).check(loaded, console)


def check_folder(folder: Path, console: Console) -> dict[str, Any]:
    """Look for problems in a folder that has one subfolder of images per class."""
    return dispatch.check_folder(folder, console)


def plot(loaded: LoadedRecipe, output: Path, console: Console) -> None:
    """Draw the numbers and sizes of objects; see :meth:`dlcli.tasks.task.Task.plot_data`."""
    task_of(loaded.recipe).plot_data(loaded, output, console)


def stats(loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
    """Compute statistics of a recipe's data; see :meth:`dlcli.tasks.task.Task.stats`."""
    return task_of(loaded.recipe).stats(loaded, console)


def divide(loaded: LoadedRecipe, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
    """Count the samples of each class by split; see :meth:`dlcli.tasks.task.Task.divide`."""
    return task_of(loaded.recipe).divide(loaded, output, console)


def pack(loaded: LoadedRecipe, output: Path, max_bytes: int, console: Console) -> dict[str, Any]:
    """Pack image files into shards; see :meth:`dlcli.tasks.task.Task.pack`."""
    return task_of(loaded.recipe).pack(loaded, output, max_bytes, console)


def preview(loaded: LoadedRecipe, output: Path, *, num_samples: int, num_epochs: int, console: Console) -> bool:
    """Draw samples, as :meth:`dlcli.tasks.task.Task.preview`, and return whether they are augmented or in tiles."""
    task_of(loaded.recipe).preview(loaded, output, num_samples=num_samples, num_epochs=num_epochs, console=console)
    recipe: Any = loaded.recipe
    return getattr(recipe, "augment", None) is not None or getattr(recipe.data, "tiles", None) is not None
