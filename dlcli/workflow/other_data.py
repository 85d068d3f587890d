"""Other data than a run's own, which ``--data`` names: a path, or the URL of a folder of shards."""

from pathlib import Path

from dlcli.files import is_url
from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.remote_shards import copy_shards


def local_data(data: str | None, console: Console, *, run: RunDir | None = None) -> Path | None:
    """The path of other data; of a URL that of local copies, which are downloaded first.

    Args:
        run: whose copies of shards are kept where its own are; None for the user's cache folder.

    Raises:
        InputError: there are no shards at the URL, or they cannot be read.
        OSError: the copies cannot be written.
    """
    if data is None or not is_url(data):
        return None if data is None else Path(data)
    section = None if run is None else load(run.config).recipe.data
    return copy_shards(data, getattr(section, "cache_folder", None), console)
