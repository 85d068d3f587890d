"""The run directory: names, finding runs, and files that survive a kill at any moment."""

import csv
import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlcli import rundir
from dlcli.errors import InputError
from dlcli.rundir import (
    RunDir,
    append_line,
    create_run,
    csv_text,
    find_run,
    list_runs,
    metrics_row,
    read_csv,
    read_json,
    replace_by,
    replace_file,
    replace_folder,
    replace_json,
    write_csv,
)

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


# Names ----------------------------------------------------------------------------------------------------------------


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    runs = tmp_path / "deep" / "runs"
    names = []
    for _ in range(3):
        run = create_run(runs, "digits", no_files)
        names.append(run.name)
        run.unlock()
    assert names == ["digits", "digits-2", "digits-3"]


def test_a_long_name_is_shortened_for_its_number(tmp_path: Path) -> None:
    name = "a" * rundir.MAX_NAME
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


# Finding --------------------------------------------------------------------------------------------------------------


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
    moments = [rundir.now() for _ in range(3)]
    assert moments == sorted(moments)
    assert all(len(moment) == len("2026-01-01T00:00:00.000000Z") for moment in moments)


# Writing --------------------------------------------------------------------------------------------------------------


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

    monkeypatch.setattr(rundir.os, function, fail)
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


def test_csv_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    replace_file(path, csv_text(["name", "value"], [["a,b", 1], ['say "x"', 2.5]]))
    rows = [{"name": "a,b", "value": "1"}, {"name": 'say "x"', "value": "2.5"}]
    assert read_csv(path) == rows
    with open(path, "a") as file:
        file.write("half a row")
    assert read_csv(path) == rows


def test_a_row_of_metrics_keeps_float32_precision() -> None:
    columns = ["stage", "epoch", "train_loss"]
    row = metrics_row(columns, {"stage": "head", "epoch": 3, "train_loss": 0.1234567891, "other": 1})
    assert row == "head,3,0.123456789"


# Reading --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": 1', b"\0" * 20], ids=lambda content: repr(content[:8])
)
def test_corrupt_json_is_one_line_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_json(path)
    assert message(error).startswith(f"{path}: cannot be read (")
    assert "corrupt" in message(error)


def test_json_that_is_missing_or_not_an_object(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with pytest.raises(InputError) as error:
        read_json(path)
    assert message(error) == f"{path}: no such file. A run directory must contain it. Restore it from a copy."
    path.write_text("[1]")
    with pytest.raises(InputError, match="must contain a JSON object"):
        read_json(path)


@pytest.mark.parametrize(
    "change",
    [{"status": 1}, {"config": []}, {"data": "x"}, {"data": {}}, {"best": 3}, {"final": [1]}],
    ids=lambda change: json.dumps(change),
)
def test_an_invalid_run_json_is_one_line(tmp_path: Path, change: dict[str, Any]) -> None:
    run = make_run(tmp_path, "digits", **change)
    with pytest.raises(InputError) as error:
        run.read_info()
    assert message(error).startswith(f"{run.info}: ")


@pytest.mark.parametrize("content", ["{}", '{"classes": 3}', "[]"])
def test_invalid_labels_are_one_line(tmp_path: Path, content: str) -> None:
    run = make_run(tmp_path, "digits")
    run.labels.write_text(content)
    with pytest.raises(InputError) as error:
        run.read_classes()
    assert message(error).startswith(f"{run.labels}: ")
    run.labels.write_text('{"classes": ["ant", "bee"]}')
    assert run.read_classes() == ("ant", "bee")


@pytest.mark.parametrize("content", [b"\xff\n", b"a,b\n1\n", b"a,b\n1,2,3\n"])
def test_a_corrupt_table_is_one_line_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_csv(path)
    assert message(error).startswith(f"{path}:")
    assert "is corrupt" in message(error)


# Locks and status -----------------------------------------------------------------------------------------------------


def test_one_process_at_a_time(tmp_path: Path) -> None:
    run = make_run(tmp_path, "digits", status="running")
    assert not run.is_locked()
    assert run.status() == "interrupted"  # the file says running, but no process has the lock
    run.lock()
    assert run.is_locked()
    assert run.status() == "running"
    with pytest.raises(InputError, match="another process is using this run"):
        RunDir(run.path).lock()
    run.unlock()
    other = RunDir(run.path)
    other.lock()
    other.unlock()


def test_a_disk_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    run = make_run(tmp_path, "digits")
    monkeypatch.setattr(rundir.fcntl, "flock", refuse)
    with pytest.raises(InputError, match=r"digits: cannot be locked \(No locks available\). Use a disk"):
        run.lock()


def test_a_killed_process_releases_its_lock(tmp_path: Path) -> None:
    run = make_run(tmp_path, "digits", status="running")
    program = (
        "import sys, time; from pathlib import Path; from dlcli.rundir import RunDir\n"
        "run = RunDir(Path(sys.argv[1])); run.lock(); print('locked', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(run.path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "locked\n"
            assert run.status() == "running"
        finally:
            process.kill()
        process.wait()
    assert not run.is_locked()
    assert run.status() == "interrupted"


@pytest.mark.parametrize("status", ["completed", "failed", "interrupted"])
def test_other_statuses_are_as_written(tmp_path: Path, status: str) -> None:
    assert make_run(tmp_path, "digits", status=status).status() == status


def test_update_info_keeps_the_rest(tmp_path: Path) -> None:
    run = make_run(tmp_path, "digits", seed=3)
    run.update_info(status="failed", extra=[1])
    assert json.loads(run.info.read_text()) == {**INFO, "data": DATA, "status": "failed", "seed": 3, "extra": [1]}


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    run = make_run(tmp_path, "digits")
    current = [run.path / ".writing-00000000-run.json", run.path / "attacks" / ".writing-00000003-fgsm"]
    current[1].mkdir(parents=True)
    earlier = [run.path / ".writing-1-run.json", run.path / "evaluation" / "test" / ".writing-2-metrics.json"]
    earlier[1].parent.mkdir(parents=True)
    for file in (current[0], *earlier):
        file.write_text("")
    folder = run.checkpoints / ".writing-3-0001-00000004"
    folder.mkdir(parents=True)
    (folder / "variables.npz").write_text("")
    kept = run.checkpoints / "0001-00000004"
    kept.mkdir()
    replaced = run.attacks / ".writing-3-pgd.old"
    replaced.mkdir()
    run.remove_leftovers()
    assert not any(path.exists() for path in current)
    assert all(path.exists() for path in earlier)  # whose process may be alive: it has no lock to tell
    run.lock()
    run.remove_leftovers()
    run.unlock()
    left = sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.name != "run.lock")
    folders = ["attacks", "attacks/pgd", "checkpoints", "checkpoints/0001-00000004", "evaluation", "evaluation/test"]
    assert left == [*folders, "run.json"]


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


# Runs of earlier versions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "current"),
    [
        ("val_localisation_accuracy", "val_localization_accuracy"),
        ("top_5_localisation_accuracy", "top_5_localization_accuracy"),
        ("baseline_localisation_accuracy_50_95", "baseline_localization_accuracy_50_95"),
        ("localisation_error", "localization_error"),
        ("localisation_curve", "localization_curve"),
        ("val_localization_accuracy", "val_localization_accuracy"),
        ("val_loss", "val_loss"),
        ("localisation", "localisation"),  # may be a class
        ("p_my localisation", "p_my localisation"),
    ],
)
def test_only_names_of_metrics_change(old: str, current: str) -> None:
    assert rundir.current_name(old) == current


def test_metrics_csv_of_an_earlier_version_is_read_under_the_current_names(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(
        "stage,epoch,train_loss,train_localisation_accuracy,val_localisation_accuracy\n"
        "localisation_accuracy,1,0.5,0.25,0.75\n"
    )
    assert read_csv(path) == [
        {
            "stage": "localisation_accuracy",  # a value, not a column
            "epoch": "1",
            "train_loss": "0.5",
            "train_localization_accuracy": "0.25",
            "val_localization_accuracy": "0.75",
        }
    ]


def test_run_json_of_an_earlier_version_is_read_under_the_current_names(tmp_path: Path) -> None:
    run = make_run(
        tmp_path,
        "old",
        task="localisation",
        config={"task": "localisation", "train": {"best_metric": "val_localisation_accuracy"}},
        best={"epoch": 2, "metric": "val_localisation_accuracy", "value": 0.75},
        final={"test_localisation_error": 0.25, "test_loss": 1.0},
    )
    info = run.read_info()
    assert info["task"] == "localization"
    assert info["config"] == {"task": "localization", "train": {"best_metric": "val_localization_accuracy"}}
    assert info["best"]["metric"] == "val_localization_accuracy"
    assert info["final"] == {"test_localization_error": 0.25, "test_loss": 1.0}
    run.update_info(status="running")
    assert "localisation" not in run.info.read_text()


def test_names_of_classes_are_not_changed(tmp_path: Path) -> None:
    run = make_run(tmp_path, "run", data={**DATA, "classes": ["localisation", "localisation_accuracy"]})
    replace_json(run.labels, {"classes": ["localisation", "localisation_accuracy"]})
    assert run.read_classes() == ("localisation", "localisation_accuracy")


# Links, pipes and sizes -----------------------------------------------------------------------------------------------


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


def test_what_is_read_of_a_run_is_bounded(tmp_path: Path) -> None:
    for name, read in {"a.json": read_json, "a.csv": read_csv}.items():
        path = tmp_path / name
        with open(path, "wb") as file:
            file.truncate(2**40)
        with pytest.raises(InputError, match=rf"{name}: .*larger than [\d,]+ bytes"):
            read(path)
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(InputError, match=f"{name}: .*a pipe or device, not a file"):
            read(path)
    with pytest.raises(InputError, match="a pipe or device, not a file"):
        rundir.file_digest(tmp_path / "a.json")


def test_an_incomplete_line_of_any_length_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    for complete in (b"", b"one\n", b"one\ntwo\n"):
        for length in (1, rundir.LINE_BLOCK - 1, rundir.LINE_BLOCK, 3 * rundir.LINE_BLOCK + 5):
            path.write_bytes(complete + b"x" * length)
            append_line(path, "last")
            assert path.read_bytes() == complete + b"last\n"


def test_headers_and_json_have_escapes(tmp_path: Path) -> None:
    assert csv_text(["a\x1b[31m", "b\u202e\n"], [["c", 1]]) == "a\\x1b[31m,b\\u202e\\n\nc,1\n"
    replace_json(tmp_path / "a.json", {"a\x1b": "\ud800\u202e"})
    assert (tmp_path / "a.json").read_text().isascii()
    assert read_json(tmp_path / "a.json") == {"a\x1b": "\ud800\u202e"}


def test_a_run_whose_run_json_is_a_pipe_is_listed_and_found(tmp_path: Path) -> None:
    make_run(tmp_path, "good", started="2026")
    (tmp_path / "bad").mkdir()
    os.mkfifo(tmp_path / "bad" / "run.json")
    assert [run.name for run in list_runs(tmp_path)] == ["good", "bad"]
    with pytest.raises(InputError, match=r"run\.json: is a pipe or device\. A run directory must contain only files"):
        find_run(tmp_path, "bad").read_info()


# Tables -------------------------------------------------------------------------------------------------------------


def test_safe_tables_quote_formulas_and_nothing_else(tmp_path: Path) -> None:
    formulas = ["=1+1", "+cmd", "-x", "@SUM(A1)", "\tx", "\r=1", "-1+1", "-1 x"]
    harmless = ["", "a=b", "'=1", "-1.5", "+3", "-1.2e-07", " =1", "é", -2.5, 3, None]
    write_csv(tmp_path / "plain.csv", ["=a"], ([cell] for cell in [*formulas, *harmless]))
    write_csv(tmp_path / "safe.csv", ["=a"], ([cell] for cell in [*formulas, *harmless]), safe=True)
    with open(tmp_path / "plain.csv", newline="") as file:
        plain = [row[0] for row in csv.reader(file) if row]
    with open(tmp_path / "safe.csv", newline="") as file:
        safe = [row[0] for row in csv.reader(file) if row]
    assert plain[1 : len(formulas) + 1] == formulas
    assert safe == [f"'{cell}" for cell in plain[: len(formulas) + 1]] + plain[len(formulas) + 1 :]


def test_a_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    def rows() -> Iterator[list[int]]:
        yield [1]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as error:
        replace_by(tmp_path / "table.csv", lambda path: write_csv(path, ["a"], rows()))
    assert error.value.filename == str(tmp_path / "table.csv")
    assert list(tmp_path.iterdir()) == []
