"""Tagging from end to end."""

import json
from pathlib import Path

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
import tensorflow as tf
from predictors import assert_predicts  # type: ignore[import-not-found]
from processes import run_without_plots as run  # type: ignore[import-not-found]
from recurrent_norms import assert_gradients_reach_back  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]
from unfinished import assert_usable  # type: ignore[import-not-found]

from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv

RECIPE = """\
task: tagging
data: {kind: columns, path: tagged.txt, test: 0.25, allow_leakage: true}
text: {embedding: 8, lowercase: true}
model: {kind: recurrent, cell: gru, units: 8, bidirectional: true, dropout: 0.1}
train:
  epochs: 4
  batch_size: 16
  gradient_accumulation: 2
  label_smoothing: 0.02
  optimizer: {kind: adam, learning_rate: 0.03}
"""
SIMPLE = ("-s", "model={kind: recurrent, cell: simple, units: 8}")
NOUNS, VERBS = ("cats", "dogs", "birds", "fish"), ("see", "hear", "like")


def write_sentences(path: Path, num: int = 150) -> None:
    """``dogs see cats``: "hear" is a verb but after "the", where it is a noun; now and then an unknown word."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(num):
        for _ in range(rng.integers(1, 4)):
            noun = str(rng.choice(NOUNS)) if rng.random() < 0.9 else f"n{i}"
            lines += (
                [("the", "DET"), (noun if rng.random() < 0.8 else "hear", "NOUN")]
                if rng.random() < 0.5
                else [(noun, "NOUN")]
            )
            lines.append((str(rng.choice(VERBS)), "VERB"))
        lines.append(("", ""))
    path.write_text("\n".join(f"{word}\t{tag}" if word else "" for word, tag in lines))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed run tagger."""
    folder: Path = tmp_path_factory.mktemp("tagging")
    write_sentences(folder / "tagged.txt")
    (folder / "tagger.yaml").write_text(RECIPE)
    processes.run("train", "tagger.yaml", folder=folder).expect(0)
    return folder


def test_it_learns_and_padding_never_counts(made: Path) -> None:
    path = made / "runs" / "tagger"
    info = read_json(path / "run.json")
    assert info["final"]["test_accuracy"] > 0.95
    assert 0 < info["final"]["test_unknown_words"] < 0.2
    assert info["final"]["test_sentence_accuracy"] > 0.7
    rows = read_csv(path / "evaluation" / "test" / "predictions.csv")
    assert np.mean([row["correct"] == "True" for row in rows]) == pytest.approx(info["final"]["test_accuracy"])
    unknown = [row for row in rows if row["known"] == "False"]
    assert all(row["text"].startswith("n") for row in unknown)
    assert len(unknown) / len(rows) == pytest.approx(info["final"]["test_unknown_words"])
    metrics = read_csv(path / "metrics.csv")[-1]
    # the mean over the words, computed in training by padded batches of other sizes
    model = keras.saving.load_model(path / "model.keras", safe_mode=True)
    assert model.output.shape[1:] == (None, 3)
    assert float(metrics["val_accuracy"]) > 0.9


def test_entities_are_measured_beside_the_most_frequent_tags(folder: Path) -> None:
    """``the`` begins an entity that the noun continues, and ``hear`` is one only then."""
    tags = {"\tDET": "\tB-ANIMAL", "\tNOUN": "\tI-ANIMAL", "\tVERB": "\tO"}
    text = (folder / "tagged.txt").read_text()
    for tag, other in tags.items():
        text = text.replace(tag, other)
    (folder / "entities.txt").write_text(text)
    trained = run("train", "tagger.yaml", "-s", "data.path=entities.txt", "--name", "entities", folder=folder)
    path = folder / "runs" / "entities"
    found = read_json(path / "evaluation" / "test" / "metrics.json")
    rows = read_csv(path / "evaluation" / "test" / "per_entity.csv")
    assert [row["entity"] for row in rows] == ["ANIMAL"]
    assert float(rows[0]["f1"]) == pytest.approx(found["entity_f1"])
    assert found["entity_f1"] > found["baseline_entity_f1"] > 0.5
    assert found["accuracy"] > found["baseline_accuracy"] > 0.7
    assert found["over_baseline"] == pytest.approx(found["accuracy"] - found["baseline_accuracy"])
    assert found["over_baseline_low"] <= found["over_baseline"] <= found["over_baseline_high"]
    assert found["illegal_transitions_of_labels"] > 0  # entities that begin with I-
    assert run("runs", "list", folder=folder).stdout.count("test_entity_f1") == 1
    assert f"test_entity_f1: {found['entity_f1']:.4f}" in trained.stdout
    shown = run("predict", "entities", "entities.txt", folder=folder).stdout.splitlines()
    assert len(shown) == text.count("\n\n") + 1
    assert not any("\t" in line or "B-ANIMAL/" in line for line in shown)


@pytest.mark.slow  # tests/training/test_loop.py resumes at every step, without processes
def test_a_killed_run_resumes_to_the_same_result(folder: Path) -> None:
    kill = processes.KillAtCheckpoint(2)
    processes.run("train", "tagger.yaml", "--name", "killed", folder=folder, prepare=kill)
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "tagger", folder / "runs" / "killed")


def test_validation_is_the_mean_over_the_words(folder: Path) -> None:
    """The batch size does not change the loss and accuracy."""
    found = []
    for size in (16, 500):
        name = f"b{size}"
        options = ("-s", f"train.batch_size={size}", "-s", "train.epochs=1", "-s", "train.gradient_accumulation=1")
        rate = ("-s", "train.optimizer.learning_rate=1e-30", "--name", name)  # the initial weights
        run("train", "tagger.yaml", *SIMPLE, *options, *rate, folder=folder)
        row = read_csv(folder / "runs" / name / "metrics.csv")[0]
        found.append((float(row["val_loss"]), float(row["val_accuracy"])))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


def test_predicting_files_and_texts(folder: Path) -> None:
    (folder / "new.txt").write_text("the dogs see\n\nCATS like the hear\n")
    options = ("--text", "birds hear", "--output", "all.csv", "--json")
    result = json.loads(run("predict", "tagger", "new.txt", *options, folder=folder).stdout)["predictions"]
    assert [row["tags"] for row in result] == [
        *(["NOUN", "VERB"], ["DET", "NOUN", "VERB"], [], ["NOUN", "VERB", "DET", "NOUN"])
    ]
    samples = ["birds hear", "the dogs see", "", "CATS like the hear"]
    assert assert_predicts(folder / "runs" / "tagger", samples, result).kind == "texts"
    rows = read_csv(folder / "all.csv")
    assert [row["text"] for row in rows] == ["birds", "hear", "the", "dogs", "see", "CATS", "like", "the", "hear"]
    shown = run("predict", "tagger", "new.txt", folder=folder).stdout.splitlines()
    assert shown == ["the/DET dogs/NOUN see/VERB", "", "CATS/NOUN like/VERB the/DET hear/NOUN"]
    (folder / "more.txt").write_text((folder / "tagged.txt").read_text() + "\n\nthe\tDET\n")
    other = json.loads(run("evaluate", "tagger", "--data", "more.txt", "--json", folder=folder).stdout)
    assert other["sentences"] == 151
    assert other["split"] == "more-all"
    assert 90 < other["trained_on"] < 150


def test_long_sentences_are_truncated(folder: Path) -> None:
    options = ("-s", "text.max_length=2", "-s", "train.epochs=1", "--name", "cut")
    run("train", "tagger.yaml", *SIMPLE, *options, folder=folder)
    rows = read_csv(folder / "runs" / "cut" / "evaluation" / "test" / "predictions.csv")
    assert {row["word"] for row in rows} == {"1", "2"}
    model = keras.saving.load_model(folder / "runs" / "cut" / "model.keras", safe_mode=True)
    assert model(tf.constant([["a", "b", "c", "d"]])).shape == (1, 3, 3)  # and one step of padding
    result = json.loads(run("predict", "cut", "--text", "the dogs see", "--json", folder=folder).stdout)
    assert len(result["predictions"][0]["tags"]) == 2


@pytest.mark.slow
def test_explanations_name_the_words_that_a_tag_is_due_to(folder: Path) -> None:
    run("explain", "tagger", "--text", "cats see the hear", "--json", folder=folder)
    made = folder / "runs" / "tagger" / "explanations" / "integrated"
    rows = read_csv(made / "explanations.csv")
    words = ["cats", "see", "the", "hear"]
    model = keras.saving.load_model(folder / "runs" / "tagger" / "model.keras")
    probabilities = np.asarray(model(tf.constant([words]), training=False))[0, :4]
    classes = read_json(folder / "runs" / "tagger" / "labels.json")["classes"]
    assert [row["class"] for row in rows] == [
        f"{w}/{classes[i]}" for w, i in zip(words, probabilities.argmax(1), strict=True)
    ]
    np.testing.assert_allclose([float(row["probability"]) for row in rows], probabilities.max(axis=1), rtol=1e-3)
    assert all(float(row["completeness_error"]) <= 0.01 or row["note"] for row in rows)
    tokens = read_csv(made / "tokens.csv")
    assert [row["token"] for row in tokens] == words * 4
    assert (made / "maps.png").exists()
    options = ("--limit", 4, "--class", "VERB", "--method", "leave-one-out", "--check")
    done = run("explain", "tagger", *options, folder=folder)
    assert "first tokens decide: area below the probability of the output" in done.stdout
    made = folder / "runs" / "tagger" / "explanations" / "leave-one-out"
    check = read_json(made / "check.json")
    assert check["sentences"] == 4
    assert list(check["insertion"]) == ["leave-one-out", "random", "near"]
    assert {row["check"] for row in read_csv(made / "explanations.csv")} <= {
        "passes the randomization check",
        "fails the randomization check",
    }
    assert all(row["class"].endswith("/VERB") for row in read_csv(made / "explanations.csv"))
    assert_gradients_reach_back(folder, "tagger")


@pytest.mark.slow
def test_a_network_that_is_fed_its_tags_is_validated_as_it_predicts(folder: Path) -> None:
    model = "model={kind: recurrent, cell: jordan, units: 16, teacher_forcing: true, dropout: 0.1}"
    run("train", "tagger.yaml", "-s", model, "--name", "jordan", folder=folder)
    info = read_json(folder / "runs" / "jordan" / "run.json")
    assert info["custom_layers"] == ["ClassFeedbackCell"]
    assert info["final"]["test_accuracy"] > 0.9
    metrics = json.loads(run("evaluate", "jordan", "--split", "validation", "--json", folder=folder).stdout)
    assert metrics["loss"] == pytest.approx(info["best"]["value"], rel=1e-4)
    result = json.loads(run("predict", "jordan", "--text", "the hear see", "--json", folder=folder).stdout)
    assert result["predictions"][0]["tags"] == ["DET", "NOUN", "VERB"]
    assert_predicts(folder / "runs" / "jordan", ["the hear see"], result["predictions"])
    assert_gradients_reach_back(folder, "jordan")


CRF = ("-s", "model.crf=true", "-s", "train.label_smoothing=0")


@pytest.mark.slow
def test_a_crf_decodes_alike_wherever_its_model_is_used(folder: Path) -> None:
    run("train", "tagger.yaml", *CRF, "--name", "crf", folder=folder)
    path = folder / "runs" / "crf"
    info = read_json(path / "run.json")
    assert info["custom_layers"] == ["Crf"]
    assert info["final"]["test_accuracy"] > 0.95
    rows = read_csv(path / "evaluation" / "test" / "predictions.csv")
    sentences: dict[str, list[str]] = {}
    for row in rows:
        sentences.setdefault(row["file"], []).append(row["text"])
    model = keras.saving.load_model(path / "model.keras", safe_mode=True)
    classes = read_json(path / "labels.json")["classes"]
    words = max(sentences.values(), key=len)
    found = model(tf.constant([words]), training=False)
    tags = [classes[number] for number in found["tags"].numpy()[0, : len(words)]]
    predicted = json.loads(run("predict", "crf", "--text", " ".join(words), "--json", folder=folder).stdout)
    assert predicted["predictions"][0]["tags"] == tags
    assert_predicts(path, [" ".join(words)], predicted["predictions"])
    best = min(float(row["val_loss"]) for row in read_csv(path / "metrics.csv"))
    again = json.loads(run("evaluate", "crf", "--split", "validation", "--json", folder=folder).stdout)
    assert again["loss"] == pytest.approx(best, rel=1e-4)  # nats per word, in training and afterwards
    run("explain", "crf", "--text", " ".join(words), folder=folder)
    explained = read_csv(path / "explanations" / "integrated" / "explanations.csv")
    assert [row["class"] for row in explained] == [f"{word}/{tag}" for word, tag in zip(words, tags, strict=True)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "tagger.yaml", "-s", "model.pooling=max"), "model.pooling: is for tasks with one output for each"),
        (
            ("train", "tagger.yaml", "-s", "train.class_weights={NOUN: 1}"),
            "expected a weight for each class; missing: ",
        ),
        (("train", "tagger.yaml", "-s", "text.min_count=10000"), "the vocabulary must have at least two words"),
        (("train", "tagger.yaml", "-s", "data.path=none"), "data.path: no such file or folder"),
        (("predict", "tagger", "--text", "  "), "nothing to predict: the inputs contain no words."),
        (("evaluate", "tagger", "--data", "tagger.yaml", "--split", "train"), ""),
    ],
)
def test_refused_input(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments, folder=folder, status=2 if message else 0)
    assert message in done.stderr


def test_an_unfinished_run_is_used_by_its_best_checkpoint(made: Path, tmp_path: Path) -> None:
    assert_usable(made / "runs" / "tagger", tmp_path)
