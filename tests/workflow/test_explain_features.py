"""``dlcli explain --features`` from end to end: files, agreement with the saved model, and refused input."""

import hashlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from processes import run_without_plots as run  # type: ignore[import-not-found]

from dlcli.rundir.tables import read_csv

OLD = Path(__file__).parent / "old_runs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(OLD / "digits", tmp_path / "runs" / "digits")
    return tmp_path


def test_the_patches_are_those_with_the_largest_activations_of_the_saved_model(folder: Path) -> None:
    before = (folder / "runs" / "digits" / "model.keras").read_bytes()
    done = processes.run("explain", "digits", "--features", "stage1", "--filters", "1,3", folder=folder).expect(0)
    made = folder / "runs" / "digits" / "explanations" / "features-stage1"
    assert sorted(path.name for path in made.iterdir()) == [
        *("explanation.json", "explanations.csv", "filters.csv", "first_layer.png", "stage1.npz", "stage1.png")
    ]
    assert "2 filters of stage1 in " in done.stderr
    rows = read_csv(made / "explanations.csv")
    assert [(row["filter"], row["rank"]) for row in rows] == [(f, str(r)) for f in "13" for r in range(1, 10)]
    assert len({row["file"] for row in rows[:9]}) == 9
    model = keras.saving.load_model(folder / "runs" / "digits" / "model.keras")
    maps_of = keras.Model(model.inputs[0], model.get_layer("stage1").output)
    with np.load(made / "stage1.npz") as arrays:
        patches, projections = arrays["patches"], arrays["projections"]
    assert patches.shape == projections.shape
    assert patches.shape[:2] == (2, 9)
    assert (np.isnan(patches) == np.isnan(projections)).all()
    height, width = (int(rows[0][name]) for name in ("height", "width"))
    assert patches.shape[2:4] == (height, width)
    for row, patch in zip(rows[:9], patches[0], strict=True):  # a patch alone excites the filter as much
        top, left = int(row["top"]), int(row["left"])
        pixels = np.zeros((1, 12, 12, 1), np.float32)
        rows_, columns = np.nonzero(~np.isnan(patch[..., 0]))
        pixels[0, rows_ + top, columns + left] = patch[rows_, columns]
        value = np.asarray(maps_of(pixels, training=False))[0, int(row["row"]), int(row["column"]), 1]
        assert float(row["activation"]) == pytest.approx(value, rel=1e-4)
    assert (folder / "runs" / "digits" / "model.keras").read_bytes() == before


def test_all_stages_with_images_that_maximize(folder: Path) -> None:
    arguments = ("--features", "all", "--maximize", "--filters", "0,2", "--limit", 12, "--json")
    result = json.loads(processes.run("explain", "digits", *arguments, folder=folder).expect(0).stdout)
    made = folder / result["folder"]
    assert list(result["settings"]["features"]) == ["stage1"]
    assert result["samples"] == 12
    for row in read_csv(made / "filters.csv"):
        assert float(row["maximized"]) > max(float(row["largest"]), float(row["random_image"]))
        assert 0 <= float(row["active_share"]) <= 1
    with np.load(made / "stage1.npz") as arrays:
        assert arrays["maximized"].shape == (2, 12, 12, 1)
    with Image.open(folder / "runs" / "digits" / "plots" / "hierarchy.png") as image:
        assert image.size[0] > 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--features", "stag1"], "--features stag1: the network has no such layer; did you mean 'stage1'?"),
        (["--features", "stage1", "--filters", "0,99"], "--filters 99: layer 'stage1' has filters 0 to "),
        (["--features", "logits"], "layer 'logits' has no feature maps height x width x channels."),
        (["--features", "stage1", "--filters", "0;1"], "--filters: expected whole numbers separated by commas"),
        (["--features", "stage1", "--method", "gradient"], "--method explains outputs and cannot be combined with"),
        (["--features", "stage1", "--check"], "--check explains outputs and cannot be combined with --features."),
        (["--maximize"], "--maximize is for --features."),
        (["--filters", "1"], "--filters is for --features."),
    ],
)
def test_refused_options(folder: Path, options: list[str], message: str) -> None:
    refused = run("explain", "digits", *options, folder=folder, status=2)
    assert message in refused.stderr
    assert not (folder / "runs" / "digits" / "explanations").exists()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_networks_without_relus_are_refused(folder: Path) -> None:
    path = folder / "runs" / "digits" / "model.keras"
    before = sha256(path)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 1))
    x = keras.layers.Conv2D(3, 3, activation="gelu", name="stage1")(inputs)
    x = keras.layers.Dense(10, name="logits")(keras.layers.Flatten()(x))
    keras.Model(inputs, keras.layers.Activation("softmax", name="probabilities")(x)).save(path)
    info = folder / "runs" / "digits" / "run.json"
    info.write_text(info.read_text().replace(before, sha256(path)))
    refused = run("explain", "digits", "--features", "stage1", folder=folder, status=2)
    assert "model.keras: has no ReLU up to layer 'stage1'" in refused.stderr
