"""``dlcli evaluate`` and ``dlcli predict`` from the command line, on the run of the installed command."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from predictors import assert_predicts  # type: ignore[import-not-found]
from run_outcome import TINY  # type: ignore[import-not-found]
from sklearn.datasets import load_digits

from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv


@pytest.fixture(scope="module")
def folder(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the trained run, and its test split as class folders of PNG files, as .npz and as .csv."""
    folder: Path = tmp_path_factory.mktemp("evaluate")
    shutil.copytree(trained, folder / "runs" / "tiny")
    digits = load_digits()
    pixels = np.rint(digits.images * 255 / 16).astype(np.uint8)
    test = [int(row["file"].partition("/")[2]) for row in read_csv(trained / "split.csv") if row["split"] == "test"]
    for i in test:
        path = folder / "photos" / str(digits.target[i]) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[i]).save(path)
    np.savez(folder / "test.npz", x_train=pixels[test], y_train=digits.target[test].astype(str))
    np.savez(folder / "unknown.npz", x=pixels[test])
    lines = [f"photos/{digits.target[i]}/{i}.png,{digits.target[i]}" for i in test]
    (folder / "photos.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    return folder


@pytest.fixture(scope="module")
def final(trained: Path) -> dict[str, float]:
    """The final metrics of the run."""
    return dict(read_json(trained / "run.json")["final"])


@pytest.fixture(scope="module")
def probabilities(trained: Path) -> dict[str, list[float]]:
    """The probabilities of each digit of the test split, by its index."""
    table = read_csv(trained / "evaluation" / "test" / "predictions.csv")
    return {row["file"].partition("/")[2]: [float(row[f"p_{digit}"]) for digit in range(10)] for row in table}


def run(*arguments: object, folder: Path, status: int = 0) -> processes.Finished:
    return processes.run(*arguments, folder=folder, prepare=processes.without_plots).expect(status)


def as_json(*arguments: object, folder: Path) -> dict[str, Any]:
    """The result of a command that writes JSON to stdout and nothing to stderr."""
    done = run(*arguments, "--json", "-q", folder=folder)
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


# evaluate -------------------------------------------------------------------------------------------------------------


def test_the_newest_run_is_the_default(folder: Path, final: dict[str, float]) -> None:
    done = run("evaluate", folder=folder)
    first, *others = done.stdout.splitlines()
    assert first == "runs/tiny, test: 60 samples"
    assert others[-1] == "files in runs/tiny/evaluation/test"
    shown = {line.split()[0]: line.split()[1] for line in others[:-1]}
    assert float(shown["accuracy"]) == pytest.approx(final["test_accuracy"], abs=1e-4)
    assert float(shown["loss"]) == pytest.approx(final["test_loss"], abs=1e-4)
    progress, beaten, neglected = done.stderr.splitlines()
    assert progress == "run runs/tiny: evaluating 60 samples of test"
    assert beaten.startswith("no better than the baseline, logistic regression on ")
    assert neglected.endswith("; see train.class_weights and data.sampling")  # a run this tiny predicts few classes


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split(folder: Path, final: dict[str, float], split: str) -> None:
    result = as_json("evaluate", "tiny", "--split", split, folder=folder)
    assert (result["run"], result["split"], result["samples"]) == ("runs/tiny", split, 60)
    assert np.sum(result["confusion_matrix"]) == 60
    table = read_csv(folder / "runs" / "tiny" / "evaluation" / split / "predictions.csv")
    of_split = {row["file"] for row in read_csv(folder / "runs" / "tiny" / "split.csv") if row["split"] == split}
    assert {row["file"] for row in table} == of_split
    if split == "validation":  # as training measured it: the same weights, best epoch
        assert result["loss"] == pytest.approx(final["val_loss"], rel=1e-5)
        assert result["accuracy"] == pytest.approx(final["val_accuracy"])
    if split == "test":
        assert result["loss"] == pytest.approx(final["test_loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("data", "name"), [("photos", "photos-all"), ("test.npz", "test-all"), ("photos.csv", "photos-all-2")]
)
def test_other_data_with_the_same_labels(folder: Path, final: dict[str, float], data: str, name: str) -> None:
    """The run's own test images in other formats give the same results."""
    if data == "photos.csv":  # another source of the same name has its own folder
        as_json("evaluate", "--data", "photos", folder=folder)
    result = as_json("evaluate", "--data", data, folder=folder)
    assert (result["split"], result["samples"]) == (name, 60)
    assert result["accuracy"] == pytest.approx(final["test_accuracy"])
    assert result["loss"] == pytest.approx(final["test_loss"], rel=1e-5)
    assert read_json(folder / "runs" / "tiny" / "evaluation" / name / "metrics.json")["samples"] == 60
    assert as_json("evaluate", "--data", data, folder=folder)["split"] == name  # again: the same folder


def test_data_of_another_recipe(folder: Path) -> None:
    other = TINY.replace("limit: 60", "limit: 30").replace("[12, 12]", "[9, 9]")  # its size does not count
    (folder / "other.yaml").write_text(other)
    done = run("evaluate", "runs/tiny", "--data", "other.yaml", "--split", "train", "--json", "-q", folder=folder)
    assert done.stderr == "warning: 30 of 30 images were in the training split: not a test score\n"
    result = json.loads(done.stdout)
    assert (result["split"], result["samples"]) == ("other-train", 30)


def test_unusable_data(folder: Path) -> None:
    cats = folder / "cats"
    for name in ("cat", "dog"):
        (cats / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(next((folder / "photos" / "1").iterdir()), cats / name / "1.png")
    (folder / "text.txt").write_text("hello")
    (folder / "bad.yaml").write_text("task: classification\n")
    for data, expected in [
        ("cats", "cat"),
        ("nowhere", "nowhere: no such recipe, file or folder."),
        ("text.txt", "text.txt: expected a recipe, a folder of class folders, a .csv or an .npz."),
        ("bad.yaml", "bad.yaml:1:1: data: "),
    ]:
        done = run("evaluate", "--data", data, folder=folder, status=2)
        assert expected in done.stderr, done
        assert done.stdout == ""
    done = run("evaluate", "--data", "photos", "--split", "validation", folder=folder, status=2)
    assert "photos: has no validation split. Available: train." in done.stderr
    assert not (folder / "runs" / "tiny" / "evaluation" / "cats-all").exists()


def test_missing_splits_and_runs(folder: Path) -> None:
    done = run("evaluate", "--split", "holdout", folder=folder, status=2)
    assert "'holdout' is not one of 'train', 'validation', 'test'" in done.stderr
    done = run("evaluate", "tony", folder=folder, status=2)
    assert done.stderr == "tony: no such run in runs. Newest runs: tiny.\n"
    done = run("evaluate", "--runs", "nowhere", folder=folder, status=2)
    assert done.stderr.startswith("nowhere: no runs found.")
    done = run("evaluate", "--device", "gpu:9", folder=folder, status=2)
    assert "no such GPU" in done.stderr


def test_without_a_test_split_validation_is_evaluated(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    run("train", "tiny.yaml", "--epochs", 1, "-s", "data.test=0", folder=tmp_path)
    assert [path.name for path in (tmp_path / "runs" / "tiny" / "evaluation").iterdir()] == ["validation"]
    result = as_json("evaluate", folder=tmp_path)
    assert result["split"] == "validation"
    info = read_json(tmp_path / "runs" / "tiny" / "run.json")
    assert info["final"]["validation_loss"] == pytest.approx(info["final"]["val_loss"], rel=1e-5)
    done = run("evaluate", "--split", "test", folder=tmp_path, status=2)
    assert done.stderr == "runs/tiny: its data have no test split. Available: train, validation.\n"


def test_all_probabilities_and_safe_tables(folder: Path, probabilities: dict[str, list[float]]) -> None:
    options = ("--probabilities", "--safe-csv", "--top-k", 2, "--top-k", 3)
    result = as_json("evaluate", "--split", "test", *options, folder=folder)
    assert result["accuracy"] <= result["top_2_accuracy"] <= result["top_3_accuracy"] <= result["top_5_accuracy"]
    test = folder / "runs" / "tiny" / "evaluation" / "test"
    with np.load(test / "probabilities.npz", allow_pickle=False) as archive:
        expected = [probabilities[name.partition("/")[2]] for name in archive["file"]]
        np.testing.assert_allclose(archive["probabilities"], expected, rtol=1e-5, atol=1e-9)
        labels = [row["label"] for row in read_csv(test / "predictions.csv")]
        assert [archive["classes"][label] for label in archive["label"]] == labels


def test_as_many_classes_as_there_are_is_no_measure(folder: Path) -> None:
    refused = run("evaluate", "--top-k", 10, folder=folder, status=2)
    assert refused.stderr == (
        "--top-k must be less than the number of classes, 10, because the accuracy is 1 otherwise. Received 10.\n"
    )


def test_views_are_kept_next_to_the_results_without(folder: Path) -> None:
    plain = as_json("evaluate", folder=folder)
    flipped = as_json("evaluate", "--tta", "flip", folder=folder)
    assert (flipped["split"], flipped["views"]) == ("test-tta-flip", 2)
    assert flipped["baseline_hog"] == plain["baseline_hog"]
    assert flipped["log_loss"] != plain["log_loss"]
    assert flipped["loss"] == pytest.approx(flipped["log_loss"], rel=1e-5)
    tables = [read_csv(Path(folder, result["folder"]) / "predictions.csv") for result in (plain, flipped)]
    assert [row["file"] for row in tables[0]] == [row["file"] for row in tables[1]]


def test_calibration(folder: Path, tmp_path: Path) -> None:
    """The temperature is fitted on validation; evaluate and predict apply it and say so; the model stays as it is."""
    run_path = shutil.copytree(folder / "runs" / "tiny", tmp_path / "runs" / "tiny")
    model = (run_path / "model.keras").read_bytes()
    before = as_json("evaluate", folder=tmp_path)
    done = run("evaluate", "--calibrate", folder=tmp_path)
    fitted = read_json(run_path / "calibration.json")
    said = f"probabilities are calibrated with temperature {fitted['temperature']:.3f} (calibration.json)"
    assert said in done.stderr
    assert (fitted["split"], fitted["samples"]) == ("validation", 60)
    assert (
        f"{fitted['calibration_error_before']:.4f} before, {fitted['calibration_error_after']:.4f} after" in done.stderr
    )
    after = as_json("evaluate", folder=tmp_path)
    for name in ("loss", "accuracy", "confusion_matrix"):
        assert after[name] == before[name], name
    info = read_json(run_path / "run.json")
    for name, accuracy in info["baseline"]["accuracy"]["test"].items():  # computed once, at the end of training
        assert after[f"baseline_{name}"] == before[f"baseline_{name}"] == accuracy
    assert after["temperature"] == fitted["temperature"] != 1
    assert after["uncalibrated_calibration_error"] == pytest.approx(before["calibration_error"])
    assert after["calibration_error"] != before["calibration_error"]
    validation = as_json("evaluate", "--split", "validation", folder=tmp_path)
    assert validation["calibration_error"] == pytest.approx(fitted["calibration_error_after"], abs=1e-6)
    np.savez(tmp_path / "one.npz", x=np.zeros((1, 8, 8), np.uint8))
    assert said in run("predict", "tiny", "one.npz", folder=tmp_path).stderr
    assert (run_path / "model.keras").read_bytes() == model
    for content, status, message in (
        (json.dumps(fitted | {"model": "x"}), 0, "was fitted for another model and is not used"),
        (json.dumps(fitted | {"temperature": -1.0}), 2, "temperature must be a number > 0. Received -1.0."),
    ):
        (run_path / "calibration.json").write_text(content)
        assert message in run("predict", "tiny", "one.npz", folder=tmp_path, status=status).stderr


# predict --------------------------------------------------------------------------------------------------------------


def test_a_file(folder: Path, probabilities: dict[str, list[float]]) -> None:
    path = min((folder / "photos").rglob("*.png")).relative_to(folder)
    done = run("predict", "tiny", path, folder=folder)
    header, row = done.stdout.splitlines()
    assert header.split() == ["file", "#1", "#2", "#3"]
    expected = probabilities[path.stem]
    best = np.argsort(expected)[::-1][:3]
    cells = row.split()
    assert cells[0] == str(path)
    assert cells[1::2] == [str(digit) for digit in best]
    assert [float(cell) for cell in cells[2::2]] == pytest.approx([expected[digit] for digit in best], abs=1e-4)
    assert done.stderr == "run runs/tiny: predicting 1 sample\n"


def test_a_folder_gives_the_probabilities_of_the_evaluation(
    folder: Path, probabilities: dict[str, list[float]]
) -> None:
    output = folder / "photos-predicted.csv"
    run("predict", "tiny", "photos", "-o", output, folder=folder)
    with open(output, newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["file", "predicted", "confidence", *(f"p_{digit}" for digit in range(10))]
    assert len(table) == 60
    for row in table:
        expected = probabilities[Path(row["file"]).stem]
        assert [float(row[f"p_{digit}"]) for digit in range(10)] == pytest.approx(expected, rel=1e-4, abs=1e-9)
        assert row["predicted"] == str(np.argmax(expected))
        assert float(row["confidence"]) == pytest.approx(max(expected), rel=1e-4)


def test_arrays_and_json(folder: Path, probabilities: dict[str, list[float]]) -> None:
    result = as_json("predict", "tiny", "unknown.npz", "--top", 99, "--output", "unknown.json", folder=folder)
    assert [row["file"] for row in result["predictions"][:2]] == ["unknown.npz/0", "unknown.npz/1"]
    assert len(result["predictions"]) == 60
    arrays = list(np.load(folder / "unknown.npz")["x"])
    predictor = assert_predicts(folder / "runs" / "tiny", arrays, result["predictions"], top=99)
    assert predictor.classes == tuple(map(str, range(10)))
    first = result["predictions"][0]
    assert len(first["top"]) == 10
    assert sum(entry["probability"] for entry in first["top"]) == pytest.approx(1, abs=1e-5)
    assert (first["predicted"], first["confidence"]) == tuple(first["top"][0].values())
    as_json("predict", "tiny", "unknown.npz", "--output", "unknown-all.npz", folder=folder)
    with np.load(folder / "unknown-all.npz", allow_pickle=False) as archive:
        np.testing.assert_allclose(archive["probabilities"], list(probabilities.values()), rtol=1e-4, atol=1e-9)
        assert archive["file"][1] == "unknown.npz/1"
    test = list(probabilities.values())
    written = json.loads((folder / "unknown.json").read_text())
    for expected, row in zip(test, written, strict=True):
        assert [row[f"p_{digit}"] for digit in range(10)] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_corrupt_files_are_named_and_skipped(folder: Path) -> None:
    mixed = folder / "mixed"
    mixed.mkdir()
    good = next((folder / "photos" / "1").iterdir())
    shutil.copy(good, mixed / "good.png")
    (mixed / "cut.png").write_bytes(good.read_bytes()[:60])
    (mixed / "text.jpg").write_text("not an image")
    (mixed / "notes.txt").write_text("notes")
    done = run("predict", "tiny", "mixed", "--json", folder=folder)
    result = json.loads(done.stdout)
    assert [row["file"] for row in result["predictions"]] == ["mixed/good.png"]
    assert sorted(name for name, _ in result["left_out"]) == ["mixed/cut.png", "mixed/notes.txt", "mixed/text.jpg"]
    for name in ("cut.png", "text.jpg", "notes.txt"):
        assert f"mixed/{name}" in done.stderr
    quiet = run("predict", "tiny", "mixed", "-q", folder=folder)
    assert "mixed/cut.png" in quiet.stderr  # an error is said even so
    none = run("predict", "tiny", "mixed/cut.png", "mixed/text.jpg", folder=folder, status=2)
    assert none.stdout == ""
    assert "mixed/cut.png" in none.stderr
    assert sorted(path.name for path in mixed.iterdir()) == ["cut.png", "good.png", "notes.txt", "text.jpg"]


def test_refused_input_of_predict(folder: Path) -> None:
    (folder / "there.csv").write_text("mine")
    (folder / "empty").mkdir()
    for arguments, expected in [
        (("photos", "--output", "x.txt"), "x.txt: expected a file name ending in .csv or .json or .npz."),
        (("photos", "--output", "nowhere/x.csv"), "nowhere: no such folder to write x.csv to."),
        (("photos", "--output", "there.csv"), "there.csv: already exists."),
        (("nothing.png",), "nothing.png: no such file or folder. Name what to predict."),
        (("empty",), "empty"),
        (("unknown.npz", "photos"), "unknown.npz: an .npz file must be the only path."),
        (("test.npz",), "there must be an array x or x_test"),
        (("photos", "--safe-csv"), "--safe-csv is for --output FILE.csv."),
        ((), "specify what to predict: a PATH"),
        (("photos", "--top", "0"), "'--top'"),
    ]:
        done = run("predict", "tiny", *arguments, folder=folder, status=2)
        assert expected in done.stderr, done
        assert done.stdout == ""
    assert (folder / "there.csv").read_text() == "mine"
    run("predict", "tiny", "photos", "--output", "there.csv", "--force", folder=folder)
    assert (folder / "there.csv").read_text().startswith("file,predicted,")


def test_predict_with_an_unknown_run(folder: Path) -> None:
    done = run("predict", "tony", "photos", folder=folder, status=2)
    assert done.stderr == "tony: no such run in runs. Newest runs: tiny.\n"


def test_feature_vectors_and_the_most_similar_images(folder: Path) -> None:
    for number, digit in enumerate(load_digits().images[:4]):
        Image.fromarray(np.uint8(digit * 15)).save(folder / f"{number}.png")
    files = [f"{number}.png" for number in range(4)]
    options = ("--nearest", "2", "-o", "vectors.npz", "--sheet", "sheet.png")
    found = as_json("embed", "tiny", *files, *options, folder=folder)
    assert [row["file"] for row in found["neighbors"]] == files
    arrays = np.load(folder / "vectors.npz")
    assert arrays["files"].tolist() == files
    assert arrays["vectors"].shape == (4, 16) == (found["images"], found["values"])
    unit = arrays["vectors"] / np.linalg.norm(arrays["vectors"], axis=1, keepdims=True)
    closest = found["neighbors"][0]["nearest"][0]
    assert closest["similarity"] == pytest.approx(max(unit[1:] @ unit[0]), abs=1e-5)
    run("embed", "tiny", *files, "-o", "vectors.csv", folder=folder)
    np.testing.assert_allclose([float(row["f3"]) for row in read_csv(folder / "vectors.csv")], arrays["vectors"][:, 3])
    assert "already exists" in run("embed", "tiny", "0.png", "-o", "vectors.csv", folder=folder, status=2).stderr
    assert "specify a RUN or --base" in run("embed", "tiny", folder=folder, status=2).stderr
    assert (
        "--weights is for --base" in run("embed", "tiny", "0.png", "--weights", "none", folder=folder, status=2).stderr
    )
    assert (
        "none.png: no such file or folder. Name what to embed."
        in run("embed", "tiny", "none.png", folder=folder, status=2).stderr
    )
