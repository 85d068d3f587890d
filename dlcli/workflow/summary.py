"""``dlcli summary``: the output, parameters and cost of each layer of a network, without training it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.report.cost.layer_table import COLUMNS, layer_table, table_cells, table_csv, table_text
from dlcli.report.cost.training_memory import memory_text, training_memory
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_keras_file
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.run_models import with_run_files
from dlcli.tasks.task import NetworkCost

DEFAULT_BATCH_SIZE = 32  # for a model file, which does not say with what it was trained
ADAM_SLOTS = 2  # the mean and the mean square of each gradient


@dataclass(frozen=True)
class Summary:
    """What a network costs, and the recipe, run or file that it is from."""

    source: str
    cost: NetworkCost

    def text(self) -> str:
        """All of it for people."""
        cost = self.cost
        return f"{table_text(cost.table)}\n{memory_text(cost.memory, cost.batch_size)}{cost.remark}\n"

    def csv(self) -> str:
        """The rows as CSV with plain numbers."""
        return table_csv(self.cost.table)

    def rows(self) -> list[tuple[str, ...]]:
        """A header, the rows, and the sums, as text."""
        return [COLUMNS, *table_cells(self.cost.table)]

    def as_dict(self) -> dict[str, Any]:
        """All of it in plain values, for JSON."""
        memory = {"batch_size": self.cost.batch_size, **self.cost.memory.as_dict()}
        return {"source": self.source, "training_memory": memory, **self.cost.table.as_dict()}


def of_recipe(
    loaded: LoadedRecipe,
    *,
    runs: Path,
    shape: tuple[int, ...] | None,
    num_classes: int | None,
    batch_size: int | None,
    console: Console,
) -> Summary:
    """The network of a recipe on its data, or on samples of a shape and a number of classes where both are given.

    Raises:
        InputError: the data cannot be used, or the network does not suit them.
    """
    loaded = with_run_files(loaded, runs)
    cost = task_of(loaded.recipe).cost_of_recipe(
        loaded, shape=shape, num_classes=num_classes, batch_size=batch_size, console=console
    )
    return Summary(str(loaded.path), cost)


def of_run(run: RunDir, *, batch_size: int | None) -> Summary:
    """The network of a run.

    Raises:
        InputError: the run's files are corrupt.
    """
    return Summary(str(run.path), task_of(load(run.config).recipe).cost_of_run(run, batch_size=batch_size))


def of_file(path: Path, *, batch_size: int | None) -> Summary:
    """The network in a .keras file.

    Raises:
        InputError: it cannot be loaded, or its layers are joined by Python code.
    """
    try:
        table = layer_table(load_keras_file(path))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    batch_size = batch_size or DEFAULT_BATCH_SIZE
    memory = training_memory(table, batch_size=batch_size, slots_per_weight=ADAM_SLOTS, bytes_per_activation=4)
    return Summary(str(path), NetworkCost(table, memory, batch_size, "; with Adam, in float32"))
