"""Verbs on a run that is not complete: they take its best checkpoint and name its epoch."""

import json
import shutil
from pathlib import Path

import pytest
from processes import run_without_plots as run  # type: ignore[import-not-found]
from unfinished import assert_usable, unfinished  # type: ignore[import-not-found]

from dlcli.rundir.reading import read_json
from dlcli.rundir.writing import replace_json


def test_with_frozen_layers_and_averaged_weights(never_stopped: Path, tmp_path: Path) -> None:
    assert_usable(never_stopped, tmp_path)


def test_evaluate_predict_attack_and_summary(trained: Path, tmp_path: Path) -> None:
    info = read_json(trained / "run.json")
    copy, epoch = unfinished(trained, tmp_path), info["best"]["epoch"]
    before = (copy / "run.json").read_bytes()
    line = f"warning: run runs/tiny was interrupted: this is its best model so far, of epoch {epoch}\n"
    done = run("evaluate", "tiny", "--json", "-q", folder=tmp_path)
    assert done.stderr == line
    result = json.loads(done.stdout)
    assert (result["epoch"], result["trained_on"]) == (epoch, 0)
    assert result["loss"] == pytest.approx(info["final"]["test_loss"], rel=1e-6)
    assert read_json(copy / "evaluation" / "test" / "metrics.json")["epoch"] == epoch
    predictions = copy / "evaluation" / "test" / "predictions.csv"
    assert predictions.read_bytes() == (trained / "evaluation" / "test" / "predictions.csv").read_bytes()
    assert line in run("attack", "tiny", "--fgsm", "--eps", "0.1", "--no-checks", folder=tmp_path).stderr
    source = read_json(copy / "attacks" / "fgsm" / "attack.json")
    assert "checkpoints/" in json.dumps(source)
    assert "logits" in run("summary", "tiny", folder=tmp_path).stdout
    assert (copy / "run.json").read_bytes() == before


def test_what_an_unfinished_run_needs(trained: Path, tmp_path: Path) -> None:
    copy = unfinished(trained, tmp_path)
    description = read_json(copy / "network.json")
    replace_json(copy / "network.json", {**description, "weights": description["weights"][1:]})
    assert "network.json: is corrupt" in run("evaluate", "tiny", folder=tmp_path, status=2).stderr
    replace_json(copy / "network.json", description)
    variables = next((copy / "checkpoints").rglob("variables.npz"))
    for checkpoint in (copy / "checkpoints").iterdir():
        (checkpoint / "variables.npz").write_bytes(variables.read_bytes()[:-1])
    assert "its SHA-256 is not the one in manifest.json" in run("evaluate", "tiny", folder=tmp_path, status=2).stderr
    shutil.rmtree(copy / "checkpoints")
    (copy / "checkpoints.json").unlink()
    refused = run("evaluate", "tiny", folder=tmp_path, status=2).stderr
    assert refused == (
        "runs/tiny: has no model.keras yet. Complete the training with: dlcli train --resume runs/tiny\n"
    )
