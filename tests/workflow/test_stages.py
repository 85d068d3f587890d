"""Training in stages from pretrained weights: what is frozen stays, features are computed once, resuming is exact."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from processes import run_without_plots as run
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]

from dlcli.recipe.sections.image_model import Vgg
from dlcli.rundir.tables import read_csv
from dlcli.tasks.images.network import build_classifier

SIDE = 32
RECIPE = """\
task: classification
data: {kind: folder, path: photos, image_size: [32, 32], validation: 0.25, test: 0.0}
augment: {horizontal_flip: true, rotation_range: 20}
model:
  kind: vgg
  depth: 11
  width: 0.05
  batch_norm: true
  head: average
  dropout: 0.2
  l2: 0.01
  weights: base.weights.h5
train:
  batch_size: 9
  optimizer: {kind: adam, learning_rate: 0.003}
  schedule: {kind: cosine}
  checkpoint: {steps: 2}
  stages:
    - {name: head, epochs: 3, trainable: head, augment: false}
    - {name: tune, epochs: 2, trainable: last_stage, learning_rate: 1e-3, rate_decay: 0.5}
"""
ONE_EPOCH = ("-s", "train.stages=[{name: head, epochs: 1, trainable: head, augment: false}]")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the layers before the head, none of them an initial one."""
    keras.utils.set_random_seed(3)
    section = Vgg(kind="vgg", depth=11, width=0.05, batch_norm=True, head="average")
    model = build_classifier(section, shape=(SIDE, SIDE, 3), num_classes=2).features
    rng = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma + 0.1, beta, mean + rng.normal(0, 0.1, mean.shape), variance * 1.5])
    path: Path = tmp_path_factory.mktemp("base") / "base.weights.h5"
    model.save_weights(path)
    return path


def make_folder(folder: Path, base: Path) -> None:
    """A user's folder: photos of two classes, weights, the recipe."""
    rng = np.random.default_rng(0)
    for name, shade in (("dark", 60), ("light", 190)):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(rng.normal(shade, 40, (26, 30, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i}.png")
    shutil.copy(base, folder / "base.weights.h5")
    (folder / "transfer.yaml").write_text(RECIPE)


@pytest.fixture
def folder(tmp_path: Path, base: Path) -> Path:
    make_folder(tmp_path, base)
    return tmp_path


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    folder: Path = tmp_path_factory.mktemp("never_stopped")
    make_folder(folder, base)
    run("train", "transfer.yaml", folder=folder)
    return folder / "runs" / "transfer"


def weights_of(model: Path) -> dict[str, np.ndarray]:
    """The arrays of a .keras file by layer and weight, in Keras's own loading."""
    return {weight.path: weight.numpy() for weight in keras.saving.load_model(model).weights}


def pretrained(base: Path) -> dict[str, np.ndarray]:
    """The arrays of the file of weights, by the paths that they have in the network."""
    kinds = {4: ("gamma", "beta", "moving_mean", "moving_variance"), 1: ("kernel",)}
    found: dict[str, np.ndarray] = {}

    def note(name: str, item: Any) -> None:
        if name.endswith("/vars") and len(item):
            layer = item.attrs["name"]
            found.update({f"{layer}/{kind}": item[str(i)][()] for i, kind in enumerate(kinds[len(item)])})

    with h5py.File(base) as file:
        file.visititems(note)
    assert len(found) == 8 * 5
    return found


# What is trained, and what is not -------------------------------------------------------------------------------------


def test_metrics_csv_holds_both_stages(never_stopped: Path) -> None:
    rows = read_csv(never_stopped / "metrics.csv")
    assert [row["stage"] for row in rows] == ["head"] * 3 + ["tune"] * 2
    info = json.loads((never_stopped / "run.json").read_text())
    assert [stage["name"] for stage in info["stages"]] == ["head", "tune"]
    assert info["best"]["epoch"] == info["stages"][1]["epoch"]


def test_the_last_stage_changes_its_kernels_alone(never_stopped: Path, base: Path) -> None:
    before, after = pretrained(base), weights_of(never_stopped / "model.keras")
    changed = [path for path, array in before.items() if not np.array_equal(array, after[path])]
    assert changed == ["stage5_conv1/kernel", "stage5_conv2/kernel"]  # nothing of batch normalization


def test_the_first_stage_changes_the_head_alone(folder: Path, base: Path) -> None:
    run("train", "transfer.yaml", "-s", "train.stages=[{name: head, epochs: 2, trainable: head}]", folder=folder)
    after = weights_of(folder / "runs" / "transfer" / "model.keras")
    for path, array in pretrained(base).items():
        np.testing.assert_array_equal(after[path], array)
    assert not (folder / "runs" / ".features").exists()  # images are augmented here: nothing to keep


# Features -------------------------------------------------------------------------------------------------------------


def said(done: Any) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("features of")]


@pytest.mark.slow
def test_features_are_computed_once_and_again_after_a_change(folder: Path) -> None:
    def kinds(*more: object) -> list[str]:
        lines = said(run("train", "transfer.yaml", *ONE_EPOCH, *more, folder=folder))
        assert len(lines) == 2
        return ["computed" if "computed in" in line else "read" for line in lines]

    assert kinds() == ["computed", "computed"]
    assert kinds("-s", "model.dropout=0.5", "-s", "train.seed=4") == ["read", "read"]  # the head's affair
    with h5py.File(folder / "base.weights.h5", "r+") as file:
        found: list[h5py.Dataset] = []
        file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
        found[0][...] = found[0][...] + 0.25
    assert kinds() == ["computed", "computed"]
    train = next(row["file"] for row in read_csv(folder / "runs" / "transfer" / "split.csv") if row["split"] == "train")
    Image.fromarray(np.full((26, 30, 3), 9, np.uint8)).save(folder / "photos" / train)
    assert sorted(kinds()) == ["computed", "read"]


def test_corrupt_features_are_computed_again(folder: Path) -> None:
    run("train", "transfer.yaml", *ONE_EPOCH, folder=folder)
    files = sorted((folder / "runs" / ".features").glob("*.npy"))
    content = bytearray(files[0].read_bytes())
    content[-5] ^= 1
    files[0].write_bytes(bytes(content))
    files[1].with_suffix(".json").write_text("{")
    assert all("computed in" in line for line in said(run("train", "transfer.yaml", *ONE_EPOCH, folder=folder)))
    assert files[0].read_bytes() != bytes(content)


# Resuming -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KillAfterKey:
    """Draws no plots and kills the process when it has the key of the second split's features."""

    def __call__(self) -> None:
        processes.without_plots()
        processes.KillAtCall(("dlcli.tasks.images.feature_cache.key_of",), 2, after=True)()


@pytest.mark.parametrize(
    "call", [9, *(pytest.param(call, marks=pytest.mark.slow) for call in (1, 2, 3, 5, 6, 7, 8, 10))]
)
def test_a_killed_run_resumes_to_the_same_result(folder: Path, never_stopped: Path, call: int) -> None:
    killed = processes.run("train", "transfer.yaml", folder=folder, prepare=processes.KillAtCheckpoint(call))
    assert killed.status == -9
    run("train", "--resume", "transfer", folder=folder)
    assert_same_but_name(never_stopped, folder / "runs" / "transfer")


@pytest.mark.slow
def test_killed_while_features_are_written(folder: Path, never_stopped: Path) -> None:
    killed = processes.run("train", "transfer.yaml", folder=folder, prepare=KillAfterKey())
    assert killed.status == -9
    run("train", "--resume", "transfer", folder=folder)
    rows = [read_csv(path / "metrics.csv")[-1]["val_loss"] for path in (folder / "runs" / "transfer", never_stopped)]
    assert rows[0] == rows[1]


@pytest.mark.slow
def test_resuming_needs_no_weights_file(folder: Path, never_stopped: Path) -> None:
    killed = processes.run("train", "transfer.yaml", folder=folder, prepare=processes.KillAtCheckpoint(4))
    assert killed.status == -9
    (folder / "base.weights.h5").unlink()
    shutil.rmtree(folder / "runs" / ".features")
    run("train", "--resume", "transfer", folder=folder)
    rows = [read_csv(path / "metrics.csv")[-1]["val_loss"] for path in (folder / "runs" / "transfer", never_stopped)]
    assert rows[0] == rows[1]
