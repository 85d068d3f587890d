"""The training memory of a sequence network, and what makes it slow on a GPU."""

import contextlib
from collections.abc import Iterator
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.load import Recipe
from dlcli.report.cost.layer_table import LayerTable
from dlcli.rundir import RunDir
from dlcli.tasks.job import Job, training_memory_of
from dlcli.tasks.sequences.encoders import slow_on_gpu
from dlcli.tasks.task import NetworkCost


def cost_of_table(recipe: Recipe, table: LayerTable, num_samples: int, *, batch_size: int | None) -> NetworkCost:
    """The cost of a network by its layer table.

    Args:
        num_samples: to train on.
        batch_size: samples computed at once, in place of what the recipe says.
    """
    memory, batch_size = training_memory_of(table, recipe.train, num_samples, batch_size=batch_size)
    slow = slow_on_gpu(recipe.model)  # type: ignore[arg-type]
    return NetworkCost(table, memory, batch_size, "" if slow is None else f"\nOn a GPU: {slow}")


def cost_of_job(job: Job, *, batch_size: int | None) -> NetworkCost:
    """The cost of the network of a prepared job."""
    return cost_of_table(job.loaded.recipe, job.table(), job.train_data.num_samples, batch_size=batch_size)


@contextlib.contextmanager
def data_of_run(run: RunDir) -> Iterator[dict[str, Any]]:
    """What run.json says about the data, for a block that looks up keys in it.

    Raises:
        InputError: a key that the block needs is absent or of another type.
    """
    try:
        yield run.read_info().get("data", {})
    except (KeyError, TypeError):
        raise InputError(f"{run.info}: does not say what the run's samples are. Restore it from a copy.") from None
