"""``dlcli data pack``: image files into shards."""

from pathlib import Path
from typing import Any

from dlcli.data.images.shard_writer import digests_text, write_shards
from dlcli.data.images.sources.shards import ANNOTATED_COLUMNS, COLUMNS, DIGESTS, INDEX, index_rows
from dlcli.recipe.load import LoadedRecipe
from dlcli.rundir.tables import csv_text
from dlcli.rundir.writing import new_folder, write_file
from dlcli.runtime.console import Console
from dlcli.tasks.images.head import ImageHead


def pack(loaded: LoadedRecipe, head: ImageHead, output: Path, max_bytes: int, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.pack`."""
    dataset = head.open_data(loaded, console)
    if any(samples.files is None for samples in dataset.splits.values()):
        raise loaded.error("data", "are arrays, which are read at once anyway; data pack is for image files.")
    try:
        with new_folder(output) as new:
            places = write_shards(dataset, new.path, max_bytes=max_bytes, progress=console.reading)
            is_annotated = any(samples.annotations for samples in dataset.splits.values())
            columns = ANNOTATED_COLUMNS if is_annotated else COLUMNS
            index = csv_text(columns, index_rows(dataset, places))
            write_file(new.path / INDEX, index.encode())
            write_file(new.path / DIGESTS, digests_text(new.path).encode())
            sizes = [shard.stat().st_size for shard in new.path.glob("*.tar")]
            new.put(output)
    except OSError as error:
        error.filename = str(output)  # errors while writing name no file, or one in the temporary folder
        raise
    counts = {split: len(samples) for split, samples in dataset.splits.items()}
    return {"folder": str(output), "samples": counts, "shards": len(sizes), "bytes": sum(sizes)}
