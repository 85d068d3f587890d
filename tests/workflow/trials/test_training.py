"""Trials train in worker processes: the same in every process, and on train and validation alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from dlcli.workflow.trials.tasks import do_task

RECIPE: dict[str, Any] = {
    "task": "classification",
    "data": {"kind": "digits", "validation": 0.1, "test": 0.2, "limit": 100},
    "model": {"kind": "mlp", "units": [8]},
    "train": {"epochs": 2, "seed": 1},
}


def task(folder: Path, *, kind: str = "trial", model: Any = None, **more: Any) -> dict[str, Any]:
    recipe = {**RECIPE, **({} if model is None else {"model": model})}
    common = {"kind": kind, "device": "cpu", "recipe": recipe, "path": "recipe.yaml", "runs": str(folder)}
    return {**common, "folder": str(folder), "limits": {}, **more}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("trial")
    return folder, do_task(task(folder))


def test_a_trial_has_metrics_of_train_and_validation_and_leaves_nothing(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, outcome = trained
    assert outcome["status"] == "complete"
    names = {f"{split}_{name}" for split in ("train", "val") for name in ("loss", "accuracy")}
    assert set(outcome["metrics"]) == names | {"epoch", "epochs"}
    assert outcome["cost"] == {"parameters": 64 * 8 + 8 + 8 * 10 + 10, "multiply_adds": 64 * 8 + 8 * 10}
    assert not list(folder.iterdir())
    json.dumps(outcome, allow_nan=False)


def test_the_same_trial_again_has_the_same_metrics(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    again = do_task(task(tmp_path, limits={"parameters": 1000}))
    assert again["metrics"] == trained[1]["metrics"]


def test_a_network_over_a_limit_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    outcome = do_task(task(tmp_path, limits={"parameters": 1e6, "multiply_adds": 500}))
    assert (outcome["status"], outcome["metrics"]) == ("refused", {})
    assert outcome["error"] == "has 592 multiply-adds, more than the limit of 500"
    assert outcome["cost"]["multiply_adds"] == 592


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ({"kind": "mlp", "units": [0]}, "model.units.0: expected a whole number > 0. Received 0."),
        ({"kind": "mlp", "units": [10**9, 10**9]}, "this machine has"),
    ],
)
def test_a_trial_that_cannot_be_trained_is_a_failure(model: Any, error: str, tmp_path: Path) -> None:
    outcome = do_task(task(tmp_path, model=model))
    assert outcome["status"] == "failed"
    assert error in outcome["error"]


def test_a_check_describes_data_and_metrics(tmp_path: Path) -> None:
    outcome = do_task(task(tmp_path, kind="check"))
    assert set(outcome["splits"]) == {"train", "validation", "test"}
    assert "val_accuracy" in outcome["columns"]


@pytest.mark.slow
def test_a_run_is_evaluated_on_validation_until_its_test_is_asked_for(tmp_path: Path) -> None:
    outcome = do_task(task(tmp_path, kind="run", name="final"))
    assert outcome["status"] == "complete", outcome["error"]
    run = tmp_path / "final"
    assert (run / "model.keras").exists()
    assert [path.name for path in (run / "evaluation").iterdir()] == ["validation"]
    assert outcome["metrics"]["validation_accuracy"] == outcome["metrics"]["val_accuracy"]
    again = do_task(task(tmp_path, kind="run", name="final"))
    assert again["metrics"] == outcome["metrics"]
    assert 0 <= do_task({"kind": "test", "device": "cpu", "run": str(run)})["metrics"]["accuracy"] <= 1
