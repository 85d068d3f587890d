"""Other data than a run's own, which ``--data`` names: a path, or the URL of a folder of shards."""

from pathlib import Path
from typing import NamedTuple

from dlcli.files import is_url
from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.remote_shards import copy_shards


class OtherData(NamedTuple):
    """The path of other data, None for the run's own; and the URL of which it is a copy, None if it is none."""

    path: Path | None = None
    url: str | None = None


def find_other_data(data: str | None, run: RunDir, console: Console) -> OtherData:
    """The path of other data; of a URL that of local copies, which are downloaded first to where the run keeps its own.

    Raises:
        InputError: there are no shards at the URL, or they cannot be read.
        OSError: the copies cannot be written.
    """
    if data is None or not is_url(data):
        return OtherData() if data is None else OtherData(Path(data))
    section = load(run.config).recipe.data
    return OtherData(copy_shards(data, getattr(section, "cache_folder", None), console), data)
