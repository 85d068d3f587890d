"""``dlcli data pack``: image files into shards."""

from pathlib import Path
from typing import Any

from dlcli.data.images.shard_writer import write_shards
from dlcli.data.images.sources.shards import ANNOTATED_COLUMNS, COLUMNS, INDEX, index_rows
from dlcli.recipe.load import LoadedRecipe
from dlcli.rundir.tables import csv_text
from dlcli.rundir.writing import write_file
from dlcli.runtime.console import Console
from dlcli.tasks.images.head import ImageHead
from dlcli.tasks.shard_folder import new_shards, shard_sizes


def pack(loaded: LoadedRecipe, head: ImageHead, output: Path, max_bytes: int, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.pack`."""
    dataset = head.open_data(loaded, console)
    if any(samples.files is None for samples in dataset.splits.values()):
        raise loaded.error("data", "are arrays, which are read at once anyway; data pack is for image files.")
    with new_shards(output) as folder:
        places = write_shards(dataset, folder, max_bytes=max_bytes, progress=console.reading)
        is_annotated = any(samples.annotations for samples in dataset.splits.values())
        columns = ANNOTATED_COLUMNS if is_annotated else COLUMNS
        write_file(folder / INDEX, csv_text(columns, index_rows(dataset, places)).encode())
    sizes = shard_sizes(output)
    counts = {split: len(samples) for split, samples in dataset.splits.items()}
    return {"folder": str(output), "samples": counts, "shards": len(sizes), "bytes": sum(sizes)}
