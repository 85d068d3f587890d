"""``dlcli data import``: images in files of other programs into shards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcli.data.images.importing.parquet import ParquetReader
from dlcli.data.images.importing.samples import Reader, read_names
from dlcli.data.images.importing.shards import Import, OnBadImage
from dlcli.data.images.importing.source_files import Sources, find_sources
from dlcli.data.images.importing.tars import TarReader
from dlcli.data.images.sources.shards import COLUMNS, INDEX
from dlcli.data.splits import SPLITS
from dlcli.errors import InputError
from dlcli.rundir.tables import write_csv
from dlcli.rundir.writing import replace_by
from dlcli.runtime.console import Console
from dlcli.runtime.startup import start_tensorflow
from dlcli.tasks.shard_folder import new_shards, shard_sizes

NUM_SHOWN = 10  # images left out that are named


def import_images(
    paths: Sequence[Path],
    output: Path | None,
    *,
    image: str | None,
    label: str | None,
    labels: Path | None,
    on_bad_image: OnBadImage,
    max_bytes: int,
    quiet: bool,
) -> dict[str, Any]:
    """Import Parquet, TFRecord or tar files.

    Args:
        paths: one folder, or files.
        output: the folder of shards to create; None to index tar files where they are.
        image, label: the column, feature or suffix of the images and of their labels; None to find them.
        labels: a file of the names of classes by their numbers.
        max_bytes: of a shard.

    Returns:
        The ``folder``, and the numbers of ``samples`` by split, ``classes``, ``shards`` and ``bytes``; and the images
        ``left_out``.

    Raises:
        InputError: the files cannot be imported.
        OSError: the shards cannot be written.
    """
    sources = find_sources(paths)
    keys: dict[str, Any] = {"image": image, "label": label, "names": None if labels is None else read_names(labels)}
    if output is None:
        return _index(sources, TarReader(**keys), on_bad_image, Console(quiet=quiet))
    reader = _reader_of(sources, keys)
    console = Console(quiet=quiet)
    with new_shards(output) as folder:
        task = Import(sources, reader, folder, max_bytes, on_bad_image)
        _write_index(folder, task, console)
    return _summary(output, task, shard_sizes(output), console)


def _index(sources: Sources, reader: Reader, on_bad_image: OnBadImage, console: Console) -> dict[str, Any]:
    """Write the index of tar files beside them.

    Raises:
        InputError: they are no tar files of one folder, or are compressed, or the folder has an index.
    """
    folders = {source.path.parent for source in sources.files}
    first = sources.files[0].path
    if sources.format != "tar" or any(source.path.suffix != ".tar" for source in sources.files):
        raise InputError(f"{first}: only images in tar files (.tar) can stay where they are. Set -o to write shards.")
    if len(folders) > 1:
        raise InputError(
            f"{first}: the tar files must be in one folder to stay where they are. Set -o to write shards."
        )
    folder = folders.pop()
    if (folder / INDEX).exists():
        raise InputError(f"{folder / INDEX}: already exists. Remove it first to write it again.")
    task = Import(sources, reader, None, 0, on_bad_image)
    _write_index(folder, task, console)
    return _summary(folder, task, [source.path.stat().st_size for source in sources.files], console)


def _write_index(folder: Path, task: Import, console: Console) -> None:
    try:
        replace_by(folder / INDEX, lambda temporary: write_csv(temporary, COLUMNS, task.index(console.reading)))
    finally:
        console.close()


def _reader_of(sources: Sources, keys: dict[str, Any]) -> Reader:
    match sources.format:
        case "parquet":
            return ParquetReader(**keys)
        case "tar":
            return TarReader(**keys)
        case "tfrecord":
            start_tensorflow("cpu")
            from dlcli.data.images.importing.tfrecord import TFRecordReader

            return TFRecordReader(**keys)


def _summary(folder: Path, task: Import, sizes: Sequence[int], console: Console) -> dict[str, Any]:
    for text in task.left_out[:NUM_SHOWN]:
        console.warn(f"left out: {text}")
    if len(task.left_out) > NUM_SHOWN:
        console.warn(f"left out: {len(task.left_out) - NUM_SHOWN:,} more images (--json lists all)")
    return {
        "folder": str(folder),
        "samples": {split: task.samples[split] for split in SPLITS if task.samples[split]},
        "has_splits": task.sources.has_splits,
        "classes": len(task.classes),
        "shards": len(sizes),
        "bytes": sum(sizes),
        "left_out": task.left_out,
    }
