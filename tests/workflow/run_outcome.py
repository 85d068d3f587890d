"""Recipes that train in a moment, and everything in a run that must not depend on interruptions."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dlcli.rundir.tables import read_csv

TINY = """\
task: classification
data: {kind: digits, image_size: [12, 12], limit: 60}
model:
  kind: convnet
  blocks: [{filters: 4, kernel_size: 3, batch_norm: true}]
  dense: [16]
  dropout: 0.2
train:
  epochs: 2
  batch_size: 16
  optimizer: {kind: adam, learning_rate: 1e-2}
"""

# Everything that has a state is on. Early stopping ends it after epoch 11: no loss falls by 1 in 8 epochs here.
EVERYTHING = """\
task: classification
data: {kind: digits, image_size: [8, 8], limit: 40, validation: 0.2, test: 0.2}
model:
  kind: convnet
  blocks: [{filters: 4, kernel_size: 3, batch_norm: true, dropout: 0.1}]
  dense: [16]
  dropout: 0.2
train:
  batch_size: 9
  optimizer: {kind: adamw, learning_rate: 0.03}
  schedule: {kind: cosine, warmup_epochs: 1, final: 0.1}
  early_stopping: {metric: val_loss, patience: 8, min_delta: 1.0}
  best_metric: val_accuracy
  gradient_clipping: {kind: global_norm, value: 1.0}
  ema: 0.7
  label_smoothing: 0.1
  class_weights: balanced
  checkpoint: {steps: 3}
  stages:
    - {name: head, epochs: 2, trainable: head, learning_rate: 0.01}
    - {name: all, epochs: 14}
"""
EVERYTHING_EPOCHS = 11


def rows(run: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv without the seconds."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in read_csv(run / "metrics.csv")]


def outcome(run: Path) -> dict[str, Any]:
    """The contents of a run by name: rows, arrays of both checkpoints and of model.keras, texts, results."""
    info = json.loads((run / "run.json").read_text())
    return {
        "rows": rows(run),
        **{key: info[key] for key in ("status", "seed", "best", "final", "data", "config", "parameters")},
        **_checkpoints(run),
        **_model(run / "model.keras"),
        **{
            str(path.relative_to(run)): path.read_bytes()
            for pattern in ("*.yaml", "labels.json", "split.csv", "model.txt", "evaluation/**/*.csv")
            for path in run.glob(pattern)
        },
        **{str(path.relative_to(run)): _metrics(path) for path in run.glob("evaluation/*/metrics.json")},
    }


def _metrics(path: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(path.read_text())
    del metrics["evaluated"], metrics["environment"]  # when and where
    return metrics


def _checkpoints(run: Path) -> dict[str, Any]:
    names = json.loads((run / "checkpoints.json").read_text())
    assert set(names) == {"last", "best"}
    manifests = [json.loads((run / "checkpoints" / name / "manifest.json").read_text()) for name in names.values()]
    frozen = {manifest["frozen"] for manifest in manifests if "frozen" in manifest}
    assert {path.name for path in (run / "checkpoints").iterdir()} == set(names.values()) | frozen  # and none left over
    found: dict[str, Any] = {"checkpoints": names}
    for which, name in names.items():
        folder = run / "checkpoints" / name
        state = json.loads((folder / "state.json").read_text())
        del state["seconds"]
        found[f"{which} state"] = state
        with np.load(folder / "variables.npz") as arrays:
            found |= {f"{which} {key}": arrays[key] for key in arrays.files}
    return found


def _model(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def note(name: str, member: Any) -> None:
        if isinstance(member, h5py.Dataset):
            found[f"model.keras {name}"] = member[()]

    with zipfile.ZipFile(path) as archive:
        found["model.keras config"] = json.loads(archive.read("config.json"), object_hook=_without_addresses)
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            weights.visititems(note)
    return found


def _without_addresses(part: dict[str, Any]) -> dict[str, Any]:
    # Keras numbers shared parts of a model by where they lay in memory
    return {key: value for key, value in part.items() if key != "shared_object_id"}


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Asserts that two outcomes are equal bit for bit, naming what differs."""
    assert one.keys() == other.keys()
    assert sum(isinstance(value, np.ndarray) for value in one.values()) > 20
    differing = [key for key, value in one.items() if not _equal(value, other[key])]
    assert not differing, f"{differing}: {one[differing[0]]!s:.1000} and {other[differing[0]]!s:.1000}"


def assert_same_but_name(one: Path, other: Path) -> None:
    """Asserts that two runs of one recipe, under different names or in different folders, are equal bit for bit."""
    outcomes = [outcome(run) for run in (one, other)]
    for found in outcomes:
        del found["config"], found["config.yaml"]  # these hold the name and the folder
    assert_same(*outcomes)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return bool(one == other)


def leftovers(run: Path) -> list[Path]:
    """Temporary files in a run."""
    return [path for path in run.rglob("*") if path.name.startswith(".")]
