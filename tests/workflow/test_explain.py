"""``dlcli explain`` from end to end: files, agreement between them, and refused input."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from processes import run_without_plots as run  # type: ignore[import-not-found]

from dlcli.rundir.tables import read_csv

OLD = Path(__file__).parent / "old_runs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(OLD / "digits", tmp_path / "runs" / "digits")
    pixels = np.random.default_rng(0).integers(0, 255, (9, 15), np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    Image.fromarray(pixels.T.copy()).save(tmp_path / "photos" / "b.png")
    return tmp_path


def explained(folder: Path, *arguments: object) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(run("explain", "digits", *arguments, "--json", folder=folder).stdout)
    return result


def test_files_of_small_images(folder: Path) -> None:
    done = processes.run("explain", "digits", "photos", folder=folder).expect(0)
    assert "explaining 2 images by integrated and occlusion" in done.stderr
    assert "files in runs/digits/explanations/integrated-occlusion" in done.stdout
    made = folder / "runs" / "digits" / "explanations" / "integrated-occlusion"
    assert sorted(path.name for path in made.iterdir()) == [
        *("explanation.json", "explanations.csv", "maps.npz", "maps.png")
    ]
    with Image.open(made / "maps.png") as image:
        assert image.size[0] > 300
    rows = read_csv(made / "explanations.csv")
    assert [(row["file"], row["method"]) for row in rows] == [
        (f"photos/{name}.png", method) for name in "ab" for method in ("integrated", "occlusion")
    ]
    model = keras.saving.load_model(folder / "runs" / "digits" / "model.keras")
    logits = keras.Model(model.inputs[0], model.get_layer("logits").output)
    with np.load(made / "maps.npz") as arrays:
        assert arrays["integrated"].shape == arrays["occlusion"].shape == (2, 12, 12)
        assert arrays["files"].tolist() == ["photos/a.png", "photos/b.png"]
        pixels = arrays["images"].astype(np.float32)
        expected = np.asarray(model(pixels, training=False))
        totals = arrays["integrated"].sum((1, 2))
    differences = np.asarray(logits(pixels, training=False)) - np.asarray(logits(pixels * 0, training=False))
    for position, row in enumerate(rows[::2]):
        label = int(row["class"])
        assert row["class"] == row["predicted"] == str(expected[position].argmax())
        assert float(row["probability"]) == pytest.approx(expected[position, label], rel=1e-4)
        error = abs(totals[position] - differences[position, label]) / abs(differences[position, label])
        assert float(row["completeness_error"]) == pytest.approx(error, abs=1e-3)
        assert error <= 0.01 or row["note"].startswith("incomplete by ")


def test_classes_layers_and_labels(folder: Path) -> None:
    result = explained(folder, "photos/a.png", "--method", "gradcam", "--class", "3", "--layer", "stage1_activation1")
    (row,) = result["explanations"]
    assert (row["class"], row["method"], row["layer"]) == ("3", "gradcam", "stage1_activation1")
    assert result["settings"]["layers"] == {"": "stage1_activation1"}
    last = explained(folder, "--method", "gradcam", "--class", "label", "--limit", "3")["explanations"]
    assert [row["class"] for row in last] == [row["label"] for row in last]
    assert {row["layer"] for row in last} == {"stage1"}


@pytest.mark.slow
def test_the_most_confident_mistakes_are_explained(folder: Path) -> None:
    rows = explained(folder, "--mistakes", "--method", "gradient", "--limit", 6)["explanations"]
    assert all(row["class"] == row["predicted"] != row["label"] for row in rows)
    run("evaluate", "digits", folder=folder)
    every = read_csv(folder / "runs" / "digits" / "evaluation" / "test" / "predictions.csv")
    wrong = [row for row in every if row["predicted"] != row["label"]]
    wrong.sort(key=lambda row: -float(row[f"p_{row['predicted']}"]))
    assert [row["file"] for row in rows] == [row["file"] for row in wrong[:6]]
    assert (folder / "runs" / "digits" / "explanations" / "mistakes-gradient" / "maps.png").exists()


def test_results_of_another_request_stay(folder: Path) -> None:
    first = explained(folder, "photos", "--method", "gradient")
    again = explained(folder, "photos", "--method", "gradient")
    other = explained(folder, "photos/b.png", "--method", "gradient")
    assert first["folder"] == again["folder"]
    assert other["folder"] == f"{first['folder']}-2"
    assert first["explanations"] == again["explanations"]
    alone, together = other["explanations"][0], first["explanations"][1]
    assert alone.keys() == together.keys()
    for name, value in alone.items():
        assert together[name] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value)


def test_one_image_by_every_method_leaves_the_run_as_it_was(folder: Path) -> None:
    run_folder = folder / "runs" / "digits"
    before = {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()}
    methods = ("gradient", "smoothgrad", "integrated", "gradcam", "gradcam++", "occlusion", "guided")
    options = [word for method in methods for word in ("--method", method)]
    result = explained(folder, "photos/a.png", *options, "--steps", 10, "--name", "all")
    assert [row["method"] for row in result["explanations"]] == list(methods)
    assert result["explanations"][2]["steps"] == 10
    assert result["settings"]["relus"] == 2  # one after the convolution, one in the dense layer
    with np.load(run_folder / "explanations" / "all" / "maps.npz") as arrays:
        assert all(np.isfinite(arrays[method]).all() for method in methods)
        assert all(arrays[method].any() for method in methods)
    assert {path: path.read_bytes() for path in before} == before


def test_a_method_that_fails_its_check_is_marked_everywhere_and_from_then_on(folder: Path) -> None:
    before = (folder / "runs" / "digits" / "model.keras").read_bytes()
    options = ("--method", "gradient", "--method", "gradcam++", "--limit", "4")
    done = processes.run("explain", "digits", *options, "--check", folder=folder).expect(0)
    made = folder / "runs" / "digits" / "explanations" / "gradient-gradcam++"
    check = json.loads((made / "check.json").read_text())
    verdict = {name: found["verdict"] for name, found in check["randomization"]["methods"].items()}
    assert verdict == {"gradient": "passes the randomization check", "gradcam++": "fails the randomization check"}
    assert [row["check"] for row in read_csv(made / "explanations.csv")] == [
        verdict["gradient"],
        verdict["gradcam++"],
    ] * 4
    assert "warning: gradcam++ fails the randomization check" in done.stderr
    assert "4 images, " in done.stdout
    with Image.open(made / "maps.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels == (0xD5, 0x5E, 0x00)).all(-1).any()  # the warning above the column
    later = explained(folder, "photos/a.png", "--method", "gradcam++")
    assert later["explanations"][0]["check"] == verdict["gradcam++"]
    assert later["check"] is None
    assert (folder / "runs" / "digits" / "model.keras").read_bytes() == before


def test_refused_input(folder: Path) -> None:
    for arguments, expected in [
        (("nothing.png",), "nothing.png: no such file or folder. Name what to explain."),
        (("photos", "--class", "cat"), "--class cat: not a class of the network; the classes are 0, 1, 2"),
        (("photos", "--class", "label"), "--class label: the labels of files are not known."),
        (("photos", "--layer", "stage1"), "--layer is for --method gradcam and --method gradcam++."),
        (("photos", "--method", "gradcam", "--layer", "stage3"), "--layer stage3: the network has no such layer"),
        (("photos", "--method", "gradcam", "--layer", "dense1"), "layer 'dense1' has no feature maps"),
        (("photos", "--method", "gradcam", "--steps", "5"), "--steps is for --method integrated."),
        (("photos", "--steps", "0"), "--steps: expected auto or a whole number from 1 to 100,000. Received 0."),
        (("photos", "--split", "test"), "--split is for samples of the run's own data."),
        (("photos", "--mistakes"), "--mistakes are those in a split, whose labels are known. Leave the paths out."),
        (("photos", "--name", "a/b"), "--name a/b: a results folder's name must"),
        (("",), "A PATH must not be empty."),
        (("--text", " "), "--text must not be empty: a text without words has nothing to explain."),
    ]:
        done = run("explain", "digits", *arguments, folder=folder, status=2)
        assert expected in done.stderr, done
        assert done.stdout == ""
    assert not (folder / "runs" / "digits" / "explanations").exists()
