"""``dlcli summary``: the output, parameters and cost of each layer of a network, without training it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.report.cost.layer_table import COLUMNS, LayerTable, layer_table, table_cells, table_csv, table_text
from dlcli.report.cost.training_memory import TrainingMemory, memory_text, training_memory
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_keras_file
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.run_models import with_run_files
from dlcli.tasks.task import SampleShape, Task

DEFAULT_BATCH_SIZE = 32  # for a model file, which does not record its training
ADAM_SLOTS = 2  # the mean and the mean square of each gradient

__all__ = ["SampleShape", "of_file", "of_recipe", "of_run"]


@dataclass(frozen=True)
class Summary:
    """The layer table of a network and the memory that training takes.

    Attributes:
        source: the recipe, run or file.
        batch_size: samples computed at once, on which the memory depends.
        remark: an assumption about training, or what makes it slow; empty if there is none.
        model: the ``model`` section of the recipe; None for a model file.
    """

    num_text_columns = 3

    source: str
    table: LayerTable
    memory: TrainingMemory
    batch_size: int
    remark: str = ""
    model: Any = None

    def text(self) -> str:
        """The table and the memory as text for people."""
        return f"{table_text(self.table)}\n{memory_text(self.memory, self.batch_size)}{self.remark}\n"

    def csv(self) -> str:
        """The rows as CSV with unformatted numbers."""
        return table_csv(self.table)

    def rows(self) -> list[tuple[str, ...]]:
        """The header, the rows and the totals, as text."""
        return [COLUMNS, *table_cells(self.table)]

    def as_dict(self) -> dict[str, Any]:
        """The table and the memory in plain values, for JSON."""
        memory = {"batch_size": self.batch_size, **self.memory.as_dict()}
        return {"source": self.source, "training_memory": memory, **self.table.as_dict()}


def of_recipe(
    loaded: LoadedRecipe, *, runs: Path, assumed: SampleShape | None, batch_size: int | None, console: Console
) -> Summary:
    """Summarize the network of a recipe on its data or on samples of an assumed shape.

    Raises:
        InputError: the data cannot be used, or the network does not fit it.
    """
    loaded = with_run_files(loaded, runs)
    task = task_of(loaded.recipe)
    table, num_samples = task.table_of_recipe(loaded, assumed, console)
    return _summary(str(loaded.path), task, table, num_samples, batch_size)


def of_run(run: RunDir, *, batch_size: int | None) -> Summary:
    """Summarize the network of a run.

    Raises:
        InputError: the run's files are corrupt.
    """
    info = run.read_info()
    if info.get("ensemble"):  # its recipe is that of a member
        return of_file(run.model, batch_size=batch_size)
    task = task_of(load(run.config).recipe)
    try:
        data = info["data"]
        table, num_samples = task.table_of_run(run, data), data["samples"].get("train")
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"{run.info}: is corrupt: the description of the data is incomplete. Restore it from a copy."
        ) from None
    return _summary(str(run.path), task, table, num_samples, batch_size)


def _summary(source: str, task: Task, table: LayerTable, num_samples: int | None, batch_size: int | None) -> Summary:
    memory, batch_size = training_memory_of(table, task.recipe.train, num_samples, batch_size=batch_size)
    remark = f"\nOn a GPU: {task.remark}" if task.remark else ""
    return Summary(source, table, memory, batch_size, remark, getattr(task.recipe, "model", None))


def of_file(path: Path, *, batch_size: int | None) -> Summary:
    """Summarize the network in a .keras file.

    Raises:
        InputError: it cannot be loaded, or Python code connects its layers.
    """
    try:
        table = layer_table(load_keras_file(path))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    batch_size = batch_size or DEFAULT_BATCH_SIZE
    memory = training_memory(table, batch_size=batch_size, slots_per_weight=ADAM_SLOTS, bytes_per_activation=4)
    return Summary(str(path), table, memory, batch_size, "; with Adam, in float32")
