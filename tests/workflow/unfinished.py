"""Runs that are not complete, made of complete ones, and what must hold for those of every task."""

import json
import shutil
from pathlib import Path

import numpy as np

import dlcli.tasks.dispatch  # noqa: F401 - registers the layers of all tasks, as commands do
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.writing import replace_json
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_keras_file
from dlcli.tasks.run_models import load_model


def unfinished(run: Path, folder: Path) -> Path:
    """A copy of a completed run as it was after its last epoch, before its best model was saved: ``runs/NAME`` in the
    folder."""
    copy = Path(shutil.copytree(run, folder / "runs" / run.name))
    (copy / "model.keras").unlink()
    shutil.rmtree(copy / "evaluation")
    replace_json(copy / "run.json", {**json.loads((copy / "run.json").read_text()), "status": "interrupted"})
    return copy


def assert_usable(run: Path, folder: Path) -> None:
    """A run that is not complete is used by its best checkpoint, which is what model.keras will be."""
    best = load_model(RunDir(unfinished(run, folder)), Console(quiet=True))
    assert best.epoch == read_json(run / "run.json")["best"]["epoch"]
    expected = load_keras_file(run / "model.keras")
    assert [layer.name for layer in best.model.layers] == [layer.name for layer in expected.layers]
    for weight, other in zip(best.model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)
