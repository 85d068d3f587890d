"""The copy tasks from end to end."""

import json
from pathlib import Path

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from processes import run_without_plots as run  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]
from unfinished import assert_usable  # type: ignore[import-not-found]

from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv

RECIPE = """\
task: step_prediction
data: {kind: copy, lengths: [1, 3], bits: 3, num_samples: 320}
model: {kind: ntm, controller: dense, units: 8, memory: [6, 4], dropout: 0.1}
train:
  epochs: 3
  batch_size: 16
  optimizer: {kind: adam, learning_rate: 0.01}
  gradient_clipping: {kind: global_norm, value: 10}
  checkpoint: {steps: 7}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed run copy."""
    folder: Path = tmp_path_factory.mktemp("copy")
    (folder / "copy.yaml").write_text(RECIPE)
    processes.run("train", "copy.yaml", folder=folder).expect(0)
    return folder


def test_a_run_learns_and_reports_each_length(made: Path) -> None:
    path = made / "runs" / "copy"
    info, rows = read_json(path / "run.json"), read_csv(path / "metrics.csv")
    assert float(rows[-1]["train_bits_wrong"]) < float(rows[0]["train_bits_wrong"])
    assert info["custom_layers"] == ["NtmCell"]
    table = read_csv(path / "evaluation" / "test" / "by_length.csv")
    assert [(row["length"], row["bits"]) for row in table] == [("3", "9"), ("6", "18")]
    assert info["final"]["test_bits_wrong_at_6"] == pytest.approx(float(table[1]["bits_wrong"]))
    assert info["final"]["test_bits_wrong_at_3"] < 9 / 2
    assert (path / "plots" / "predictions.png").exists()


@pytest.mark.slow  # tests/training/test_loop.py resumes at every step, without processes
def test_a_killed_run_resumes_to_the_same_result(folder: Path) -> None:
    kill = processes.KillAtCheckpoint(5)
    processes.run("train", "copy.yaml", "--name", "killed", folder=folder, prepare=kill)
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "copy", folder / "runs" / "killed")


def test_evaluate_gives_the_test_results_of_training(folder: Path) -> None:
    found = json.loads(run("evaluate", "copy", "--json", folder=folder).stdout)
    final = read_json(folder / "runs" / "copy" / "run.json")["final"]
    assert found["bits_wrong"] == pytest.approx(final["test_bits_wrong"], rel=1e-6)
    recipe, done = (run("summary", source, "--csv", folder=folder).stdout for source in ("copy.yaml", "copy"))
    assert recipe == done
    assert "ntm,RNN" in recipe
    assert "ntm" in run("summary", "runs/copy/model.keras", folder=folder).stdout


@pytest.mark.parametrize(
    "model",
    ["kind: recurrent, cell: lstm, units: 32", "kind: transformer, units: 16, layers: 1, dropout: 0, causal: true"],
)
def test_other_networks_and_the_repeated_task(folder: Path, model: str) -> None:
    data = "data={kind: repeat_copy, lengths: [1, 2], repeats: [1, 2], bits: 2, test_repeats: 3, num_samples: 320}"
    done = run("train", "copy.yaml", "-s", data, "-s", f"model={{{model}}}", "--name", "other", folder=folder)
    assert "test_bits_wrong_at_4" in done.stderr + done.stdout
    assert [row["times"] for row in read_csv(folder / "runs" / "other" / "evaluation" / "test" / "by_length.csv")] == [
        *("3", "3")
    ]


@pytest.mark.slow  # tests/workflow/test_train.py overfits images
def test_overfit_memorizes_a_batch(folder: Path) -> None:
    settings = ("-s", "model.dropout=0", "-s", "train.batch_size=4", "-s", "model.units=32")
    done = run("train", "copy.yaml", "--overfit", 1, "--json", *settings, folder=folder)
    assert json.loads(done.stdout)["bits_wrong"] == 0.0


@pytest.mark.slow
def test_what_is_read_and_written_is_explained(folder: Path) -> None:
    result = json.loads(run("explain", "copy", "--limit", 5, "--json", folder=folder).stdout)
    made = folder / "runs" / "copy" / "explanations" / "memory"
    assert sorted(path.name for path in made.iterdir()) == [
        *("explanation.json", "explanations.csv", "maps.png", "memory.npz")
    ]
    assert [(row["length"], row["sequences"]) for row in result["explanations"]] == [(3, 5), (6, 5)]
    with np.load(made / "memory.npz") as arrays:
        assert arrays["reads"].shape == arrays["writes"].shape == (5, 7, 1, 6)
        assert arrays["memory"].shape == (1, 7, 6, 4)
    row = json.loads(run("explain", "copy", "--gradient-norms", "--json", folder=folder).stdout)["networks"][0]
    assert (row["layer"], row["steps"]) == ("ntm", 7)
    assert "has no LSTM or GRU layer" in run("explain", "copy", "--gates", folder=folder, status=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "copy", "x.npz"), "runs/copy: dlcli predict does not support task: step_prediction"),
        (("evaluate", "copy", "--split", "train"), "--split: runs/copy has one split to be evaluated on"),
        (("evaluate", "copy", "--data", "copy.yaml"), "--data: runs/copy has no other data to be evaluated on"),
        (("explain", "copy", "x.npz"), "x.npz: runs/copy is explained by its generated test sequences alone."),
        (("explain", "copy", "--method", "integrated"), "its task is step_prediction. Remove the option."),
        (("train", "copy.yaml", "-s", "data.lengths=[5, 2]"), "data.lengths: the first must be at most the second."),
        (("train", "copy.yaml", "-s", "model.memory=[2, 4]"), "model.shift: 2 * shift + 1 must be at most the 2"),
        (("train", "copy.yaml", "-s", "data={kind: repeat_copy, repeats: [3, 1]}"), "data.repeats: the first must be"),
        (("train", "copy.yaml", "-s", "data={kind: adding}"), "kind 'adding' is for task: sequence_regression"),
        (
            ("train", "copy.yaml", "-s", "train.best_metric=val_mse"),
            "value 'val_mse' is for task: text_regression or sequence_",
        ),
        (("train", "adding.yaml"), "model.kind: kind 'ntm' is for task: step_prediction; here the kinds are"),
        (("summary", "copy.yaml", "--input", "3x3x1", "--classes", "2"), "--input: copy.yaml takes "),
    ],
)
def test_refused_input(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    (folder / "adding.yaml").write_text("task: sequence_regression\ndata: {kind: adding}\nmodel: {kind: ntm}\n")
    assert message in run(*arguments, folder=folder, status=2).stderr


@pytest.mark.slow
def test_half_precision_and_a_network_too_large_for_memory(tmp_path: Path) -> None:
    recipe = (
        "task: step_prediction\ndata: {kind: copy, num_samples: 64, lengths: [1, 3]}\n"
        "model: {kind: ntm, units: 8, memory: [8, 4]}\ntrain: {epochs: 1, batch_size: 16, precision: mixed_float16}\n"
    )
    (tmp_path / "ntm.yaml").write_text(recipe)
    processes.run("train", "ntm.yaml", folder=tmp_path, prepare=processes.without_plots).expect(0)
    huge = ("-s", "data.lengths=[1000,1000]", "-s", "model.memory=[10000,1000]", "-s", "train.precision=float32")
    finished = processes.run("train", "ntm.yaml", *huge, folder=tmp_path).expect(2)
    assert "training this network takes at least" in finished.stderr


def test_an_unfinished_run_is_used_by_its_best_checkpoint(made: Path, tmp_path: Path) -> None:
    assert_usable(made / "runs" / "copy", tmp_path)
