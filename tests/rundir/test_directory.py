"""A run directory: what it says about itself, its lock, and leftovers."""

import errno
import fcntl
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
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
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(InputError, match=r"digits: cannot be locked \(No locks available\). Use a disk"):
        run.lock()


def test_a_killed_process_releases_its_lock(tmp_path: Path) -> None:
    run = make_run(tmp_path, "digits", status="running")
    program = (
        "import sys, time; from pathlib import Path; from dlcli.rundir.directory import RunDir\n"
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
