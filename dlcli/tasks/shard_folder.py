"""A new folder of shards: complete, or not there at all. Needs no TensorFlow."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dlcli.data.images.shard_writer import digests_text
from dlcli.data.images.sources.shards import DIGESTS
from dlcli.rundir.writing import new_folder, write_file


@contextlib.contextmanager
def new_shards(output: Path) -> Iterator[Path]:
    """A temporary folder for shards and their index. When the block ends, it gets the digests of the shards and becomes
    ``output``.

    Raises:
        OSError: it cannot be written; the error names ``output``.
    """
    try:
        with new_folder(output) as new:
            yield new.path
            write_file(new.path / DIGESTS, digests_text(new.path).encode())
            new.put(output)
    except OSError as error:
        error.filename = str(output)  # errors while writing name no file, or one in the temporary folder
        raise


def shard_sizes(folder: Path) -> list[int]:
    """The sizes of the shards in a folder, in bytes."""
    return [shard.stat().st_size for shard in folder.glob("*.tar")]
