"""Tiny runs of every kind of data, network, optimizer and schedule from the command line."""

import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from predictors import assert_predicts  # type: ignore[import-not-found]
from run_outcome import TINY, rows  # type: ignore[import-not-found]

from dlcli.errors import InputError
from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv

NUM_SAMPLES = 48
CLASSES = ("ant", "bee", "cat", "dog")
LABELS = np.arange(NUM_SAMPLES) % len(CLASSES)


def values(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Samples whose classes can be told apart: uint8 [n, ...]."""
    noise = np.random.default_rng(seed).integers(0, 90, (NUM_SAMPLES, *shape))
    return (noise + LABELS.reshape(-1, *[1] * len(shape)) * 50).astype(np.uint8)


def write_images(folder: Path) -> Path:
    """Class folders under train and test, the test images in gray, some in another size; and a stray file."""
    for i, pixels in enumerate(values((9, 7, 3))):
        split = "test" if i // 4 % 6 == 5 else "train"
        path = folder / split / CLASSES[LABELS[i]] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).convert("L" if split == "test" else "RGB").save(path)
    Image.fromarray(values((20, 30, 3))[0]).save(folder / "train" / "ant" / "large.png")
    (folder / "train" / "notes.txt").write_text("notes")
    return folder


def recipe(data: str, model: str, train: str = "epochs: 2, batch_size: 16") -> str:
    return f"task: classification\ndata: {{{data}}}\nmodel: {{{model}}}\ntrain: {{{train}}}\n"


CONVNET = "kind: convnet, blocks: [{filters: 4, kernel_size: 3}]"
MLP = "kind: mlp, units: [8]"


def train(folder: Path, text: str, *options: object) -> Path:
    """Trains a recipe in a folder and returns the run."""
    (folder / "recipe.yaml").write_text(text)
    arguments = ("train", "recipe.yaml", *options)
    done = processes.run(*arguments, folder=folder, prepare=processes.without_plots).expect(0)
    run = folder / str(done.stdout.partition(":")[0])
    assert read_json(run / "run.json")["status"] == "completed"
    assert (run / "model.keras").exists()
    return run


def evaluate(folder: Path) -> dict[str, Any]:
    """Evaluates the newest run with its saved model; the result must equal what training wrote."""
    done = processes.run("evaluate", "--json", "-q", folder=folder, prepare=processes.without_plots).expect(0)
    result: dict[str, Any] = json.loads(done.stdout)
    final = read_json(Path(folder / result["run"]) / "run.json")["final"]
    assert result["loss"] == pytest.approx(final[f"{result['split']}_loss"], rel=1e-5)
    return result


# Data -----------------------------------------------------------------------------------------------------------------


def test_a_folder(tmp_path: Path) -> None:
    write_images(tmp_path / "photos")
    run = train(tmp_path, recipe("kind: folder, path: photos, image_size: [8, 8], validation: 0.2", CONVNET))
    info = read_json(run / "run.json")
    assert info["data"]["samples"] == {"train": 33, "validation": 8, "test": 8}
    assert info["data"]["shape"] == [8, 8, 3]
    assert [name for name, _ in info["data"]["left_out"]] == ["train/notes.txt"]
    assert read_json(run / "labels.json") == {"classes": list(CLASSES)}
    assert evaluate(tmp_path)["samples"] == 8
    predicted = processes.run("predict", "recipe", "photos/test/ant", "--json", folder=tmp_path).expect(0)
    assert len(json.loads(predicted.stdout)["predictions"]) == 2


def test_a_csv_with_groups(tmp_path: Path) -> None:
    write_images(tmp_path / "photos")
    files = sorted((tmp_path / "photos").rglob("[0-9]*.png"))
    lines = [f"{path.relative_to(tmp_path)},{path.parent.name},{int(path.stem) // 4}" for path in files]
    (tmp_path / "table.csv").write_text("\n".join(["file,species,scene", *lines]) + "\n")
    columns = "image: file, label: species, group: scene"
    data = f"kind: csv, path: table.csv, {columns}, image_size: [8, 8], color_mode: grayscale"
    run = train(tmp_path, recipe(data, CONVNET))
    split = read_csv(run / "split.csv")
    assert {row["split"] for row in split} == {"train", "validation", "test"}
    splits_of_group = {
        group: {row["split"] for row in rows_of_group}
        for group, rows_of_group in itertools.groupby(sorted(split, key=group_of), key=group_of)
    }
    assert len(splits_of_group) == 12
    assert all(len(splits) == 1 for splits in splits_of_group.values())
    assert read_json(run / "run.json")["data"]["shape"] == [8, 8, 1]
    evaluate(tmp_path)


def group_of(row: dict[str, str]) -> str:
    return row["group"]


@pytest.mark.parametrize(
    ("layout", "shape", "model"),
    [
        ("image", (10, 10), CONVNET),
        ("signal", (20, 2), "kind: convnet, rank: 1, blocks: [{filters: 4, kernel_size: 5, batch_norm: true}]"),
        pytest.param("signal", (20, 2), MLP, marks=pytest.mark.slow),
        pytest.param(
            *("volume", (6, 6, 6, 1), "kind: convnet, rank: 3, blocks: [{filters: 2}], pooling: average"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_arrays(tmp_path: Path, layout: str, shape: tuple[int, ...], model: str) -> None:
    arrays = {"x_train": values(shape), "y_train": LABELS, "x_test": values(shape, 1)[:12], "y_test": LABELS[:12]}
    np.savez(tmp_path / "data.npz", **arrays)
    run = train(tmp_path, recipe(f"kind: npz, path: data.npz, layout: {layout}", model))
    info = read_json(run / "run.json")
    assert info["data"]["samples"]["test"] == 12
    assert info["data"]["shape"][: len(shape)] == list(shape)
    evaluate(tmp_path)
    np.savez(tmp_path / "new.npz", x=values(shape, 1)[:12])
    predicted = processes.run("predict", "recipe", "new.npz", "--json", "-q", folder=tmp_path).expect(0)
    table = read_csv(run / "evaluation" / "test" / "predictions.csv")
    predictions = json.loads(predicted.stdout)["predictions"]
    predictor = assert_predicts(run, list(values(shape, 1)[:12]), predictions)
    assert predictor.kind == f"{layout}s"
    with pytest.raises(InputError, match=r"^the (image|signal|volume): "):
        predictor.read(b"no array")
    confidences = [row["confidence"] for row in predictions]
    assert confidences == pytest.approx([float(row["confidence"]) for row in table], rel=1e-4)


@pytest.mark.parametrize("kind", ["mnist", "cifar10"])
def test_a_local_copy_of_a_keras_dataset(tmp_path: Path, kind: str) -> None:
    shape = (28, 28) if kind == "mnist" else (32, 32, 3)
    labels = np.arange(NUM_SAMPLES) % 10
    arrays = {"x_train": values(shape), "y_train": labels, "x_test": values(shape)[:20], "y_test": labels[:20]}
    (tmp_path / "elsewhere").mkdir()
    np.savez(tmp_path / "elsewhere" / "copy.npz", **arrays)
    run = train(tmp_path, recipe(f"kind: {kind}", MLP), "--data", "elsewhere/copy.npz")
    assert read_json(run / "run.json")["config"]["data"]["path"] == str(tmp_path / "elsewhere" / "copy.npz")
    evaluate(tmp_path)


def test_data_on_the_command_line_are_relative_to_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    np.savez(tmp_path / "data.npz", x_train=values((6, 6)), y_train=LABELS)
    (tmp_path / "recipes" / "npz.yaml").write_text(recipe("kind: npz, path: data.npz", MLP))
    missing = processes.run("train", "recipes/npz.yaml", folder=tmp_path).expect(2)
    assert missing.stderr.startswith("recipes/npz.yaml:2:25: data.path: no such file or folder: ")
    assert "--data PATH" in missing.stderr
    arguments = ("train", "recipes/npz.yaml", "--data", "data.npz", "--dry-run")
    processes.run(*arguments, folder=tmp_path).expect(0)


# How networks are trained ---------------------------------------------------------------------------------------------


@pytest.mark.slow  # tests/workflow/test_stages.py compares the weights of two stages
def test_stages_train_what_they_name(folder: Path) -> None:
    stages = ["head", "2", "stage1", "all"]
    listed = ", ".join(f"{{name: s{i}, epochs: 1, trainable: {depth}}}" for i, depth in enumerate(stages))
    text = TINY.replace("  epochs: 2\n", f"  stages: [{listed}]\n  checkpoint: {{steps: 4}}\n")
    (folder / "staged.yaml").write_text(text)
    done = processes.run("train", "staged.yaml", "--dry-run", "--json", folder=folder).expect(0)
    counts = [stage["trainable_parameters"] for stage in json.loads(done.stdout)["schedule"]]
    head, dense = 16 * 10 + 10, 6 * 6 * 4 * 16 + 16
    every = head + dense + 4 * 9 + 2 * 4  # batch normalization's scale and shift; its convolution has no bias
    assert counts == [head, head + dense, every, every]
    run = train(folder, text)
    assert [row["stage"] for row in rows(run)] == ["s0", "s1", "s2", "s3"]
    processes.call(check_frozen, run, folder=folder).expect(0)


def check_frozen(run: Path) -> None:
    """Checks that the first stage of another run changes the head alone."""
    import keras

    from dlcli.cli import cli

    arguments = ["train", "recipe.yaml", "-s", "train.stages=[{name: only, epochs: 1, trainable: head}]", "-q"]
    initial: dict[str, np.ndarray] = {}

    def note_initial(build: Any) -> Any:
        def wrapper(*args: Any, **keys: Any) -> Any:
            classifier = build(*args, **keys)
            initial.update({weight.path: weight.numpy() for weight in classifier.model.weights})
            return classifier

        return wrapper

    processes.without_plots()
    processes.replace("dlcli.tasks.images.network.with_head", note_initial)
    cli.main([*arguments, "--name", "frozen"], standalone_mode=False)
    trained = keras.saving.load_model(run.parent / "frozen" / "model.keras")
    moved = {weight.path for weight in trained.weights if not np.array_equal(weight.numpy(), initial[weight.path])}
    assert moved == {"logits/kernel", "logits/bias"}, moved


@pytest.mark.slow  # tests/training/test_step.py divides weighted batches
def test_class_weights_mean_the_same_with_gradient_accumulation(tmp_path: Path) -> None:
    uneven = np.concatenate([np.arange(36), np.flatnonzero(LABELS == 0)])  # ant has more than the others
    np.savez(tmp_path / "data.npz", x_train=values((6, 6))[uneven], y_train=LABELS[uneven])
    keys = {
        "whole": "class_weights: balanced",
        "parts": "class_weights: balanced, gradient_accumulation: 3",
        "plain": "class_weights: null",
    }
    for name, key in keys.items():
        text = recipe("kind: npz, path: data.npz, validation: 0, test: 0", MLP, f"epochs: 2, batch_size: 16, {key}")
        (tmp_path / f"{name}.yaml").write_text(text)
    processes.run_all(*(["train", f"{name}.yaml", "-q"] for name in keys), folder=tmp_path)
    runs = {name: rows(tmp_path / "runs" / name) for name in keys}
    losses = {name: [float(row["train_loss"]) for row in table] for name, table in runs.items()}
    assert losses["parts"] == pytest.approx(losses["whole"], rel=1e-4)
    assert losses["plain"] != pytest.approx(losses["whole"], rel=1e-3)


OPTIMIZERS = [
    "kind: sgd, momentum: 0.9, nesterov: true, weight_decay: 1e-4",
    "kind: rmsprop, momentum: 0.5",
    "kind: adam, weight_decay: 1e-3",
    "kind: adamw",
]
SCHEDULES = [
    "kind: constant, warmup_epochs: 1",
    "kind: step, every: 1, factor: 0.5",
    "kind: exponential",
    "kind: cosine, warmup_epochs: 0.5, final: 0.1",
    "kind: plateau, patience: 1, min_delta: 100, factor: 0.1, minimum: 1e-5",
]
CLIPPINGS = ["kind: norm, value: 1", "kind: global_norm, value: 1", "kind: value, value: 0.1"]


@pytest.mark.slow
def test_every_optimizer_schedule_and_clipping(tmp_path: Path) -> None:
    combinations = zip(itertools.cycle(OPTIMIZERS), SCHEDULES, itertools.cycle(CLIPPINGS), strict=False)
    for number, (optimizer, schedule, clipping) in enumerate(combinations):
        keys = f"optimizer: {{{optimizer}}}, schedule: {{{schedule}}}, gradient_clipping: {{{clipping}}}"
        text = recipe("kind: digits, limit: 40", MLP, f"epochs: 4, batch_size: 10, ema: 0.5, {keys}")
        (tmp_path / f"run{number}.yaml").write_text(text)
    commands = (["train", f"run{number}.yaml", "-q"] for number in range(len(SCHEDULES)))
    processes.run_all(*commands, folder=tmp_path)
    rates = [[float(row["learning_rate"]) for row in rows(tmp_path / "runs" / f"run{i}")] for i in range(5)]
    constant, step, exponential, cosine, plateau = rates
    assert constant == pytest.approx([0.01 * 4 / 5, 0.01, 0.01, 0.01], rel=1e-6)
    assert step == pytest.approx([1e-3, 5e-4, 2.5e-4, 1.25e-4], rel=1e-6)
    last_step_of = [0.95 ** ((4 * epoch + 3) / 4) for epoch in range(4)]
    assert exponential == pytest.approx([1e-3 * factor for factor in last_step_of], rel=1e-6)
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[-1] == pytest.approx(1e-4, rel=1e-5)
    assert plateau == pytest.approx([1e-2, 1e-2, 1e-3, 1e-4], rel=1e-6)  # the second epoch is no improvement


# model.keras in another program ---------------------------------------------------------------------------------------

PLAIN_KERAS = """
import sys
import keras
import numpy as np

data = np.load(sys.argv[1])["x_test"].astype("float32")[..., None]
for name in sys.argv[2:]:
    model = keras.saving.load_model(f"runs/{name}/model.keras")
    np.save(f"{name}.npy", model.predict(data, verbose=0))
    assert [layer.name for layer in model.layers[-2:]] == ["logits", "probabilities"]
assert not any(module.split(".")[0] == "dlcli" for module in sys.modules)
"""


@pytest.mark.slow  # the workflow tests of each task load model.keras so too
def test_models_load_in_plain_keras_and_give_the_same_outputs(tmp_path: Path) -> None:
    x = values((28, 28))
    np.savez(tmp_path / "data.npz", x_train=x, y_train=LABELS, x_test=values((28, 28), 1)[:20], y_test=LABELS[:20])
    models = {
        "convnet": "kind: convnet, preprocessing: symmetric, blocks: [{filters: 4, batch_norm: true}], dropout: 0.5",
        "lenet5": "kind: lenet5",
        "mlp": "kind: mlp, batch_norm: true, dropout: 0.2",
        "augmented": "kind: mlp",
    }
    augment = "augment: {width_shift_range: 2, mixup: 0.2, samplewise_center: true, zca_whitening: true}\n"
    for name, model in models.items():
        text = recipe("kind: npz, path: data.npz", model)
        (tmp_path / f"{name}.yaml").write_text(text + (augment if name == "augmented" else ""))
    processes.run_all(*(["train", f"{name}.yaml", "-q"] for name in models), folder=tmp_path)
    command = [sys.executable, "-I", "-c", PLAIN_KERAS, "data.npz", *models]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in models:
        found = np.load(tmp_path / f"{name}.npy")
        table = read_csv(tmp_path / "runs" / name / "evaluation" / "test" / "predictions.csv")
        written = [[float(row[f"p_{label}"]) for label in range(len(CLASSES))] for row in table]
        np.testing.assert_allclose(found, written, rtol=1e-4, atol=1e-6)
        assert len({row.tobytes() for row in found}) == 20
