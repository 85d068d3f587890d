"""Subwords from end to end: texts with classes, and language models, are trained, loaded again and explained."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from processes import run_without_plots as run  # type: ignore[import-not-found]

from dlcli.recipe.load import load
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv
from dlcli.runtime.console import Console
from dlcli.tasks.language_model.generator import load_generator
from dlcli.tasks.sequences.tokens import read_vocabulary

FILMS = """\
task: text_classification
data: {kind: csv, path: films.csv, test: 0.2}
text: {unit: subwords, max_vocabulary: 40, embedding: 8}
model: {kind: convolutional, filters: 8}
train: {epochs: 6, batch_size: 16, optimizer: {kind: adam, learning_rate: 0.05}}
"""
LINES = """\
task: language_model
data: {kind: lines, path: lines.txt, test: 0.2}
text: {unit: subwords, max_vocabulary: 30, embedding: 8, max_length: 20}
model: {kind: recurrent, cell: gru, units: 8}
train: {epochs: 1, batch_size: 32}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the completed run films."""
    folder: Path = tmp_path_factory.mktemp("subwords")
    rng = np.random.default_rng(0)
    stems = {"good": ["wonderful", "lovely"], "bad": ["terrible", "awful"]}
    rows = []
    for number, label in enumerate(["good", "bad"] * 60):
        word = f"{rng.choice(stems[label])}{rng.choice(['', 'ly', 'ness'])}"
        rows.append((f"{rng.choice(['The', 'a'])} {word} film{'.' * (number % 2)}", label))
    (folder / "films.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    (folder / "lines.txt").write_text("".join(f"{text}\n" for text, _ in rows))
    train(folder, "films", FILMS)
    return folder


def train(folder: Path, name: str, recipe: str) -> None:
    (folder / f"{name}.yaml").write_text(recipe)
    run("train", f"{name}.yaml", folder=folder)


def test_the_saved_model_splits_words_into_the_learned_subwords(made: Path) -> None:
    found = RunDir(made / "runs" / "films")
    tokens = read_vocabulary(found.vocabulary)
    assert len(tokens) == 40
    assert " film" in tokens
    assert read_json(found.info)["custom_layers"] == ["Subwords"]
    model = keras.saving.load_model(found.model)
    ids = keras.Model(model.input, model.get_layer("embedding").input)
    texts = ["The LOVELY film.", "lovelyness?", "", "unseen words", "É"]
    rows = [[number for number in row if number] for row in np.asarray(ids(tf.constant(texts)))]
    spelled = ["".join(tokens[number - 2] if number > 1 else "?" for number in row) for row in rows]
    assert spelled == [
        "the lovely film.",
        "lovelyness?",
        "?",
        re.sub(f"[^{''.join(tokens)}]", "?", "unseen words"),
        "?",
    ]
    assert len(rows[0]) < 10


def test_it_learns_and_predicts(made: Path) -> None:
    results = read_json(made / "runs" / "films" / "run.json")["final"]
    assert results["test_accuracy"] >= 0.8
    (row,) = json.loads(run("predict", "films", "--text", "an awfulness", "--json", folder=made).stdout)["predictions"]
    assert row["predicted"] == "bad"
    again = json.loads(run("evaluate", "films", "--json", folder=made).stdout)
    assert again["loss"] == results["test_loss"]


@pytest.mark.slow
def test_explanations_mark_subwords(made: Path) -> None:
    run("explain", "films", "--text", "a lovely film.", "--method", "gradient-x-input", folder=made)
    (file,) = (made / "runs" / "films" / "explanations").glob("*/tokens.csv")
    assert "".join(row["token"] for row in read_csv(file)) == "a lovely film."


@pytest.mark.slow
def test_a_training_that_is_resumed_learns_the_same_subwords(made: Path) -> None:
    train(made, "part", FILMS.replace("epochs: 6", "epochs: 5"))
    run("train", "--extend", "runs/part", "--epochs", "6", folder=made)
    whole, parts = (RunDir(made / "runs" / name) for name in ("films", "part"))
    assert parts.vocabulary.read_bytes() == whole.vocabulary.read_bytes()


def test_other_formats_than_saved_model_are_refused(made: Path) -> None:
    found = run("export", "films", "--format", "onnx", folder=made, status=2)
    assert "splits words into subwords, which only a SavedModel can" in found.stderr


@pytest.mark.slow
def test_a_language_model_generates_spaces_between_its_subwords(made: Path) -> None:
    train(made, "lines", LINES)
    path = RunDir(made / "runs" / "lines")
    generator = load_generator(path, load(path.config).recipe, Console(quiet=True))  # type: ignore[arg-type]
    text = "The lovely film."
    ids = generator.encode(text)
    assert generator.decode(ids[1:]) == text
    final = read_json(path.info)["final"]
    assert final["test_bits_per_byte"] > 0
    assert final["test_unknown"] == 0
    (row,) = json.loads(run("generate", "lines", "--length", "6", "--json", folder=made).stdout)["samples"]
    assert row["text"] == row["added"]
    found = run("export", "lines", "--format", "onnx", folder=made, status=2)
    assert "language models of subwords cannot be exported" in found.stderr
