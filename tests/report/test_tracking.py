"""What is sent to an experiment tracker, and that one that fails is reported once and stops nothing."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from dlcli.report.tracking import Tracking

ROW = {"epoch": 2, "stage": "train", "step": 40, "train_loss": 0.5, "val_loss": 0.75}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a tracker with the interface of Weights & Biases gets."""
    calls: list[Any] = []

    class Run:
        id = "abc"

        def log(self, values: Any, *, step: int) -> None:
            if "bad" in values:
                raise OSError("no network")
            calls.append((values, step))

        def save(self, path: str, **keys: Any) -> None:
            calls.append(Path(path).name)

        def finish(self, *, exit_code: int) -> None:
            calls.append(exit_code)

    def init(**keys: Any) -> Run:
        calls.append(keys)
        return Run()

    module = types.ModuleType("wandb")
    module.init = init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return calls


def test_recipe_metrics_and_files_are_sent(sent: list[Any], tmp_path: Path) -> None:
    warnings: list[str] = []
    tracking = Tracking("wandb", warnings.append)
    config = {"task": "classification", "train": {"epochs": 3, "stages": ()}, "augment": None}
    assert tracking.start("digits", config, folder=tmp_path, known=None) == "abc"
    tracking.epoch(ROW)
    (tmp_path / "a.png").touch()
    tracking.finish({"test_accuracy": 0.5, "name": "x"}, [tmp_path / "a.png", tmp_path / "none"], epoch=2)
    tracking.stop()
    opened, epoch, final, *rest = sent
    assert opened["config"] == {"task": "classification", "train.epochs": "3", "train.stages": "()"}
    assert (opened["project"], opened["name"]) == ("dlcli", "digits")
    assert epoch == ({"step": 40.0, "train_loss": 0.5, "val_loss": 0.75}, 2)
    assert final == ({"test_accuracy": 0.5}, 2)
    assert rest == ["a.png", 0]
    assert not warnings


def test_a_run_that_is_resumed_and_stopped(sent: list[Any], tmp_path: Path) -> None:
    tracking = Tracking("wandb", print)
    tracking.start("digits", {}, folder=tmp_path, known="abc")
    tracking.stop()
    assert (sent[0]["id"], sent[0]["resume"], sent[1]) == ("abc", "allow", 1)


def test_a_failure_is_reported_once(sent: list[Any], tmp_path: Path) -> None:
    warnings: list[str] = []
    tracking = Tracking("wandb", warnings.append)
    tracking.start("digits", {}, folder=tmp_path, known=None)
    tracking.epoch({**ROW, "bad": 1})
    tracking.epoch(ROW)
    tracking.finish({}, [], epoch=2)
    assert warnings == ["train.track: wandb failed (no network); nothing more is sent to it"]
    assert len(sent) == 1


def test_a_tracker_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    warnings: list[str] = []
    tracking = Tracking("mlflow", warnings.append)
    assert tracking.start("digits", {}, folder=tmp_path, known=None) is None
    tracking.epoch(ROW)
    assert warnings == [
        "train.track: mlflow is not installed, so that nothing is sent to it. Install it with: pip install "
        "'dlcli[mlflow]'"
    ]
    assert Tracking(None, warnings.append).start("digits", {}, folder=tmp_path, known=None) is None
