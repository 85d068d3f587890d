"""Names of runs, creating them complete, finding and listing them."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.runs import MAX_NAME, create_run, find_run, list_runs, now
from dlcli.rundir.writing import replace_json

INFO = {"status": "completed", "config": {}, "best": None, "final": None}
DATA = {"fingerprint": "f", "samples": {"train": 3}, "images": None}


def make_run(runs: Path, name: str, **info: Any) -> RunDir:
    run = RunDir(runs / name)
    run.path.mkdir(parents=True)
    replace_json(run.info, {**INFO, "data": DATA, **info})
    return run


def message(error: pytest.ExceptionInfo[InputError]) -> str:
    """The text of an error, which must be one line."""
    text = str(error.value)
    assert "\n" not in text
    return text


def no_files(run: RunDir) -> None:
    """Writes nothing into a new run."""


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    runs = tmp_path / "deep" / "runs"
    names = []
    for _ in range(3):
        run = create_run(runs, "digits", no_files)
        names.append(run.name)
        run.unlock()
    assert names == ["digits", "digits-2", "digits-3"]


def test_a_long_name_is_shortened_for_its_number(tmp_path: Path) -> None:
    name = "a" * MAX_NAME
    for expected in (name, name[:-2] + "-2", name[:-2] + "-3"):
        run = create_run(tmp_path, name, no_files)
        run.unlock()
        assert run.name == expected


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "digits").write_text("mine")
    run = create_run(tmp_path, "digits", no_files)
    run.unlock()
    assert run.name == "digits-2"
    assert (tmp_path / "digits").read_text() == "mine"


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-x", "a/b", "../a", "a b", "a\n", "ä", "a" * 81, "a\0b"])
def test_invalid_names_are_refused_and_make_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="a run name must be at most 80 letters, digits"):
        create_run(tmp_path / "runs", name, no_files)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as error:
        create_run(tmp_path / "file" / "runs", "digits", no_files)
    assert message(error).startswith(f"{tmp_path}/file/runs: cannot create a run directory here (")
    assert "--runs DIR" in message(error)


def test_find_by_name_by_path_and_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    make_run(runs, "old", started="2026-01-01T00:00:00.000000Z")
    make_run(runs, "new", started="2026-01-03T00:00:00.000000Z")
    make_run(runs, "middle", started="2026-01-02T00:00:00.000000Z")
    make_run(tmp_path / "elsewhere", "far")
    (runs / "no-run").mkdir()
    (runs / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    assert [run.name for run in list_runs(Path("runs"))] == ["new", "middle", "old"]
    assert find_run(Path("runs"), None).name == "new"
    assert find_run(Path("runs"), "old").path == Path("runs/old")
    assert find_run(Path("runs"), "runs/old").path == Path("runs/old")
    assert find_run(Path("runs"), "elsewhere/far").path == Path("elsewhere/far")
    assert find_run(runs, str(runs / "old")).path == runs / "old"


def test_a_missing_run_is_reported_with_the_newest_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        find_run(Path("runs"), None)
    assert message(error) == (
        "runs: no runs found. Train one with: dlcli train RECIPE, or choose another folder with --runs DIR."
    )
    make_run(Path("runs"), "digits")
    with pytest.raises(InputError) as error:
        find_run(Path("runs"), "digit")
    assert message(error) == "digit: no such run in runs. Newest runs: digits."
    Path("photos").mkdir()
    with pytest.raises(InputError) as error:
        find_run(Path("runs"), "photos")
    assert message(error).startswith("photos: is not a run directory: it has no run.json.")
    for reference in ("../runs/none", "", "a\nb"):
        with pytest.raises(InputError):
            find_run(Path("runs"), reference)


def test_a_corrupt_run_is_listed_last(tmp_path: Path) -> None:
    make_run(tmp_path, "good", started="2026-01-01T00:00:00.000000Z")
    make_run(tmp_path, "zz-corrupt").info.write_bytes(b'{"started": "20')
    assert [run.name for run in list_runs(tmp_path)] == ["good", "zz-corrupt"]


def test_now_sorts_as_text() -> None:
    moments = [now() for _ in range(3)]
    assert moments == sorted(moments)
    assert all(len(moment) == len("2026-01-01T00:00:00.000000Z") for moment in moments)


def test_a_run_comes_into_being_complete(tmp_path: Path) -> None:
    def write(run: RunDir) -> None:
        assert run.is_locked()
        replace_json(run.info, {"name": run.name})
        assert run.name not in [listed.name for listed in list_runs(tmp_path)]
        if run.name == "digits":  # another process is faster
            (tmp_path / "digits").mkdir()
            (tmp_path / "digits" / "run.json").write_text("theirs")

    run = create_run(tmp_path, "digits", write)
    assert (run.path, run.is_locked()) == (tmp_path / "digits-2", True)
    run.unlock()
    assert read_json(run.info) == {"name": "digits-2"}
    assert (tmp_path / "digits" / "run.json").read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits", "digits-2"]


def test_a_run_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    def fail(run: RunDir) -> None:
        run.recipe.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device", str(run.config))

    with pytest.raises(OSError, match="No space") as caught:
        create_run(tmp_path, "digits", fail)
    assert caught.value.filename == str(tmp_path / "digits" / "config.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_run_json_is_a_pipe_is_listed_and_found(tmp_path: Path) -> None:
    make_run(tmp_path, "good", started="2026")
    (tmp_path / "bad").mkdir()
    os.mkfifo(tmp_path / "bad" / "run.json")
    assert [run.name for run in list_runs(tmp_path)] == ["good", "bad"]
    with pytest.raises(InputError, match=r"run\.json: is a pipe or device\. A run directory must contain only files"):
        find_run(tmp_path, "bad").read_info()
