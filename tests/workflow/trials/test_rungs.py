"""Trials that pause are trained exactly as if they had never paused; means over seeds are means."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.workflow.trials.tasks import do_task

RECIPE: dict[str, Any] = {
    "task": "classification",
    "data": {"kind": "digits", "validation": 0.1, "limit": 60},
    "model": {"kind": "mlp", "units": [8], "dropout": 0.3},
    "train": {
        "epochs": 5,
        "seed": 1,
        "batch_size": 16,
        "schedule": {"kind": "cosine"},
        "early_stopping": {"patience": 4},
        "best_metric": "val_accuracy",
    },
}


def do(folder: Path, kind: str, **more: Any) -> dict[str, Any]:
    common = {"kind": kind, "device": "cpu", "recipe": RECIPE, "path": "recipe.yaml", "runs": str(folder.parent)}
    outcome = do_task({**common, "folder": str(folder), "limits": {}, **more})
    json.dumps(outcome, allow_nan=False)
    return outcome


@pytest.mark.slow
def test_a_paused_trial_ends_as_a_whole_one(tmp_path: Path) -> None:
    changes = {"train.optimizer.learning_rate": 0.01}
    parts = [do(tmp_path / "paused", "rung", until=until, changes=changes)["metrics"] for until in (2, 5)]
    whole = do(tmp_path, "trial", changes=changes)["metrics"]
    assert [part["epochs"] for part in parts] == [2, 5]
    assert parts[0]["val_accuracy"] <= parts[1]["val_accuracy"]  # of the best epoch so far
    assert parts[1] == pytest.approx(whole, rel=1e-7)  # which metrics.csv has with nine digits


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_that_counts(tmp_path: Path) -> None:
    do(tmp_path / "paused", "rung", until=1)
    shutil.copytree(tmp_path / "paused", tmp_path / "copy")
    whole = do(tmp_path / "paused", "rung", until=5)
    do(tmp_path / "copy", "rung", until=3)  # of which the log has no record
    assert do(tmp_path / "copy", "rung", until=5)["metrics"] == whole["metrics"]
    assert do(tmp_path / "whole", "rung", until=5)["metrics"] == whole["metrics"]


@pytest.mark.slow
def test_several_seeds_are_averaged(tmp_path: Path) -> None:
    found = do(tmp_path, "seeds", seeds=[1, 2, 3], objective="val_accuracy", changes={})
    single = [do(tmp_path, "trial", changes={"train.seed": seed})["metrics"] for seed in (1, 2, 3)]
    for name in ("val_accuracy", "train_loss"):
        assert found["metrics"][name] == pytest.approx(np.mean([metrics[name] for metrics in single]))
    spread = np.std([metrics["val_accuracy"] for metrics in single], ddof=1)
    assert found["metrics"]["spread"] == pytest.approx(spread)
    assert found["metrics"]["epochs"] == 15
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


def test_changes_are_checked_as_settings(tmp_path: Path) -> None:
    outcome = do(tmp_path, "rung", until=1, changes={"model.dropout": 2, "model.units": [8, "x"]})
    assert outcome["status"] == "failed"
    assert outcome["error"].splitlines() == [
        "model.dropout=2: model.dropout: expected a number in [0, 1). Received 2.",
        "model.units=[8, x]: model.units.1: expected a whole number > 0. Received 'x'.",
    ]
