"""Networks of searched cells from end to end: drop path and an auxiliary classifier, exact resume, what is saved."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from processes import run_without_plots as run  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]

RECIPE = """\
task: classification
data: {kind: digits, image_size: [10, 10], limit: 120}
model:
  kind: cells
  genotype:
    normal: {states: [[conv1(s0), identity(s1)], [max2(s2)]], concatenate: [s1, s3]}
    reduction: {states: [[sep3(s0), max3(s1)]], concatenate: [s2]}
  repeats: 1
  filters: 2
  drop_path: 0.5
  auxiliary: 0.4
train: {epochs: 2, batch_size: 40, gradient_accumulation: 2, checkpoint: {steps: 1}}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells")
    (folder / "cells.yaml").write_text(RECIPE)
    run("train", "cells.yaml", folder=folder)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "work"))


def test_a_killed_run_resumes_to_the_same_result(folder: Path) -> None:
    processes.run("train", "cells.yaml", "--name", "killed", folder=folder, prepare=processes.KillAtCheckpoint(3))
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "cells", folder / "runs" / "killed")


def test_the_saved_model_is_of_keras_alone(trained: Path) -> None:
    model = keras.models.load_model(trained / "runs" / "cells" / "model.keras", compile=False)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    assert not any("auxiliary" in layer.name for layer in model.layers)
    assert np.asarray(model(np.zeros((2, 10, 10, 1)))).shape == (2, 10)
    assert json.loads((trained / "runs" / "cells" / "run.json").read_text())["custom_layers"] == []


def test_another_network_starts_from_its_weights(folder: Path) -> None:
    plain = RECIPE.replace("  drop_path: 0.5\n  auxiliary: 0.4\n", "  weights: run:cells\n")
    (folder / "next.yaml").write_text(plain)
    run("train", "next.yaml", "-s", "train.epochs=1", folder=folder)
