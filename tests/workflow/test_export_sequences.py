"""``dlcli export`` of texts, language models and encoder-decoders: example clients predict what Keras models do."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from processes import run_without_plots as run  # type: ignore[import-not-found]

OLD = Path(__file__).parent / "old_runs"
TAGGED = "the DET\ncat NOUN\nsleeps VERB\n\nthe DET\nbig ADJ\ndog NOUN\nbarks VERB\nloudly ADV\n\n"
TAGGER = """\
task: tagging
data: {kind: columns, path: tags.txt, validation: 0.25, test: 0.25, allow_leakage: true}
text: {embedding: 4}
model: {kind: recurrent, cell: gru, units: 4, crf: true}
train: {epochs: 1, batch_size: 4}
"""
TEXTS = {"good": ["A fine, fine film!", "I liked it, truly"], "bad": ["what a BORE", "dull and long, dull"]}
RECIPE = """\
task: text_classification
data: {kind: lines, path: texts, validation: 0.25, test: 0.25, allow_leakage: true}
text: {unit: words, embedding: 4, min_count: 1}
model: {kind: recurrent, cell: gru, units: 4, bidirectional: true}
train: {epochs: 1, batch_size: 8}
"""
LANGUAGE = """\
task: language_model
data: {kind: text, path: long.txt}
text: {unit: characters, embedding: 4, max_length: 8}
model: {kind: recurrent, cell: lstm, units: 4, layers: 2}
train: {epochs: 1, batch_size: 4}
"""


def exported(folder: Path, name: str, format_: str, *arguments: str) -> dict[str, Any]:
    done = run("export", name, "--format", format_, "--samples", "8", *arguments, "--json", folder=folder)
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["check"]["passed"]
    return result


def client(folder: Path, result: dict[str, Any], argument: str) -> str:
    program = [sys.executable, f"{result['folder']}/client.py", argument]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_texts_are_split_by_the_client_as_by_the_network(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "texts").mkdir()
    for label, lines in TEXTS.items():
        (tmp_path / "texts" / f"{label}.txt").write_text("".join(f"{line} {i}\n" for i in range(8) for line in lines))
    (tmp_path / "t.yaml").write_text(RECIPE)
    run("train", "t.yaml", folder=tmp_path)
    own = json.loads(run("evaluate", "t", "--json", folder=tmp_path).stdout)
    result = exported(tmp_path, "t", "onnx", "--evaluate")
    assert result["metrics"]["accuracy"] == own["accuracy"]
    assert result["metrics"]["loss"] == pytest.approx(own["loss"], abs=1e-4)
    assert result["inputs"][0]["name"] == "token_ids"
    model = keras.saving.load_model(tmp_path / "runs" / "t" / "model.keras")
    for text in ("A FINE film!", "dull, no?  unheard-of", ""):
        reference = np.asarray(model(tf.constant([text])))[0]
        first = client(tmp_path, result, text).splitlines()[0]
        assert first.split()[0] == f"{reference.max():.4f}"


@pytest.mark.slow
def test_one_step_of_a_language_model(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "long.txt").write_text("the quick brown fox jumps over the lazy dog. " * 20)
    (tmp_path / "l.yaml").write_text(LANGUAGE)
    run("train", "l.yaml", folder=tmp_path)
    own = json.loads(run("evaluate", "l", "--json", folder=tmp_path).stdout)
    result = exported(tmp_path, "l", "onnx", "--evaluate")
    for metric in ("loss", "accuracy", "bits_per_byte"):
        assert result["metrics"][metric] == pytest.approx(own[metric], abs=1e-5)
    assert (tmp_path / result["folder"] / "evaluation" / "test" / "sample.txt").stat().st_size > 400
    assert len(result["inputs"]) == 5  # two states of each of two layers
    text = "the quick"
    generated = json.loads(
        run("generate", "l", "--prompt", text, "--length", "1", "--temperature", "0", "--json", folder=tmp_path).stdout
    )
    assert client(tmp_path, result, text).removesuffix("\n") == generated["samples"][0]["text"]


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["saved_model", "onnx"])
def test_an_encoder_decoder(tmp_path: Path, format_: str) -> None:
    if format_ == "onnx":
        pytest.importorskip("onnxruntime")
    shutil.copytree(OLD / "addition", tmp_path / "runs" / "addition")
    own = json.loads(run("evaluate", "addition", "--json", folder=tmp_path).stdout)
    result = exported(tmp_path, "addition", format_, "--evaluate")
    assert result["check"]["agreement"] == 1.0
    for metric in ("exact", "token_accuracy", "chrf"):
        assert result["metrics"][metric] == own[metric]
    assert "loss" not in result["metrics"]
    predicted = json.loads(run("predict", "addition", "--text", "12+7", "--json", folder=tmp_path).stdout)
    assert client(tmp_path, result, "12+7").strip() == predicted["predictions"][0]["predicted"]


@pytest.mark.slow
def test_the_tags_of_a_conditional_random_field(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "tags.txt").write_text(TAGGED * 12)
    (tmp_path / "c.yaml").write_text(TAGGER)
    run("train", "c.yaml", folder=tmp_path)
    own = json.loads(run("evaluate", "c", "--json", folder=tmp_path).stdout)
    result = exported(tmp_path, "c", "onnx", "--evaluate")
    assert result["check"]["agreement_of"] == "tags"
    assert result["metrics"]["accuracy"] == own["accuracy"]
    assert result["metrics"]["macro_f1"] == own["macro_f1"]
    assert "loss" not in result["metrics"]
    assert exported(tmp_path, "c", "onnx", "--quantize", "float16")["check"]["agreement"] == 1.0
    (predicted,) = json.loads(run("predict", "c", "--text", "the big cat", "--json", folder=tmp_path).stdout)[
        "predictions"
    ]
    pairs = zip(predicted["words"], predicted["tags"], strict=True)
    assert client(tmp_path, result, "the big cat").split() == [f"{word}/{tag}" for word, tag in pairs]
