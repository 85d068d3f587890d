"""Several labels per image from end to end: thresholds, exact resume, evaluation, prediction and refused input."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from predictors import assert_predicts  # type: ignore[import-not-found]
from processes import run_without_plots as run  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]
from sklearn.metrics import average_precision_score, f1_score

from dlcli.rundir.tables import read_csv

RECIPE = """\
task: multilabel
data: {kind: csv, path: photos, label: tags, separator: "|", image_size: 8}
augment: {vertical_flip: true, cutmix: 0.5}
model: {kind: convnet, blocks: [{filters: 8, batch_norm: true}], pooling: average}
train:
  batch_size: 16
  epochs: 6
  loss: [{kind: cross_entropy}, {kind: focal, weight: 0.5}]
  optimizer: {kind: adam, learning_rate: 0.05}
  checkpoint: {steps: 2}
"""
NUM_IMAGES = 80
COLORS = ("blue", "green", "red")  # as the labels are sorted


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images whose labels are their colors, a table and the completed run photos."""
    folder: Path = tmp_path_factory.mktemp("multilabel")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    lines = ["path,tags"]
    for i in range(NUM_IMAGES):
        applies = rng.random(3) < (0.2, 0.5, 0.7)
        pixels = rng.normal(np.where(applies[::-1], 150, 90), 40, (12, 12, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{i:02}.png")
        lines.append(f"{i:02}.png," + "|".join(np.array(COLORS)[applies]))
    (folder / "photos" / "tags.csv").write_text("\n".join(lines) + "\n")
    (folder / "photos.yaml").write_text(RECIPE)
    processes.run("train", "photos.yaml", folder=folder).expect(0)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder ``made``, which a test may change."""
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


def test_results_equal_those_of_the_model_file_in_plain_keras_and_scikit_learn(made: Path) -> None:
    made_run = made / "runs" / "photos"
    model = keras.saving.load_model(made_run / "model.keras")
    tags = {row["path"]: row["tags"].split("|") for row in read_csv(made / "photos" / "tags.csv")}

    def of_split(name: str) -> tuple[np.ndarray, np.ndarray]:
        files = [row["file"] for row in read_csv(made_run / "split.csv") if row["split"] == name]
        images = [Image.open(made / "photos" / file).resize((8, 8), Image.Resampling.BILINEAR) for file in files]
        scores = model.predict(np.stack([np.asarray(image, np.float32) for image in images]), verbose=0)
        return np.array([[color in tags[file] for color in COLORS] for file in files]), scores

    thresholds = json.loads((made_run / "thresholds.json").read_text())["thresholds"]
    assert tuple(thresholds) == COLORS
    true, scores = of_split("validation")
    for i, color in enumerate(COLORS):  # no threshold has a higher F1 on validation
        best = f1_score(true[:, i], scores[:, i] >= thresholds[color], zero_division=0)
        others = [f1_score(true[:, i], scores[:, i] >= t, zero_division=0) for t in np.linspace(0, 1, 101)]
        assert best >= max(others) - 1e-9
    true, scores = of_split("test")
    predicted = scores >= np.array(list(thresholds.values()))
    metrics = json.loads((made_run / "evaluation" / "test" / "metrics.json").read_text())
    assert metrics["micro_f1"] == pytest.approx(f1_score(true, predicted, average="micro"))
    assert metrics["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"))
    assert metrics["mean_average_precision"] == pytest.approx(average_precision_score(true, scores), abs=1e-6)
    assert metrics["exact_match"] == pytest.approx((true == predicted).all(axis=1).mean())
    assert metrics["mean_average_precision"] > metrics["baseline_mean_average_precision"] + 0.1
    rows = read_csv(made_run / "evaluation" / "test" / "predictions.csv")
    assert [row["predicted"] for row in rows] == ["|".join(np.array(COLORS)[row]) for row in predicted]
    assert [row["label"] for row in read_csv(made_run / "evaluation" / "test" / "per_label.csv")] == list(COLORS)
    for name in ("batch.png", "per_label.png", "mistakes.png", "precision_recall.png", "curves.png"):
        with Image.open(made_run / "plots" / name) as image:
            assert image.size[0] > 100


@pytest.mark.slow  # tests/workflow/test_stages.py kills a quick one
@pytest.mark.parametrize("call", [4, 11])
def test_a_killed_run_resumes_to_the_same_result(folder: Path, call: int) -> None:
    processes.run("train", "photos.yaml", "--name", "killed", folder=folder, prepare=processes.KillAtCheckpoint(call))
    shown = run("evaluate", "killed", folder=folder)  # before the thresholds are chosen
    assert "until then they are 0.5" in shown.stderr
    run("train", "--resume", "killed", folder=folder)
    assert_same_but_name(folder / "runs" / "photos", folder / "runs" / "killed")
    texts = [(folder / "runs" / name / "thresholds.json").read_text() for name in ("photos", "killed")]
    assert texts[0] == texts[1]


def test_evaluation_on_other_data_uses_the_run_s_thresholds(folder: Path) -> None:
    again = json.loads(run("evaluate", "photos", "--json", folder=folder).stdout)
    stored = json.loads((folder / "runs" / "photos" / "thresholds.json").read_text())["thresholds"]
    assert again["thresholds"] == list(stored.values())
    shutil.copytree(folder / "photos", folder / "new")
    (folder / "new" / "tags.csv").write_text("path,tags\n00.png,red\n01.png,\n")
    found = json.loads(run("evaluate", "photos", "--data", "new", "--json", folder=folder).stdout)
    assert (found["samples"], found["absent_labels"]) == (2, ["blue", "green"])
    assert found["thresholds"] == again["thresholds"]
    (folder / "new" / "tags.csv").write_text("path,tags\n00.png,purple\n")
    refused = processes.run("evaluate", "photos", "--data", "new", folder=folder).expect(2)
    assert "Received 'purple'" in refused.stderr


def test_prediction_prints_and_writes_labels(folder: Path) -> None:
    done = run("predict", "photos", "photos/00.png", "photos/01.png", "-o", "found.csv", folder=folder)
    rows = read_csv(folder / "found.csv")
    assert list(rows[0]) == ["file", "predicted", *(f"p_{color}" for color in COLORS)]
    assert done.stdout.splitlines()[0].split() == ["file", "labels"]
    found = json.loads(run("predict", "photos", "photos/00.png", "--json", folder=folder).stdout)["predictions"][0]
    assert_predicts(folder / "runs" / "photos", [(folder / "photos" / "00.png").read_bytes()], [found])
    assert sorted(found["predicted"]) == sorted(filter(None, rows[0]["predicted"].split("|")))
    assert [row["predicted"] for row in found["labels"]] == [
        row["label"] in found["predicted"] for row in found["labels"]
    ]
    probabilities = [row["probability"] for row in found["labels"]]
    assert probabilities == sorted(probabilities, reverse=True)


def test_one_label_of_several_is_explained(folder: Path) -> None:
    options = ("--method", "integrated", "--limit", "5", "--check", "--json")
    result = json.loads(run("explain", "photos", "--class", "red", *options, folder=folder).stdout)
    with np.load(Path(folder, result["folder"], "maps.npz")) as arrays:
        model = keras.saving.load_model(folder / "runs" / "photos" / "model.keras")
        scores = np.asarray(model(arrays["images"].astype(np.float32), training=False))
    rows = result["explanations"]
    assert [row["class"] for row in rows] == ["red"] * 5
    np.testing.assert_allclose([row["probability"] for row in rows], scores[:, 2], rtol=1e-4)
    assert [row["predicted"] for row in rows] == [COLORS[i] for i in scores.argmax(1)]
    assert result["check"]["grid_pointing"]["mosaics"] == 0  # a mosaic would mix the labels of its images
    refused = run("explain", "photos", "--class", "label", folder=folder, status=2)
    assert "have no label, or several. Name a class." in refused.stderr


def test_the_other_verbs_and_corrupt_runs(folder: Path) -> None:
    assert "only classification." in processes.run("attack", "--fgsm", "photos", folder=folder).expect(2).stderr
    assert "photos.yaml: no problems found" in run("data", "check", "photos.yaml", folder=folder).stderr
    run("data", "preview", "photos.yaml", "-o", "preview.png", folder=folder)
    (folder / "scenes.yaml").write_text(
        "task: multilabel\ndata: {kind: scenes, num_samples: 20, image_size: 16}\nmodel: {kind: mlp}\n"
    )
    run("train", "scenes.yaml", "--dry-run", folder=folder)
    file = folder / "runs" / "photos" / "thresholds.json"
    for text in ('{"thresholds": {"blue": 0.5}}', '{"thresholds": {"blue": 2.0, "green": 0.5, "red": 0.5}}'):
        file.write_text(text)
        refused = processes.run("predict", "photos", "photos/00.png", folder=folder).expect(2)
        assert "thresholds.json: is corrupt: it must have a threshold in [0, 1]" in refused.stderr
