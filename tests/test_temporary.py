"""Temporary files: recognized as leftovers when their process has ended, and only then."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlcli.rundir.writing import replace_file, replace_folder
from dlcli.temporary import private_folder, remove_leftovers, temporary_file, temporary_folder

WRITER = """
import os, sys
from pathlib import Path
from dlcli.rundir.writing import replace_by, replace_folder
path = Path(sys.argv[1])
if sys.argv[2] == "file":
    replace_by(path, lambda temporary: (temporary.write_text("half"), print("writing", flush=True), input()))
elif sys.argv[2] == "folder":
    def write(file):
        file.write_text("half")
        print("writing", flush=True)
        input()
    replace_folder(path, {"a.csv": "new", "b.csv": write})
else:  # between the two renames
    rename = os.rename
    def stop(source, target):
        rename(source, target)
        print("writing", flush=True)
        input()
    os.rename = stop
    replace_folder(path, {"a.csv": "new"})
"""


class Writer:
    """A process in the middle of replacing a file or folder, which can be killed there."""

    def __init__(self, path: Path, kind: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "writing\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_only_what_a_dead_process_left_is_removed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "test"
    writer = Writer(path, kind)
    before = content(tmp_path)
    assert "half" in before.values()
    remove_leftovers(tmp_path)
    assert content(tmp_path) == before  # it is alive, whatever the clock says
    os.utime(next(tmp_path.iterdir()), (0, 0))
    remove_leftovers(tmp_path)
    assert content(tmp_path) == before
    writer.kill()
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_may_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    writer = Writer(path, "file")
    replace_file(path, "second")
    assert path.read_text() == "second"
    writer.process.communicate("\n")
    assert writer.process.returncode == 0
    assert content(tmp_path) == {"out.csv": "half"}


def test_writing_again_removes_the_leftover(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    Writer(path, "file").kill()
    replace_file(path, "complete")
    assert content(tmp_path) == {"out.csv": "complete"}


def test_a_folder_is_restored_after_a_kill_between_two_renames(tmp_path: Path) -> None:
    path = tmp_path / "test"
    replace_folder(path, {"a.csv": "old", "b.csv": "old"})
    writer = Writer(path, "between")
    assert not path.exists()
    remove_leftovers(tmp_path)
    assert not path.exists()
    writer.kill()
    remove_leftovers(tmp_path)
    assert content(tmp_path) == {"test/a.csv": "old", "test/b.csv": "old"}


@pytest.mark.parametrize("name", [f"{'n' * 251}.csv", f"{'ä' * 125}.csv", "x"])
def test_long_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with temporary_file(path) as temporary:
        assert len(os.fsencode(temporary.name)) <= 255
        assert temporary.suffix == path.suffix
        os.fsencode(temporary.name).decode()
    replace_file(path, "a")
    assert content(tmp_path) == {name: "a"}
    path.unlink()
    for value in ("old", "new"):
        replace_folder(path, {"a.csv": value})
    assert content(tmp_path) == {f"{name}/a.csv": "new"}


def test_a_planted_leftover_reaches_no_file_elsewhere(tmp_path: Path) -> None:
    """Links at names that temporary files get, and in temporary folders, as a stranger's run may contain them."""
    home, run = tmp_path / "home", tmp_path / "run"
    replace_folder(home, {"thesis.tex": "mine", "notes.txt": "mine"})
    run.mkdir()
    (run / ".writing-00000000-a.csv").symlink_to(home / "thesis.tex")
    (run / ".writing-00000000-b.csv").symlink_to(home, target_is_directory=True)
    os.link(home / "notes.txt", run / ".writing-00000000-c.csv")
    os.mkfifo(run / ".writing-00000000-d.csv")
    (run / ".writing-00000000-e").mkdir()
    (run / ".writing-00000000-e" / "old").symlink_to(home, target_is_directory=True)
    for name in ("a.csv", "b.csv", "c.csv", "d.csv"):
        replace_file(run / name, "new")
    remove_leftovers(run)
    assert content(home) == {"thesis.tex": "mine", "notes.txt": "mine"}
    assert sorted(path.name for path in run.iterdir()) == ["a.csv", "b.csv", "c.csv", "d.csv"]


def test_a_leftover_that_cannot_be_removed_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".writing-00000000-a.csv").write_text("another user's")

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        remove_leftovers(tmp_path)
        replace_file(tmp_path / "a.csv", "new")
    assert (tmp_path / "a.csv").read_text() == "new"


def test_a_disk_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written, and nothing there is ever taken for a leftover."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    leftover = tmp_path / ".writing-00000000-a.csv"
    leftover.write_text("perhaps alive")
    monkeypatch.setattr("dlcli.temporary.fcntl.flock", refuse)
    remove_leftovers(tmp_path)
    replace_file(tmp_path / "a.csv", "new")
    with temporary_folder(tmp_path / "b") as temporary:
        assert temporary.is_dir()
    assert content(tmp_path) == {"a.csv": "new", leftover.name: "perhaps alive"}


def test_a_private_folder_takes_the_place_of_those_of_dead_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for leftover in (".writing-00000000-dlcli-worker", ".writing-00000003-dlcli-worker", ".writing-00000000-other"):
        (tmp_path / leftover).mkdir()
    with private_folder("dlcli-worker") as one, private_folder("dlcli-worker") as two:
        assert one.stat().st_mode & 0o777 == 0o700
        assert sorted(tmp_path.iterdir()) == sorted([tmp_path / ".writing-00000000-other", one, two])
        (one / "file").touch()
    assert [path.name for path in tmp_path.iterdir()] == [".writing-00000000-other"]
