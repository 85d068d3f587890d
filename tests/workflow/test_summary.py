"""``dlcli summary`` from the command line."""

import csv
import io
import json
import warnings
from pathlib import Path

import keras
import processes  # type: ignore[import-not-found]
import pytest

RECIPE = """\
task: classification
data: {kind: digits, image_size: [32, 32]}
model: {kind: resnet, depth: 20, width: 0.25}
train: {epochs: 1, batch_size: 64, optimizer: {kind: sgd, momentum: 0.9}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """r.yaml, missing.yaml without its data, model.keras, and a run of r.yaml."""
    folder = tmp_path_factory.mktemp("summary")
    (folder / "r.yaml").write_text(RECIPE)
    (folder / "missing.yaml").write_text(RECIPE.replace("kind: digits", "kind: folder, path: nowhere"))
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="dense")], name="inner")
    inputs = keras.Input((6, 6, 1), name="inputs")
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = inner(keras.layers.GlobalMaxPooling2D(name="pool")(x))
    keras.Model(inputs, keras.ops.matmul(x, keras.ops.ones((3, 2)))).save(folder / "model.keras")
    processes.run("train", "r.yaml", "--limit", "64", "--name", "done", folder=folder).expect(0)
    return folder


def summary(folder: Path, *arguments: str) -> str:
    return str(processes.run("summary", *arguments, folder=folder).expect(0).stdout)


def test_a_recipe_its_run_and_its_model_have_the_same_layers(folder: Path) -> None:
    recipe = json.loads(summary(folder, "r.yaml", "--json"))
    run = json.loads(summary(folder, "done", "--json"))
    newest = json.loads(summary(folder, "--json"))
    model = json.loads(summary(folder, "runs/done/model.keras", "--json", "--batch-size", "64"))
    for other in (run, newest, model):
        assert other["layers"] == recipe["layers"]
    assert recipe["training_memory"] == run["training_memory"]
    assert recipe["training_memory"]["optimizer"] == 4 * recipe["trainable"]  # momentum
    assert model["training_memory"]["optimizer"] == 8 * recipe["trainable"]  # Adam is assumed
    assert (folder / "runs/done/model.txt").read_text().startswith(summary(folder, "r.yaml").split("\n\nMemory")[0])


def test_other_input_shapes(folder: Path) -> None:
    found = json.loads(summary(folder, "missing.yaml", "--input", "48x40x3", "--classes", "7", "--json"))
    assert found["input_shapes"] == [[48, 40, 3]]
    assert found["layers"][-1]["output_shapes"] == [[7]]
    deeper = json.loads(summary(folder, "r.yaml", "-s", "model.depth=32", "--json"))
    assert len(deeper["layers"]) > len(found["layers"])


def test_any_model_file_can_be_summarized(folder: Path) -> None:
    text = summary(folder, "model.keras")
    assert "inner/dense" in text
    assert "Not counted: " in text
    assert "(Matmul)" in text
    assert "batches of 32" in text
    assert text.endswith("; with Adam, in float32\n")


def test_csv_output(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(summary(folder, "model.keras", "--csv"))))
    numbers = ["4x4x4", "40", "0", "false", "64", "0.000244", "576", "64", "0", "0", "3x3"]
    assert list(rows[1].values()) == ["conv", "Conv2D", *numbers]
    assert list(rows[1]) == [
        *("layer", "kind", "output", "trainable", "non_trainable", "shared", "activations", "mib"),
        *("multiply_adds", "bias_additions", "normalization", "pooling", "field"),
    ]
    assert rows[-1]["multiply_adds"] == ""
    lines = summary(folder, "model.keras", "--markdown").splitlines()
    assert lines[0].startswith("| layer | kind | output | parameters |")
    assert lines[1] == "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert {line.count("|") for line in lines} == {10}


@pytest.mark.slow
def test_a_recurrent_network_unfolded_in_time(folder: Path) -> None:
    (folder / "rnn.yaml").write_text(
        "task: sequence_regression\ndata: {kind: adding, length: 9, num_samples: 100}\n"
        "model: {kind: recurrent, cell: simple, units: 5}\ntrain: {epochs: 1, batch_size: 8}\n"
    )
    found = json.loads(summary(folder, "rnn.yaml", "--unfold", "--plot", "graph.png", "--json"))
    assert found["form"] == "many to one"
    assert [(node["symbol"], node["steps"], node["parameters"]) for node in found["nodes"]] == [
        *(("x", 9, 0), ("h", 9, 5 * (2 + 5 + 1)), ("o", 1, 6))
    ]
    assert (folder / "graph.png").read_bytes().startswith(b"\x89PNG")
    assert summary(folder, "rnn.yaml", "--unfold", "--csv").splitlines()[2].startswith("h(t),simple1,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.keras",), "nothing.keras: no such file."),
        (("r.yaml", "--csv", "--json"), "dlcli summary: --csv and --json cannot be combined."),
        (("done", "-s", "model.depth=32"), "dlcli summary: --set is for a recipe; a trained network"),
        (("r.yaml", "--input", "32x32x3"), "dlcli summary: --input and --classes must be given together"),
        (("r.yaml", "--input", "32by32", "--classes", "3"), "dlcli summary: invalid value for --input: expected"),
        (("r.yaml", "--input", "32x32", "--classes", "3"), "--input: resnet takes images, height"),
        (("r.yaml", "--input", "3x32x32", "--classes", "3"), "--input: resnet takes images, height"),
        (("r.yaml", "--input", "100000x1x3", "--classes", "3"), "dlcli summary: invalid value for --input: expected"),
        (("r.txt",), "r.txt: expected a recipe (.yaml), a run directory or a model (.keras)."),
        (("unbuilt.keras",), "unbuilt.keras: a layer table needs a built model"),
        (("old.h5",), "old.h5: whole models are loaded only from .keras files"),
        (("missing.yaml",), "missing.yaml:2:28: data.path: no such file or folder"),
        (("r.yaml", "-s", "model={kind: vgg}", "--input", "31x40x3", "--classes", "3"),
         "--set model={kind: vgg}: model: vgg of depth 16 needs images of at least 32x32: set data.image_size."),
        (("broken.keras",), "broken.keras: is not a Keras model file"),
        (("r.yaml", "--batch-size", "0"), "dlcli summary: invalid value for '--batch-size'"),
        (("r.yaml", "--plot", "x.png"), "dlcli summary: --plot draws the graph of --unfold. Give both."),
        (("r.yaml", "--unfold"), "r.yaml: has no recurrent layer that could be unfolded in time."),
        (("model.keras", "--unfold"), "model.keras: --unfold is for a recipe, or for a run that trained one network."),
    ],
)  # fmt: skip
def test_refused_input(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    (folder / "broken.keras").write_bytes(b"PK no")
    (folder / "r.txt").write_text(RECIPE)
    with warnings.catch_warnings(action="ignore"):  # Keras's, that there are no weights to save
        keras.Sequential([keras.layers.Dense(3)]).save(folder / "unbuilt.keras")
    done = processes.run("summary", *arguments, folder=folder).expect(2)
    assert done.stderr.splitlines()[-1].startswith(message)
    assert done.stdout == ""
