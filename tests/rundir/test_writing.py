"""Files that survive a kill or a failed write at any moment."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import InputError
from dlcli.rundir.reading import read_json
from dlcli.rundir.writing import LINE_BLOCK, append_line, replace_by, replace_file, replace_folder, replace_json


class WriteError(OSError):
    pass


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, before: bytes | None
) -> None:
    path = tmp_path / "file.json"
    if before is not None:
        path.write_bytes(before)

    def fail(*args: Any) -> None:
        raise WriteError("no space left on device")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(WriteError):
        replace_file(path, b"new")
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == ([] if before is None else ["file.json"])
    if before is not None:
        assert path.read_bytes() == before


def test_a_replaced_file_is_synced_before_it_is_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    events: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        events.append("sync " + os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        assert path.read_text() == ("new" if "replace" in events else "old")
        real_fsync(descriptor)

    def replace(source: Path, target: Path) -> None:
        events.append("replace")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    replace_file(path, "new")
    at = events.index("replace")
    assert any(event.endswith("-file.txt") for event in events[:at])  # the content first
    assert f"sync {tmp_path.name}" in events[at:]  # then the folder's entry


def test_a_file_written_by_a_library(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    seen: list[Path] = []

    def write(temporary: Path) -> None:
        assert temporary.suffix == ".keras"
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"model")
        seen.append(temporary)

    replace_by(path, write)
    assert path.read_bytes() == b"model"
    assert not seen[0].exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_a_value_that_is_not_json_changes_nothing(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "run.json"
    replace_json(path, {"a": 1})
    with pytest.raises((ValueError, TypeError)):
        replace_json(path, {"a": value})
    assert read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "new\n"),
        (b"", "new\n"),
        (b"one\n", "one\nnew\n"),
        (b"one\ntw", "one\nnew\n"),
        (b"unfinish", "new\n"),
        (b"one\n\xc3", "one\nnew\n"),
    ],
)
def test_appending_removes_an_incomplete_line(tmp_path: Path, before: bytes | None, after: str) -> None:
    path = tmp_path / "metrics.csv"
    if before is not None:
        path.write_bytes(before)
    append_line(path, "new")
    assert path.read_text() == after


def test_a_full_disk_is_reported_with_the_file_that_was_appended_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        append_line(tmp_path / "trials.jsonl", "line")
    assert caught.value.filename == str(tmp_path / "trials.jsonl")


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    replace_folder(folder, {"a": "old", "b": b"old"})

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with pytest.raises(OSError, match="No space") as caught:
        replace_folder(folder, {"a": "new", "c": fail})
    assert caught.value.filename == str(folder / "c")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "old", "b": "old"}
    replace_folder(folder, {"a": "new", "c": lambda path: path.write_text("new")})
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "new", "c": "new"}
    assert list(tmp_path.iterdir()) == [folder]


def test_a_full_disk_is_reported_with_the_file_of_a_folder(tmp_path: Path) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # as NumPy raises it, without a name

    with pytest.raises(OSError, match="No space left") as caught:
        replace_folder(tmp_path / "maps", {"maps.npz": full})
    assert caught.value.filename == str(tmp_path / "maps" / "maps.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InputError, match="mine: is a file, which would be replaced by a folder"):
        replace_folder(tmp_path / "mine", {"a": "new"})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("mine", "mine")]


def test_a_link_or_pipe_is_neither_written_through_nor_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "link").symlink_to(mine)
    os.mkfifo(tmp_path / "pipe")
    for name, kind in {"link": "is a link, which", "pipe": "is a pipe or device, which"}.items():
        path = tmp_path / name
        with pytest.raises(InputError, match=rf"{name}: must be a file of the run\. Received a link, pipe or device"):
            append_line(path, "line")
        with pytest.raises(InputError, match=f"{name}: {kind}"):
            replace_file(path, "new")
        with pytest.raises(InputError, match=f"{name}: {kind}"):
            replace_folder(path, {"a": "new"})
    assert mine.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "link", "pipe"}


def test_an_incomplete_line_of_any_length_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    for complete in (b"", b"one\n", b"one\ntwo\n"):
        for length in (1, LINE_BLOCK - 1, LINE_BLOCK, 3 * LINE_BLOCK + 5):
            path.write_bytes(complete + b"x" * length)
            append_line(path, "last")
            assert path.read_bytes() == complete + b"last\n"
