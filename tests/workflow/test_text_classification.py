"""Text classification from end to end: training, exact resume, evaluation, prediction and refused input."""

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
from predictors import assert_predicts  # type: ignore[import-not-found]
from processes import run_without_plots as run  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]

from dlcli.errors import InputError
from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv

RECIPE = """\
task: text_classification
data: {kind: csv, path: films.csv}
text: {embedding: 8, min_count: 1}
model: {kind: recurrent, cell: gru, units: 8, bidirectional: true, dropout: 0.2, recurrent_dropout: 0.1}
train:
  seed: 3
  epochs: 3
  batch_size: 16
  gradient_accumulation: 2
  label_smoothing: 0.05
  gradient_clipping: {kind: global_norm, value: 1.0}
  optimizer: {kind: adam, learning_rate: 0.02}
  checkpoint: {steps: 3}
"""
GOOD, BAD, OTHER = (
    ("great", "fine", "lovely"),
    ("dull", "poor", "awful"),
    ("film", "plot", "actor", "scene", "the", "a"),
)


def write_films(path: Path, num: int = 160) -> None:
    """Writes reviews of 1 to 15 words, one of which determines the class."""
    rng = np.random.default_rng(0)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for i in range(num):
            words = [*rng.choice(OTHER, rng.integers(0, 15)), str(rng.choice((GOOD, BAD)[i % 2])), f"n{i}"]
            writer.writerow([" ".join(rng.permutation(words)), ("good", "bad")[i % 2]])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed run films."""
    folder: Path = tmp_path_factory.mktemp("texts")
    write_films(folder / "films.csv")
    (folder / "films.yaml").write_text(RECIPE)
    processes.run("train", "films.yaml", folder=folder).expect(0)
    return folder


@dataclass(frozen=True)
class Reading:
    """Gives the process a text on stdin."""

    text: str

    def __call__(self) -> None:
        sys.stdin = io.TextIOWrapper(io.BytesIO(self.text.encode()))


def test_a_run_reports_its_results(made: Path) -> None:
    path = made / "runs" / "films"
    rows = read_csv(path / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["train_accuracy"]) > float(rows[0]["train_accuracy"])
    info = read_json(path / "run.json")
    assert info["status"] == "completed"
    assert info["final"]["test_accuracy"] > 0.8
    assert info["final"]["test_baseline_accuracy"] > 0.8
    difference = info["final"]["test_accuracy"] - info["final"]["test_baseline_accuracy"]
    assert info["final"]["test_over_baseline"] == pytest.approx(difference)
    assert read_json(path / "labels.json") == {"classes": ["bad", "good"]}
    tokens = [json.loads(line) for line in (path / "vocabulary.txt").read_text().splitlines()]
    assert len(tokens) == info["data"]["vocabulary"]
    assert {*GOOD, *BAD, *OTHER} <= set(tokens)
    assert "gru1_backward" in (path / "model.txt").read_text()
    folder = path / "evaluation" / "test"
    predictions = read_csv(folder / "predictions.csv")
    assert list(predictions[0]) == ["file", "label", "predicted", "confidence", "correct", "p_bad", "p_good", "text"]
    wrong = [row["file"] for row in predictions if row["correct"] == "False"]
    mistakes = (folder / "mistakes.txt").read_text()
    assert all(name in mistakes for name in wrong)
    assert len(mistakes.splitlines()) == max(1, len(wrong))
    assert (path / "plots" / "confusion_matrix.png").exists()
    split = read_csv(path / "split.csv")
    assert {row["split"] for row in split} == {"train", "validation", "test"}


@pytest.mark.parametrize("call", [2, 5])
@pytest.mark.slow  # tests/training/test_loop.py resumes at every step, without processes
def test_a_killed_run_resumes_to_the_same_result(folder: Path, call: int) -> None:
    kill = processes.KillAtCheckpoint(call)
    processes.run("train", "films.yaml", "--name", "killed", folder=folder, prepare=kill)
    assert read_json(folder / "runs" / "killed" / "run.json")["status"] == "running"
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "films", folder / "runs" / "killed")


@pytest.mark.slow
def test_a_run_can_be_extended(folder: Path) -> None:
    run("train", "--extend", "films", "--epochs", 4, folder=folder)
    assert len(read_csv(folder / "runs" / "films" / "metrics.csv")) == 4


def test_the_saved_model_loads_in_plain_keras_and_takes_raw_text(made: Path) -> None:
    model = keras.saving.load_model(made / "runs" / "films" / "model.keras", safe_mode=True)
    rows = read_csv(made / "runs" / "films" / "evaluation" / "test" / "predictions.csv")
    found = np.asarray(model(tf.constant([row["text"] for row in rows])))
    expected = [[float(row["p_bad"]), float(row["p_good"])] for row in rows]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    alone = np.concatenate([np.asarray(model(tf.constant([row["text"]]))) for row in rows[:5]])
    np.testing.assert_allclose(alone, expected[:5], atol=1e-5)
    assert np.isfinite(np.asarray(model(tf.constant(["", "quite unknown", "ça ☃"])))).all()


NETWORKS = (
    "{kind: recurrent, cell: simple, layers: 2, pooling: attention, residual: true, layer_norm: true}",
    "{kind: recurrent, cell: lstm, pooling: max, recurrent_initializer: glorot_uniform, forget_bias: false}",
    "{kind: convolutional, filters: 8, causal: true, layer_norm: true, dropout: 0.1}",
    "{kind: transformer, units: 8, heads: 2, layers: 1, causal: true, pooling: last}",
)


@pytest.mark.parametrize(
    ("model", "precision"),
    [  # two networks once, in alternating precisions; the other six are slow
        pytest.param(model, precision, marks=() if number == position else pytest.mark.slow)
        for number, model in enumerate(NETWORKS)
        for position, precision in enumerate(("float32", "mixed_bfloat16"))
    ],
)
def test_every_network_trains(folder: Path, model: str, precision: str) -> None:
    settings = [f"model={model}", "train.epochs=1", f"train.precision={precision}", "text.unit=characters"]
    run("train", "films.yaml", "--name", "other", *(part for s in settings for part in ("-s", s)), folder=folder)
    saved = keras.saving.load_model(folder / "runs" / "other" / "model.keras", safe_mode=True)
    assert {layer.compute_dtype for layer in saved.layers if layer.weights} == {"float32"}


@pytest.mark.slow
def test_overfit_memorizes_a_batch_and_dry_run_shows_its_shape(folder: Path) -> None:
    settings = ("-s", "model.dropout=0", "-s", "model.recurrent_dropout=0", "-s", "train.gradient_accumulation=1")
    done = run("train", "films.yaml", "--overfit", 1, "--json", *settings, folder=folder)
    assert json.loads(done.stdout)["accuracy"] == 1.0
    plan = json.loads(run("train", "films.yaml", "--dry-run", "--json", folder=folder).stdout)
    assert plan["batch"]["x"][0] == 16
    assert plan["layers"]["operations"]["multiply_adds"] > 0
    assert plan["layers"]["not_counted"] == []


# Evaluate and predict -------------------------------------------------------------------------------------------------


def test_evaluating_data_of_every_format(folder: Path) -> None:
    rows = [("great film", "good"), ("a dull plot", "bad"), ("", "bad")]
    (folder / "new.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    records = [json.dumps({"text": text, "label": label}) for text, label in rows]
    (folder / "new.jsonl").write_text("\n".join(records))
    for label in ("good", "bad"):
        (folder / "lines").mkdir(exist_ok=True)
        (folder / "lines" / f"{label}.txt").write_text("\n".join(text for text, own in rows if own == label))
        (folder / "files" / label).mkdir(parents=True)
        (folder / "files" / label / "1.txt").write_text(next(text for text, own in rows if own == label))
    (folder / "other.yaml").write_text(
        RECIPE.replace("films.csv", "new.tsv, validation: 0, test: 0, allow_leakage: true")
    )
    found = [
        json.loads(run("evaluate", "films", "--data", name, "--json", folder=folder).stdout)
        for name in ("new.tsv", "new.jsonl", "lines", "files", "other.yaml")
    ]
    assert {result["samples"] for result in found} == {2}
    assert len({result["loss"] for result in found}) == 1
    assert [result["split"] for result in found] == ["new-all", "new-all-2", "lines-all", "files-all", "other-all"]
    assert all("baseline_accuracy" in result for result in found)
    config = folder / "runs" / "films" / "config.yaml"
    config.write_text(config.read_text().replace("films.csv", "gone.csv"))
    done = run("evaluate", "films", "--data", "new.tsv", "--json", folder=folder)
    assert "the baseline is not available: " in done.stderr
    assert "baseline_accuracy" not in json.loads(done.stdout)


def test_predicting_lines_tables_stdin_and_texts(folder: Path) -> None:
    (folder / "new.txt").write_text("great film\n\nan awful, AWFUL plot\n")
    texts = ("--text", "lovely", "--text", "zebra ☃")
    options = ("--output", "all.csv", "--top", 2, "--json")
    arguments = ("predict", "films", "new.txt", "-", *texts, *options)
    done = processes.run(*arguments, folder=folder, prepare=Reading("poor\nfine\n")).expect(0)
    rows = json.loads(done.stdout)["predictions"]
    assert [row["text"] for row in rows] == [
        *("lovely", "zebra ☃", "great film", "", "an awful, AWFUL plot", "poor", "fine")
    ]
    assert [row["file"] for row in rows[2:6]] == ["new.txt:1", "new.txt:2", "new.txt:3", "-:1"]
    assert [rows[i]["predicted"] for i in (0, 2, 4, 5, 6)] == ["good", "good", "bad", "bad", "good"]
    assert [len(row["top"]) for row in rows] == [2] * 7
    predictor = assert_predicts(folder / "runs" / "films", [row["text"] for row in rows], rows, top=2)
    assert (predictor.kind, predictor.classes) == ("texts", ("bad", "good"))
    with pytest.raises(InputError, match=r"the text: must be a string\. Received bytes"):
        predictor.read(b"lovely")
    table = read_csv(folder / "all.csv")
    assert list(table[0]) == ["file", "text", "predicted", "confidence", "p_bad", "p_good"]
    assert [row["text"] for row in table] == [row["text"] for row in rows]
    shown = run("predict", "films", "films.csv", "--top", 1, folder=folder).stdout.splitlines()
    assert len(shown) == 161
    assert shown[0].split() == ["text", "#1"]


def test_lines_of_stdin_are_predicted_as_they_arrive(folder: Path) -> None:
    """Each is one line of output; those before an error are predicted."""
    lines = "poor plot\n\nlovely\0\n"
    done = processes.run("predict", "films", "-", "--json", folder=folder, prepare=Reading(lines)).expect(2)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["file"], row["text"]) for row in rows] == [("-:1", "poor plot"), ("-:2", "")]
    assert "-:3: a line must be text." in done.stderr
    assert_predicts(folder / "runs" / "films", [row["text"] for row in rows], rows)


def test_explanations_show_the_words_that_decide(folder: Path) -> None:
    texts = ["the film dull plot", "A lovely, LOVELY scene!", "zzz"]
    arguments = [part for text in texts for part in ("--text", text)]
    result = json.loads(run("explain", "films", *arguments, "--json", folder=folder).stdout)
    made = Path(result["folder"]) if Path(result["folder"]).is_absolute() else folder / result["folder"]
    assert sorted(path.name for path in made.iterdir()) == [
        *("explanation.json", "explanations.csv", "explanations.html", "tokens.csv")
    ]
    model = keras.saving.load_model(folder / "runs" / "films" / "model.keras")
    probabilities = np.asarray(model(tf.constant(texts), training=False), np.float64)
    rows, tokens = read_csv(made / "explanations.csv"), read_csv(made / "tokens.csv")
    methods = ["integrated", "gradient-x-input", "leave-one-out"]
    assert [row["method"] for row in rows] == methods * 3
    assert [row["token"] for row in tokens] == [*texts[0].split(), "A", "lovely,", "LOVELY", "scene!", "zzz"]
    assert [row["known"] for row in tokens] == ["yes"] * 8 + ["no"]
    unknown = np.asarray(model(tf.constant(["zzz " * 4]), training=False), np.float64)[0]
    for position, row in enumerate(rows[::3][:2]):
        label = int(probabilities[position].argmax())
        assert row["class"] == row["predicted"] == ["bad", "good"][label]
        assert float(row["probability"]) == pytest.approx(probabilities[position, label], rel=1e-4)
        # the sum of integrated gradients is the difference of the log-odds from a text of unknown words
        odds = [np.log(each[label] / each[1 - label]) for each in (probabilities[position], unknown)]
        assert float(row["sum"]) == pytest.approx(odds[0] - odds[1], rel=0.02, abs=1e-3)
        assert float(row["completeness_error"]) <= 0.01
        assert max(tokens[position * 4 : position * 4 + 4], key=lambda token: abs(float(token["integrated"])))[
            "token"
        ].strip(",").lower() in (*GOOD, *BAD)
    assert rows[-1]["note"] == "empty: all zero"
    dull = next(row for row in tokens if row["token"] == "dull")
    assert float(dull["log-odds"]) > 1
    assert result["texts"][0]["tokens"][2][0] == "dull"
    page = (made / "explanations.html").read_text()
    assert page.count("<h2>") == 4
    assert "LOVELY</span>" in page


@pytest.mark.slow
def test_explanations_of_a_split_are_checked_and_reported(folder: Path) -> None:
    done = run("explain", "films", "--check", "--class", "good", "--method", "integrated", folder=folder)
    assert "passes the randomization check" in done.stdout
    made = folder / "runs" / "films" / "explanations" / "integrated"
    rows, check = read_csv(made / "explanations.csv"), read_json(made / "check.json")
    assert len(rows) == 16
    assert {row["class"] for row in rows} == {"good"}
    assert {row["check"] for row in rows} == {"passes the randomization check"}
    assert list(check["turned"]) == ["integrated", "log-odds", "random"]
    assert check["turned"]["integrated"]["mean"] > check["turned"]["random"]["mean"]
    assert check["turned"]["integrated"]["n"] == check["texts"] == 32
    assert list(check["difference_from_log_odds"]) == ["integrated", "random"]
    run("report", "films", folder=folder)
    page = (folder / "runs" / "films" / "report.html").read_text()
    assert 'class="marked"' in page
    assert "top fifth of the tokens" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "films"), "specify what to predict: a PATH, or --text for a text model. See: "),
        (("predict", "films", ""), "A PATH must not be empty. Use . for the current folder."),
        (("predict", "films", "none.txt"), "none.txt: no such file. Give the file that contains the texts."),
        (("predict", "films", "runs"), "runs: a folder, not a file. Give the file that contains the texts."),
        (("predict", "films", "--text", "a", "--draw", "x"), "--draw: runs/films predicts neither boxes nor masks"),
        (("evaluate", "films", "--data", "none.csv"), "none.csv: no such recipe, file or folder."),
        (("evaluate", "films", "--split", "dev"), "'dev' is not one of 'train', 'validation', 'test'."),
        (("evaluate", "films", "--data", "digits.yaml"), "digits.yaml:1:7: task: expected text_classification"),
        (("evaluate", "films", "--data", "strange.csv"), "must be one of the trained model's. Received 'mixed':"),
        (("explain", "films", "--method", "gradcam"), "--method gradcam: does not explain runs/films: its task is "),
        (("explain", "films", "--text", "a", "--class", "label"), "--class label: the labels of files are not known."),
        (("explain", "films", "--text", "a", "--class", "godd"), "--class godd: not a class of the network"),
        (("explain", "films", "--text", "a", "--split", "test"), "--split is for samples of the run's own data."),
        (("attack", "films", "--fgsm"), "dlcli attack does not support task: "),
        (("data", "preview", "films.yaml"), "films.yaml:1:7: dlcli data preview does not support task: "),
        (("transfer", "--base", "run:films", "--data", "images"), "run:films"),
        (("train", "films.yaml", "-s", "data.path=none.csv"), "--set data.path=none.csv: data.path: no such file"),
        (("train", "films.yaml", "-s", "data.text=body"), "there must be a column 'body'. Received 'text', 'label'."),
        (("train", "films.yaml", "-s", "text.min_count=1000"), "the vocabulary must have at least two words"),
        (("train", "films.yaml", "-s", "train.best_metric=val_iou"), "value 'val_iou' is for task: localization; here"),
        (("train", "films.yaml", "-s", "augment={horizontal_flip: true}"), "augment: this key is for task: "),
        (("train", "films.yaml", "-s", "model.kind=vgg"), "kind 'vgg' is for task: classification, localization, "),
    ],
)  # fmt: skip
def test_refused_input(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    (folder / "digits.yaml").write_text("task: classification\ndata: {kind: digits}\nmodel: {kind: lenet5}\n")
    (folder / "strange.csv").write_text("text,label\na,mixed\nb,good\n")
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    done = run(*arguments, folder=folder, status=2)
    assert "Traceback" not in done.stderr
    assert message in done.stderr
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before
