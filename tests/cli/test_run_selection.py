"""``dlcli runs`` with tags, notes, conditions and the best runs, on runs written by hand."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlcli.cli import _run
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_json

Called = tuple[int, str, str]  # exit status, stdout, stderr


@pytest.fixture(autouse=True)
def _five_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, accuracy in enumerate((0.5, 0.9, 0.7, 0.8, None)):
        path = Path("runs", f"r{number}")
        path.mkdir(parents=True)
        info: dict[str, Any] = {
            "status": "failed" if accuracy is None else "completed",
            "task": "classification",
            "started": f"2026-01-0{number + 1}",
            "data": {"fingerprint": "f", "samples": {"train": 3}, "images": None},
            "config": {"task": "classification", "train": {"batch_size": 8 * (number + 1)}},
            "best": {"epoch": 1, "metric": "val_loss", "value": 1.0},
            "final": None if accuracy is None else {"test_accuracy": accuracy, "test_loss": 1 - accuracy},
            "evaluated": "test",
        }
        replace_json(path / "run.json", info)


@pytest.fixture
def dlcli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    def call(*arguments: str) -> Called:
        monkeypatch.setattr("sys.argv", ["dlcli", *arguments])
        status = _run()
        out, err = capsys.readouterr()
        return status, out, err

    return call


def names(out: str) -> list[str]:
    return [one["name"] for one in json.loads(out)]


def test_tags_and_notes_are_kept_beside_run_json(dlcli: Callable[..., Called]) -> None:
    before = Path("runs/r1/run.json").read_bytes()
    assert dlcli("runs", "tag", "r1", "paper", "best") == (0, "runs/r1: best, paper\n", "")
    assert dlcli("runs", "tag", "r1", "paper", "--remove") == (0, "runs/r1: best\n", "")
    assert dlcli("runs", "tag", "r1") == (0, "runs/r1: best\n", "")
    assert dlcli("runs", "note", "r1", "the \x1b[31mred one")[1] == "runs/r1: the \\x1b[31mred one\n"
    assert Path("runs/r1/run.json").read_bytes() == before
    assert json.loads(Path("runs/r1/notes.json").read_text()) == {"tags": ["best"], "note": "the \x1b[31mred one"}
    assert "tags: best" in dlcli("runs", "show", "r1")[1]
    assert "tags" in dlcli("runs", "list")[1].splitlines()[0]
    assert names(dlcli("runs", "list", "--where", "tag=best", "--json")[1]) == ["r1"]
    assert dlcli("runs", "note", "r1", "")[1] == "runs/r1: no note\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("tag", "r1", "a b"), "a tag's name must be at most 80 letters"),
        (("note", "r1", "null"), "runs/r1: a note must not be null. An empty text removes it."),
        (("tag", "r1", "null"), "a tag's name must not be null. Choose another."),
        (
            ("remove", "--where", "metric != val_los", "-y"),
            "metric is one of val_loss. Received 'val_los'; did you mean",
        ),
        (("remove", "--where", "name != ''", "-y"), "name != needs a value; what a run lacks is null."),
        (("remove", "--runs", "nix", "--where", "name = a", "-y"), "nix: no such folder."),
        (("tag", "r1", "--remove"), "--remove requires the tags to remove"),
        (("tag", "nix", "a"), "nix: no such run"),
        (("note", "r1", "x" * 2001), "a note may have at most 2,000 characters"),
        (("find", " "), "TEXT must not be empty"),
        (("list", "--where", "acuracy>1"), "did you mean 'accuracy'?"),
        (("remove",), "name a RUN, or choose runs with --where or --keep-best"),
        (("remove", "r1", "--keep-best", "1"), "but not both"),
        (("remove", "r1", "--metric", "loss"), "--metric is for --keep-best N"),
        (
            ("remove", "--keep-best", "1", "--metric", "nix"),
            "--metric: no run has a final metric 'nix'. It takes, for example: test_acc",
        ),
        (("remove", "--keep-best", "1", "--metric", "started"), "--metric: no run has a final metric 'started'"),
        (("remove", "--where", "status != complete", "-y"), "Received 'complete'; did you mean 'completed'?"),
        (("remove", "--where", "task != clasification", "-y"), "did you mean 'classification'?"),
        (("remove", "--where", "optimizer.kind != adamm", "-y"), "no run has a value named 'optimizer.kind'"),
    ],
)
def test_bad_input_gets_one_line_and_removes_nothing(
    dlcli: Callable[..., Called], arguments: tuple[str, ...], error: str
) -> None:
    status, out, err = dlcli("runs", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert error in err
    assert len(list(Path("runs").iterdir())) == 5


def test_corrupt_notes_are_named_where_they_are_used_and_hide_no_run(dlcli: Callable[..., Called]) -> None:
    Path("runs/r1/notes.json").write_text("[]")
    _, out, err = dlcli("runs", "list", "--json")
    assert (len(names(out)), err.count("\n")) == (5, 1)
    assert err.startswith("runs/r1/notes.json: is corrupt")
    assert dlcli("runs", "find", "r1")[2] == err
    _, _, err = dlcli("runs", "remove", "--where", "tag != keep and name = r1", "-y")
    assert err.splitlines()[1:] == ["runs: nothing to remove"]
    assert err.startswith("runs/r1/notes.json: is corrupt")
    assert "notes.json: is corrupt" in dlcli("runs", "tag", "r1", "a")[2]


@pytest.mark.parametrize("config", [{}, {"task": "classification", "train": 5}])
def test_no_condition_on_a_recipe_or_a_note_that_is_not_there_holds(
    dlcli: Callable[..., Called], config: dict[str, Any]
) -> None:
    path = Path("runs/r1/run.json")
    replace_json(path, {**json.loads(path.read_text()), "config": config})
    Path("runs/r2/run.json").write_text("{")
    for condition in ("train.batch_size != 8", "not train.batch_size = 8"):
        chosen = names(dlcli("runs", "list", "--where", condition, "--json")[1])
        assert chosen == ["r4", "r3"], condition
    assert "r2" not in names(dlcli("runs", "list", "--where", "seed != 7", "--json")[1])
    dlcli("runs", "note", "r3", "why")
    assert names(dlcli("runs", "list", "--where", "note != null", "--json")[1]) == ["r3"]
    assert names(dlcli("runs", "list", "--where", "note = null", "--json")[1]) == ["r4", "r1", "r0"]


def test_find_looks_into_names_tags_notes_and_recipes(dlcli: Callable[..., Called]) -> None:
    dlcli("runs", "note", "r2", "Baseline of section 3")
    dlcli("runs", "tag", "r3", "baseline")
    assert names(dlcli("runs", "find", "BASELINE", "--json")[1]) == ["r3", "r2"]
    _, out, _ = dlcli("runs", "find", "batch_size: 16")
    assert out.splitlines()[1:] == ["r1    train.batch_size: 16"]
    assert dlcli("runs", "find", "zebra") == (0, "", "runs: no run contains 'zebra'\n")


def test_a_condition_lists_runs_and_sizes_count_their_files(dlcli: Callable[..., Called]) -> None:
    condition = "accuracy >= 0.7 and train.batch_size < 32"
    assert names(dlcli("runs", "list", "--where", condition, "--json")[1]) == ["r2", "r1"]
    Path("runs/r0/deep").mkdir()
    Path("runs/r0/deep/file").write_bytes(bytes(3 * 2**20))
    Path("runs/r0/link").symlink_to("/")
    line = dlcli("runs", "list", "--sizes", "--where", "name = r0")[1].splitlines()[1]
    assert line.endswith(" 3.0")
    out, err = dlcli("runs", "list", "--where", "accuracy > 1")[1:]
    assert (out, err) == ("", "runs: no runs found for which the condition of --where holds\n")


def test_all_but_the_best_are_removed_and_what_cannot_be_ranked_is_kept(
    dlcli: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    status, _, err = dlcli("runs", "remove", "--keep-best", "2")
    assert (status, len(list(Path("runs").iterdir()))) == (2, 5)
    assert "cannot ask for confirmation" in err
    used = RunDir(Path("runs/r0"))
    used.lock()
    status, _, err = dlcli("runs", "remove", "--keep-best", "2", "-y")
    used.unlock()
    assert status == 0
    assert "kept as the best: r1, r3" in err
    assert "kept, because they are not complete or lack the metric: r4" in err
    assert "another process is using this run" in err
    assert sorted(path.name for path in Path("runs").iterdir()) == ["r0", "r1", "r3", "r4"]
    dlcli("runs", "remove", "--keep-best", "1", "--metric", "loss", "--where", "name != r1", "-y")
    assert sorted(path.name for path in Path("runs").iterdir()) == ["r1", "r3", "r4"]
    dlcli("runs", "remove", "--where", "status = failed", "-y")
    assert sorted(path.name for path in Path("runs").iterdir()) == ["r1", "r3"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"task": "tagging"}, "the runs have different tasks: classification, tagging. Choose those of one"),
        ({"evaluated": "validation", "final": {"validation_accuracy": 1.0}}, "different evaluated splits: test, valid"),
    ],
)
def test_runs_whose_metrics_are_of_different_things_are_not_ranked(
    dlcli: Callable[..., Called], changes: dict[str, Any], error: str
) -> None:
    path = Path("runs/r0/run.json")
    replace_json(path, {**json.loads(path.read_text()), **changes})
    status, _, err = dlcli("runs", "remove", "--keep-best", "1", "--metric", "accuracy", "-y")
    assert status == 2
    assert error in err
    where = next(f"{key} = {value}" for key, value in changes.items() if key in ("task", "evaluated"))
    assert dlcli("runs", "remove", "--keep-best", "1", "--metric", "accuracy", "--where", where, "-y")[0] == 0
    assert len(list(Path("runs").iterdir())) == 5


def test_runs_with_different_headline_metrics_are_not_ranked(dlcli: Callable[..., Called]) -> None:
    info = json.loads(Path("runs/r0/run.json").read_text())
    replace_json(Path("runs/r0/run.json"), {**info, "task": "forecasting", "final": {"test_mae": 1.0}})
    status, _, err = dlcli("runs", "remove", "--keep-best", "1", "-y")
    assert status == 2
    assert "different headline metrics: test_accuracy, test_mae. Name one with --metric" in err
