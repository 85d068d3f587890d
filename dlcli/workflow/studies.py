"""Searches and sweeps by their kind."""

from dlcli.recipe.load import LoadedRecipe
from dlcli.workflow.search.search import SearchWork
from dlcli.workflow.sweep.sweep import SweepWork
from dlcli.workflow.trials.directory import Kind
from dlcli.workflow.trials.work import Work


def work_of(kind: Kind, loaded: LoadedRecipe) -> Work:
    """What a search or sweep does, as its recipe says.

    Raises:
        InputError: the recipe has no such section, or one that cannot be used.
    """
    return SearchWork(loaded) if kind == "search" else SweepWork(loaded)
