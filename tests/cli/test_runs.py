"""``dlcli runs`` on runs written by hand: it needs no TensorFlow and no training."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlcli.cli import _run
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_json
from dlcli.workflow.runs import remove

Called = tuple[int, str, str]  # exit status, stdout, stderr
CONFIG = {"task": "classification", "name": "one", "train": {"epochs": 5, "seed": 0}, "model": {"blocks": [{"f": 1}]}}


def make_run(name: str, *, started: str, **info: Any) -> Path:
    path = Path("runs", name)
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("task: classification\n")
    (path / "metrics.csv").write_text("stage,epoch,val_loss\nhead,1,2.5\nhead,2,1.25\n")
    default = {
        "status": "completed",
        "task": "classification",
        "seed": 0,
        "started": started,
        "finished": started,
        "device": "CPU, 2 cores",
        "parameters": 123,
        "data": {"fingerprint": "f", "samples": {"train": 1200, "test": 30}, "images": None},
        "config": {**CONFIG, "name": name},
        "best": {"epoch": 2, "metric": "val_loss", "value": 1.25},
        "final": {"val_loss": 1.25, "test_accuracy": 0.5},
        "evaluated": "test",
    }
    replace_json(path / "run.json", {**default, **info})
    return path


@pytest.fixture(autouse=True)
def _two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run("one", started="2026-01-01T10:00:00.000000Z")
    other = {**CONFIG, "name": "two", "train": {"epochs": 7, "seed": 0, "ema": 0.9}}
    make_run(
        "two",
        started="2026-01-02T10:00:00.000000Z",
        status="running",
        config=other,
        final={"val_loss": 2.0},
        best=None,
    )


@pytest.fixture
def dlcli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    """Run the command line in this process."""

    def call(*arguments: str, answer: str = "") -> Called:
        monkeypatch.setattr(sys, "argv", ["dlcli", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        status = _run()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return call


def test_list(dlcli: Callable[..., Called]) -> None:
    status, out, err = dlcli("runs", "list")
    assert (status, err) == (0, "")
    header, *lines = out.splitlines()
    assert header.split() == ["name", "status", "started", "seed", "epochs", "metric", "best", "headline", "value"]
    assert lines[0].split() == [
        "two",
        "interrupted",
        "2026-01-02T10:00",
        "0",
        "2",
        "-",
        "-",
        "-",
        "-",
    ]  # no process has locked it
    assert lines[1].split()[1:7] == ["completed", "2026-01-01T10:00", "0", "2", "val_loss", "1.2500"]
    assert lines[1].split()[7:] == ["test_accuracy", "0.5000"]
    listed = json.loads(dlcli("runs", "list", "--json")[1])
    assert [(run["name"], run["status"]) for run in listed] == [("two", "interrupted"), ("one", "completed")]


def test_sorted_list(dlcli: Callable[..., Called]) -> None:
    make_run(
        "three",
        started="2025-12-31T10:00:00.000000Z",
        best={"epoch": 1, "metric": "val_accuracy", "value": 0.8},
        final={"val_loss": 0.5, "validation_loss": 0.5, "validation_accuracy": 0.75},
        evaluated="validation",
    )
    make_run("four", started="2025-12-30T10:00:00.000000Z", best={"epoch": 1, "metric": "val_loss", "value": 1.0})

    def names(*options: str) -> list[str]:
        status, out, _ = dlcli("runs", "list", *options)
        assert status == 0
        return [line.split()[0] for line in out.splitlines()[1:]]

    assert names() == names("--sort", "started") == ["two", "one", "three", "four"]
    assert names("--sort", "name") == ["four", "one", "three", "two"]
    assert names("--sort", "best") == ["two", "three", "four", "one"]  # no metric, then val_accuracy, val_loss
    assert names("--sort", "accuracy") == ["three", "one", "four", "two"]
    assert names("--sort", "val_loss") == ["three", "one", "four", "two"]
    header, first, *_ = dlcli("runs", "list", "--sort", "val_loss")[1].splitlines()
    assert header.split()[-1] == "val_loss"
    assert first.split()[-3:] == ["validation_accuracy", "0.7500", "0.5000"]
    assert "accuracy" not in dlcli("runs", "list", "--sort", "accuracy")[1].splitlines()[0]
    status, out, err = dlcli("runs", "list", "--sort", "acuracy")
    assert (status, out) == (2, "")
    assert "--sort: no run has a final metric 'acuracy'; did you mean 'accuracy'?" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("final", [[], {"test_accuracy": "high"}, {"test_accuracy": float("nan")}, 3])
def test_strange_metrics_are_not_listed(dlcli: Callable[..., Called], final: Any) -> None:
    text = json.dumps(json.loads(Path("runs", "one", "run.json").read_text()) | {"final": final, "task": []})
    Path("runs", "one", "run.json").write_text(text)
    Path("runs", "two", "run.json").write_text(text)
    for order in ("name", "best"):
        status, out, _ = dlcli("runs", "list", "--sort", order)
        assert status == 0
        assert "test_accuracy" not in out
    assert dlcli("runs", "list", "--sort", "test_accuracy")[0] == 2


def test_empty_list(dlcli: Callable[..., Called]) -> None:
    assert dlcli("runs", "list", "--runs", "none") == (0, "", "none: no runs found\n")
    assert json.loads(dlcli("runs", "list", "--runs", "none", "--json")[1]) == []


@pytest.mark.parametrize("corruption", [b"", b"\xff{", b"[]", b"{}", b'{"best": 3, "data": 1}'])
def test_one_corrupt_run_does_not_hide_the_others(dlcli: Callable[..., Called], corruption: bytes) -> None:
    Path("runs", "two", "run.json").write_bytes(corruption)
    status, out, _ = dlcli("runs", "list")
    assert status == 0
    assert {line.split()[0] for line in out.splitlines()[1:]} == {"one", "two"}
    assert dlcli("runs", "show", "two")[0] in (0, 2)


def test_what_cannot_be_listed_is_named_with_its_reason(dlcli: Callable[..., Called]) -> None:
    Path("runs", "two", "run.json").write_text('{"status": 3')
    Path("runs", "absent").symlink_to("nowhere")
    Path("runs", "copy").symlink_to("one")
    Path("runs", "torn", "checkpoints").mkdir(parents=True)
    Path("runs", "torn", "run.json").symlink_to("../one/run.json")
    Path("runs", "lost", "checkpoints").mkdir(parents=True)
    Path("runs", "notes").mkdir()
    status, out, err = dlcli("runs", "list")
    assert status == 0
    assert {line.split()[0]: line.split()[1] for line in out.splitlines()[1:]} == {
        "one": "completed",
        "copy": "completed",
        "two": "corrupt",
        "torn": "corrupt",
    }
    lines = sorted(err.splitlines())
    assert [line.partition(": ")[0] for line in lines] == [
        "runs/absent",
        "runs/copy",
        "runs/lost",
        "runs/torn/run.json",
        "runs/two/run.json",
    ]
    assert lines[0] == "runs/absent: is a link to nowhere, which does not exist. Remove the link."
    assert lines[1] == "runs/copy: is a link to one"
    assert lines[2].startswith("runs/lost: has files of a run but no run.json. ")
    assert lines[3].startswith("runs/torn/run.json: is a link. A run directory must not contain links")
    assert lines[4].startswith("runs/two/run.json: is corrupt: it is not valid JSON from line 1, column ")
    listed = {run["name"]: run for run in json.loads(dlcli("runs", "list", "--json")[1])}
    assert listed["two"]["reason"] == lines[4]
    assert listed["copy"]["link"] == "one"


def test_a_number_beyond_the_range_of_floats_is_corrupt(dlcli: Callable[..., Called]) -> None:
    info = json.loads(Path("runs", "one", "run.json").read_text())
    info["best"]["value"] = 10**400
    Path("runs", "one", "run.json").write_text(json.dumps(info))
    status, out, err = dlcli("runs", "list", "--sort", "best")
    assert (status, out.splitlines()[-1].split()[:2]) == (0, ["one", "corrupt"])
    assert err.startswith("runs/one/run.json: is corrupt: it has a number with too many digits.")


def test_corrupt_metrics_do_not_hide_the_others(dlcli: Callable[..., Called]) -> None:
    Path("runs", "two", "metrics.csv").write_bytes(b"\xff\xfe\n\xff\n")
    status, out, _ = dlcli("runs", "list")
    assert status == 0
    assert {line.split()[0] for line in out.splitlines()[1:]} == {"one", "two"}


def test_show(dlcli: Callable[..., Called]) -> None:
    status, out, _ = dlcli("runs", "show", "one")
    assert status == 0
    for line in ("run: runs/one", "status: completed", "samples: 1,200 train, 30 test", "parameters: 123"):
        assert line in out.splitlines()
    assert "best: epoch 2, val_loss 1.2500" in out
    assert "test_accuracy" in out
    newest = dlcli("runs", "show")[1]
    assert "run: runs/two" in newest
    info = json.loads(dlcli("runs", "show", "runs/one", "--json")[1])
    assert info["run"] == "runs/one"
    assert info["last_epoch"]["val_loss"] == "1.25"


def test_diff(dlcli: Callable[..., Called]) -> None:
    status, out, _ = dlcli("runs", "diff", "one", "two")
    assert status == 0
    cells = [line.split() for line in out.splitlines() if line]
    assert ["recipe", "one", "two"] in cells
    assert ["train.epochs", "5", "7"] in cells
    assert ["train.ema", "(absent)", "0.9"] in cells
    assert ["val_loss", "1.2500", "2.0000"] in cells
    assert not any(row[0] in ("train.seed", "name", "model.blocks.0.f") for row in cells)
    result = json.loads(dlcli("runs", "diff", "one", "two", "--json")[1])
    assert result["recipe"] == {"train.epochs": [5, 7], "train.ema": ["(absent)", 0.9]}
    assert result["metrics"]["test_accuracy"] == [0.5, "(absent)"]
    shutil.copytree("runs/one", "runs/copy")
    assert "recipe: no difference" in dlcli("runs", "diff", "one", "copy")[1]
    assert dlcli("runs", "diff", "one", "./runs/one")[2] == "runs/one: is named twice. Name two runs.\n"


def test_a_section_that_one_run_lacks_is_one_difference(dlcli: Callable[..., Called]) -> None:
    augment = {f"option_{i}": 0.5 for i in range(20)}
    config = {**CONFIG, "augment": augment, "model": {"blocks": [{"f": 2}, {"f": 3, "g": 4}]}}
    make_run("three", started="2026-01-03T10:00:00.000000Z", config={**config, "train": {"stages": [{"a": 1}]}})
    make_run("four", started="2026-01-04T10:00:00.000000Z", config={**CONFIG, "augment": None, "train": {"stages": []}})
    lines = dlcli("runs", "diff", "three", "four")[1].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == [
        *("recipe", "train.stages", "model.blocks.0.f", "model.blocks.1", "augment")
    ]
    assert max(map(len, lines)) < 120
    assert lines[-1].endswith("null")
    recipe = json.loads(dlcli("runs", "diff", "three", "four", "--json")[1])["recipe"]
    assert recipe["augment"] == [augment, None]
    assert recipe["train.stages"] == [[{"a": 1}], []]
    assert recipe["model.blocks.1"] == [{"f": 3, "g": 4}, "(absent)"]


def test_remove(dlcli: Callable[..., Called]) -> None:
    for answer, expected, last in [
        ("n\n", 0, "kept runs/one\n"),
        ("\n", 0, "kept runs/one\n"),
        ("", 2, "cannot ask for confirmation without a terminal. Use --yes to delete without asking.\n"),
    ]:
        status, out, err = dlcli("runs", "remove", "one", answer=answer)
        assert (status, out) == (expected, "")
        assert err.endswith(last)
        assert Path("runs", "one", "run.json").exists()
    status, out, err = dlcli("runs", "remove", "one", answer="y\n")
    assert (status, out) == (0, "")
    assert err.endswith("removed runs/one\n")
    assert [path.name for path in Path("runs").iterdir()] == ["two"]
    assert dlcli("runs", "remove", "two", "--yes") == (0, "", "removed runs/two\n")
    assert list(Path("runs").iterdir()) == []
    assert dlcli("runs", "remove", "two", "--yes")[0] == 2


class Killed(BaseException):
    """As kill -9 does, ends a removal at once."""


@pytest.mark.parametrize("call", range(1, 6))
def test_a_killed_removal_is_finished_by_the_next(
    dlcli: Callable[..., Called], monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    calls = 0

    def killed_at(function: Callable[..., None]) -> Callable[..., None]:
        def wrapper(*args: Any, **keys: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == call:
                raise Killed
            function(*args, **keys)

        return wrapper

    Path("runs", "one", "plots").mkdir(exist_ok=True)
    kept = Path("runs", ".removing-1-mine")  # does not read as a run
    kept.mkdir()
    (kept / "thesis.tex").write_text("mine")
    with monkeypatch.context() as patch:
        for name in ("unlink", "rmdir"):
            patch.setattr(Path, name, killed_at(getattr(Path, name)))
        with pytest.raises(Killed):
            remove(RunDir(Path("runs", "one")))
    assert not Path("runs", "one").exists()
    assert dlcli("runs", "remove", "one", "--yes") == (0, "", "removed runs/one\n")
    assert sorted(path.name for path in Path("runs").iterdir()) == [kept.name, "two"]
    assert dlcli("runs", "remove", "one", "--yes")[0] == 2


def test_remove_leaves_other_files_alone(dlcli: Callable[..., Called]) -> None:
    Path("photos").mkdir()
    Path("photos", "a.png").write_text("mine")
    status, _, err = dlcli("runs", "remove", "photos", "--yes")
    assert status == 2
    assert err.startswith("photos: is not a run directory")
    Path("runs", "link").symlink_to(Path("one"), target_is_directory=True)
    status, _, err = dlcli("runs", "remove", "link", "--yes")
    assert status == 2
    assert err.startswith("runs/link: is a link")
    run = RunDir(Path("runs", "one"))
    run.lock()
    status, _, err = dlcli("runs", "remove", "one", "--yes")
    run.unlock()
    assert status == 2
    assert "another process is using this run" in err
    assert Path("runs", "one", "run.json").exists()
    assert Path("photos", "a.png").read_text() == "mine"


@pytest.mark.parametrize("content", ["", "{}", '{"name": "another tool", "status": 3}', "no JSON"])
def test_remove_deletes_only_what_reads_as_a_run(dlcli: Callable[..., Called], content: str) -> None:
    Path("victim").mkdir()
    Path("victim", "thesis.tex").write_text("mine")
    Path("victim", "run.json").write_text(content)
    for reference in ("victim", "./victim"):
        status, _, err = dlcli("runs", "remove", reference, "--yes")
        assert status == 2
        assert err.startswith("victim: not removed, because it does not read as a run of dlcli")
        assert err.endswith("delete it with: rm -r victim\n")
    assert Path("victim", "thesis.tex").read_text() == "mine"


def test_remove_takes_the_path_as_given(dlcli: Callable[..., Called]) -> None:
    Path("link").symlink_to(Path("runs", "one"), target_is_directory=True)
    Path("runs", "one", "plots").mkdir(exist_ok=True)
    for reference in ("runs/../runs/one", "link/plots/..", "runs/one/plots/.."):
        status, _, err = dlcli("runs", "remove", reference, "--yes")
        assert status == 2
        assert err == f"{reference}: must not contain '..'. Give the path of the run directory itself.\n"
    assert Path("runs", "one", "run.json").exists()


def test_remove_needs_a_name(dlcli: Callable[..., Called]) -> None:
    status, _, err = dlcli("runs", "remove")
    assert status == 2
    assert "dlcli runs remove: name a RUN" in err
