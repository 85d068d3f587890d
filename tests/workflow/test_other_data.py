"""Other data that are given by a path or a URL."""

from pathlib import Path

import fsspec
import pytest

from dlcli.data.images.sources.shards import COLUMNS, INDEX
from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.workflow.other_data import OtherData, find_other_data

QUIET = Console(quiet=True)
CONFIG = "task: classification\ndata: {kind: shards, path: packed, cache_folder: copies}\nmodel: {kind: mlp}\n"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(CONFIG)
    return RunDir(tmp_path / "run")


def test_a_path_is_itself(run: RunDir) -> None:
    assert find_other_data(None, run, QUIET) == OtherData()
    assert find_other_data("photos", run, QUIET) == OtherData(Path("photos"))


def test_copies_of_a_url_are_where_those_of_the_run_are(run: RunDir) -> None:
    memory = fsspec.filesystem("memory")
    row = ",".join("train-000000.tar" if name == "shard" else "" for name in COLUMNS)
    memory.pipe({f"/other/holiday/{INDEX}": f"{','.join(COLUMNS)}\n{row}\n".encode()})
    memory.pipe({"/other/holiday/train-000000.tar": b"shard"})
    path, url = find_other_data("memory://other/holiday/", run, QUIET)
    assert url == "memory://other/holiday/"
    assert path is not None
    assert path.name == "holiday"
    assert path.parents[1] == run.path / "copies"
    assert (path / "train-000000.tar").read_bytes() == b"shard"
    with pytest.raises(InputError, match=r"^memory://nowhere/x: no such file, folder or bucket\."):
        find_other_data("memory://nowhere/x", run, QUIET)
