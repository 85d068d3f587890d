"""Labels and numbers of texts from end to end: training, evaluation beside baselines, prediction, explanation."""

import csv
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
import tensorflow as tf
from predictors import assert_predicts, predictor_of  # type: ignore[import-not-found]
from processes import run_without_plots as run  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]
from sklearn import metrics as sklearn_metrics

from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv

pytestmark = pytest.mark.slow  # tests/tasks/sequences/test_text_targets.py has what needs no training

TOPICS = {"money": ("bank", "euro"), "rain": ("cloud", "storm"), "sport": ("goal", "team")}
OTHER = ("the", "a", "of", "today", "very")
RECIPE = """\
task: text_multilabel
data: {kind: csv, path: topics.csv, label: topics, separator: ;}
text: {embedding: 8, min_count: 1}
model: {kind: convolutional, filters: 8, dilations: [1], dropout: 0.1}
train: {epochs: 15, batch_size: 16, seed: 3, optimizer: {kind: adam, learning_rate: 0.03}, checkpoint: {steps: 3}}
"""
NUMBERS = (
    RECIPE.replace("text_multilabel", "text_regression")
    .replace("label: topics, separator: ;", "target: price")
    .replace("topics.csv", "prices.csv")
)


@dataclass(frozen=True)
class Reading:
    """Gives the process a text on stdin."""

    text: str

    def __call__(self) -> None:
        sys.stdin = io.TextIOWrapper(io.BytesIO(self.text.encode()))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed runs topics and prices."""
    folder: Path = tmp_path_factory.mktemp("targets")
    rng = np.random.default_rng(0)
    with open(folder / "topics.csv", "w", newline="") as topics, open(folder / "prices.csv", "w", newline="") as prices:
        of_topics, of_prices = csv.writer(topics), csv.writer(prices)
        of_topics.writerow(["text", "topics"])
        of_prices.writerow(["text", "price"])
        for i in range(120):
            labels = [label for label in TOPICS if rng.random() < 0.4]
            words = [*rng.choice(OTHER, 4), f"n{i}", *(rng.choice(TOPICS[label]) for label in labels)]
            text = " ".join(rng.permutation(words))
            of_topics.writerow([text, "; ".join(labels)])
            of_prices.writerow([text, 1000 + 50 * len(labels)])
    (folder / "topics.yaml").write_text(RECIPE)
    (folder / "prices.yaml").write_text(NUMBERS)
    run("train", "topics.yaml", folder=folder)
    run("train", "prices.yaml", folder=folder)
    return folder


def test_labels_are_evaluated_beside_their_baselines(made: Path) -> None:
    path = made / "runs" / "topics"
    info, folder = read_json(path / "run.json"), path / "evaluation" / "test"
    assert read_json(path / "labels.json") == {"classes": ["money", "rain", "sport"]}
    assert info["final"]["test_mean_average_precision"] > 0.8
    for name in ("micro_f1", "macro_f1", "mean_average_precision"):
        assert info["final"][f"test_tf_idf_{name}"] > 0.8
    assert info["final"]["test_frequent_micro_f1"] < 0.8
    thresholds = read_json(path / "thresholds.json")["thresholds"]
    rows = read_csv(folder / "predictions.csv")
    assert list(rows[0])[:4] == ["file", "labels", "predicted", "correct"]
    true = np.array([[label in row["labels"].split("|") for label in TOPICS] for row in rows])
    scores = np.array([[float(row[f"p_{label}"]) for label in TOPICS] for row in rows])
    model = keras.saving.load_model(path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(np.asarray(model(tf.constant([row["text"] for row in rows]))), scores, atol=1e-5)
    metrics = read_json(folder / "metrics.json")
    average = sklearn_metrics.average_precision_score(true, scores, average="macro")
    assert metrics["mean_average_precision"] == pytest.approx(average, abs=1e-4)
    predicted = scores >= [thresholds[label] for label in TOPICS]
    assert metrics["micro_f1"] == pytest.approx(sklearn_metrics.f1_score(true, predicted, average="micro"))
    loss = -np.mean(np.where(true, np.log(scores), np.log1p(-scores)))
    assert metrics["loss"] == pytest.approx(loss, rel=1e-3)
    assert [row["label"] for row in read_csv(folder / "per_label.csv")] == list(TOPICS)


def test_numbers_are_evaluated_beside_their_baselines(made: Path) -> None:
    path = made / "runs" / "prices"
    final, folder = read_json(path / "run.json")["final"], path / "evaluation" / "test"
    assert final["test_mae"] < final["test_baseline_mae"]
    assert 0 < final["test_ridge_mae"] < final["test_baseline_mae"]
    rows = read_csv(folder / "predictions.csv")
    errors = [float(row["predicted"]) - float(row["target"]) for row in rows]
    assert final["test_mae"] == pytest.approx(np.mean(np.abs(errors)), rel=1e-5)
    assert not (path / "labels.json").exists()
    model = keras.saving.load_model(path / "model.keras", safe_mode=True)
    found = np.asarray(model(tf.constant([row["text"] for row in rows])))
    np.testing.assert_allclose(found, [float(row["predicted"]) for row in rows], rtol=1e-5)


def test_predictions_and_explanations(made: Path) -> None:
    texts = ["the storm of today", ""]
    arguments = [part for text in texts for part in ("--text", text)]
    rows = json.loads(run("predict", "topics", *arguments, "--output", "l.csv", "--json", folder=made).stdout)
    assert_predicts(made / "runs" / "topics", texts, rows["predictions"])
    table = read_csv(made / "l.csv")
    assert list(table[0]) == ["file", "text", "predicted", "p_money", "p_rain", "p_sport"]
    assert table[0]["predicted"].split("|") == sorted(rows["predictions"][0]["predicted"])
    rows = json.loads(run("predict", "prices", *arguments, "--json", folder=made).stdout)
    assert assert_predicts(made / "runs" / "prices", texts, rows["predictions"]).classes == ()
    storm = ("--text", "storm the", "--method", "integrated", "--steps", "32", "--json")
    of_label = json.loads(run("explain", "topics", *storm, "--class", "rain", folder=made).stdout)
    values = dict(of_label["texts"][0]["tokens"])
    predictor = predictor_of(made / "runs" / "topics")
    shown = predictor.show(predictor.read("storm the"))  # on the page of a server
    assert shown.explained == "rain"
    assert dict(shown.tokens) == pytest.approx(values, abs=1e-4)
    assert predictor.show(predictor.read("")) is None
    assert values["storm"] > max(0.0, values["the"])
    (row,) = read_csv(made / "runs" / "topics" / "explanations" / "integrated" / "explanations.csv")
    assert (row["class"], row["labels"]) == ("rain", "")
    of_number = json.loads(run("explain", "prices", *storm, folder=made).stdout)
    (row,) = read_csv(made / "runs" / "prices" / "explanations" / "integrated" / "explanations.csv")
    model = keras.saving.load_model(made / "runs" / "prices" / "model.keras")
    known, unknown = np.asarray(model(tf.constant(["storm the", "zzz zzz"])))
    assert float(row["sum"]) == pytest.approx(known - unknown, rel=0.02)
    assert "storm" in of_number["texts"][0]["note"]
    for name, order in (("topics", "log-odds"), ("prices", "word means")):
        done = run("explain", name, "--check", "--method", "gradient-x-input", "--json", folder=made)
        check = json.loads(done.stdout)["check"]
        assert list(check["insertion"]) == ["gradient-x-input", "random", order]
        assert check["insertion"]["gradient-x-input"]["mean"] > check["insertion"]["random"]["mean"]


@pytest.mark.parametrize("name", ["topics", "prices"])
def test_a_killed_run_resumes_to_the_same_result(made: Path, name: str) -> None:
    kill = processes.KillAtCheckpoint(2)
    processes.run("train", f"{name}.yaml", "--name", f"{name}-killed", folder=made, prepare=kill)
    assert read_json(made / "runs" / f"{name}-killed" / "run.json")["status"] == "running"
    run("train", "--resume", f"{name}-killed", folder=made)
    assert_same_but_name(made / "runs" / name, made / "runs" / f"{name}-killed")


def test_other_data_and_exports(made: Path) -> None:
    objects = [{"text": "storm of a team", "topics": ["rain", "sport"]}, {"text": "the bank", "topics": []}]
    (made / "new.jsonl").write_text("".join(json.dumps(each) + "\n" for each in objects))
    (made / "new.csv").write_text("text,topics\nstorm of a team,rain;sport\nthe bank,\n")
    found = [
        json.loads(run("evaluate", "topics", "--data", name, "--json", folder=made).stdout)
        for name in ("new.jsonl", "new.csv")
    ]
    assert found[0]["loss"] == found[1]["loss"]
    assert found[0]["samples"] == 2
    assert found[0]["absent_labels"] == ["money"]
    (made / "odd.csv").write_text("text,topics\na,war\n")
    done = run("evaluate", "topics", "--data", "odd.csv", folder=made, status=2)
    assert "odd.csv:2: a label must be one of the trained model's. Received 'war'" in done.stderr
    for name in ("topics", "prices"):
        run("export", name, "--format", "onnx", folder=made)
        exported = read_json(made / "runs" / name / "exports" / "onnx" / "export.json")
        assert "vocabulary" in exported["text"]
    assert run("data", "check", "topics.yaml", folder=made)


def test_refused_labels_and_numbers(made: Path) -> None:
    (made / "always.csv").write_text("text,topics,price\n" + "a b,x,7\n" * 20)
    settings = ("-s", "data.path=always.csv", "-s", "data.allow_leakage=true")
    done = run("train", "topics.yaml", *settings, folder=made, status=2)
    assert "no label applies to some texts of train and not to others: there is nothing to learn" in done.stderr
    done = run("train", "prices.yaml", *settings, folder=made, status=2)
    assert "'price' is 7 in all of train: there is nothing to learn" in done.stderr
    done = run("explain", "topics", "--class", "label", folder=made, status=2)
    assert "--class label: any number of labels may apply to a text." in done.stderr


@pytest.mark.parametrize(("name", "expected"), [("topics", "sport"), ("prices", "10")])
def test_lines_of_stdin_are_predicted_as_they_arrive(made: Path, name: str, expected: str) -> None:
    lines = "the goal of a team today\n\nbank euro\n"
    done = processes.run("predict", name, "-", folder=made, prepare=Reading(lines)).expect(0)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["the goal of a team today", "", "bank euro"]
    assert rows[0][1].startswith(expected)


@pytest.mark.parametrize(
    ("name", "option", "layer"),
    [("topics", "--gradient-norms", "recurrent layer"), ("prices", "--gates", "LSTM or GRU layer")],
)
def test_what_is_measured_of_recurrent_networks_needs_one(made: Path, name: str, option: str, layer: str) -> None:
    done = processes.run("explain", name, option, folder=made).expect(2)
    assert f"model.keras: has no {layer}" in done.stderr
