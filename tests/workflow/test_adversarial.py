"""Adversarial training from end to end: exact resume, robustness, and results in tables."""

import json
from pathlib import Path

import processes  # type: ignore[import-not-found]
import pytest
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]

from dlcli.recipe.load import load
from dlcli.rundir.tables import read_csv

RECIPE = """\
task: classification
data: {kind: digits, image_size: [8, 8], limit: 600, validation: 0.1, test: 0.2}
augment: {width_shift_range: 0.05}
model:
  kind: convnet
  blocks: [{filters: 16, batch_norm: true}, {filters: 32, batch_norm: true, dropout: 0.1}]
train:
  epochs: 12
  batch_size: 32
  gradient_accumulation: 2
  optimizer: {kind: adam, learning_rate: 0.003}
  checkpoint: {steps: 5}
  adversarial: {attack: pgd, eps: 0.15, steps: 3, ratio: 0.6, validate_robustness: true}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe hardened.yaml."""
    folder: Path = tmp_path_factory.mktemp("adversarial")
    (folder / "hardened.yaml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def hardened(folder: Path) -> Path:
    """The folder with the completed run hardened."""
    processes.run("train", "hardened.yaml", folder=folder, prepare=processes.without_plots).expect(0)
    return folder


@pytest.mark.slow  # tests/training/test_loop.py resumes at every step, without processes
def test_a_killed_run_resumes_to_the_same_result(hardened: Path) -> None:
    folder = hardened
    processes.run("train", "hardened.yaml", "--name", "killed", folder=folder, prepare=processes.KillAtCheckpoint(20))
    processes.run("train", "--resume", "killed", folder=folder, prepare=processes.without_plots).expect(0)
    assert_same_but_name(folder / "runs" / "hardened", folder / "runs" / "killed")


@pytest.mark.slow  # tests/training/test_step.py checks the steps, the tests below what is recorded
def test_adversarial_training_makes_a_network_robust(hardened: Path) -> None:
    folder = hardened
    plain = ("-s", "train.adversarial=null", "--name", "plain")
    processes.run("train", "hardened.yaml", *plain, folder=folder, prepare=processes.without_plots).expect(0)
    robust = {}
    for name in ("plain", "hardened"):
        done = processes.run(
            *("attack", name, "--pgd", "--steps", 10, "--eps", "0.15", "--json"),
            folder=folder,
            prepare=processes.without_plots,
        ).expect(0)
        (row,) = json.loads(done.stdout)["rows"]
        robust[name] = row["robust_accuracy"]
        assert row["clean_accuracy"] > 0.8
    assert robust["hardened"] > robust["plain"] + 0.15
    rows = read_csv(folder / "runs" / "hardened" / "metrics.csv")
    assert all(0 <= float(row["val_robust_accuracy"]) <= float(row["val_accuracy"]) + 0.05 for row in rows[4:])
    assert "val_robust_accuracy" not in read_csv(folder / "runs" / "plain" / "metrics.csv")[0]
    compared = processes.run("runs", "diff", "plain", "hardened", folder=folder).expect(0).stdout
    assert "train.adversarial" in compared
    row = next(line for line in compared.splitlines() if line.startswith("pgd 0.15"))
    assert row.split()[2:] == [f"{robust[name]:.4f}" for name in ("plain", "hardened")]
    assert "pgd 0.15" in processes.run("runs", "show", "plain", folder=folder).expect(0).stdout


@pytest.mark.parametrize("keys", ["{attack: fgsm, eps: 0.1, label: predicted}", "{eps: 8/255, ratio: 1, steps: 2}"])
def test_other_attacks_and_epsilons(folder: Path, keys: str) -> None:
    options = ("-s", f"train.adversarial={keys}", "--epochs", 2, "--name", "other", "--limit", 60)
    processes.run("train", "hardened.yaml", *options, folder=folder, prepare=processes.without_plots).expect(0)


def test_the_best_checkpoint_by_robust_accuracy(folder: Path) -> None:
    options = ("-s", "train.best_metric=val_robust_accuracy", "--epochs", 2, "--name", "robust", "--limit", 60)
    processes.run("train", "hardened.yaml", *options, folder=folder, prepare=processes.without_plots).expect(0)
    assert json.loads((folder / "runs" / "robust" / "run.json").read_text())["best"]["metric"] == "val_robust_accuracy"
    rows = read_csv(folder / "runs" / "robust" / "metrics.csv")
    assert all(0 <= float(row["val_robust_accuracy"]) <= 1 for row in rows)


def test_on_a_frozen_front_the_pixels_are_attacked(folder: Path) -> None:
    stages = "stages: [{name: head, epochs: 2, trainable: head, augment: false}, {name: all, epochs: 1}]"
    (folder / "stages.yaml").write_text(RECIPE.replace("epochs: 12", stages))
    done = processes.run("train", "stages.yaml", "--limit", 60, folder=folder, prepare=processes.without_plots).expect(
        0
    )
    assert "features of" not in done.stderr


def test_label_true_is_read_as_a_word_not_as_a_boolean(tmp_path: Path) -> None:
    text = "task: classification\ndata: {kind: digits}\nmodel: {kind: lenet5}\n"
    text += "train: {adversarial: {eps: 0.1, label: true}}\n"
    (tmp_path / "x.yaml").write_text(text)
    adversarial = load(tmp_path / "x.yaml").recipe.train.adversarial
    assert adversarial is not None
    assert adversarial.label == "true"


def test_robust_accuracy_needs_a_validation_split(tmp_path: Path) -> None:
    text = (
        "task: classification\ndata: {kind: digits, validation: 0}\nmodel: {kind: mlp}\n"
        "train: {adversarial: {eps: 0.1, validate_robustness: true}}\n"
    )
    (tmp_path / "x.yaml").write_text(text)
    refused = processes.run("train", "x.yaml", folder=tmp_path).expect(2)
    assert refused.stderr.splitlines()[-1] == (
        "x.yaml:4:54: train.adversarial.validate_robustness: needs a validation split; set data.validation above 0"
    )
