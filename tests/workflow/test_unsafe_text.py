"""Names with control characters, labels with right-to-left marks, through every verb: no output contains them raw."""

import json
import shutil
from pathlib import Path

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image

from dlcli.printing import escaped
from dlcli.rundir.reading import read_json

RED, REVERSED, ISOLATE, CSI = "\x1b[31m", "\u202e", "\u2066", "\x9b"
LABELS = [f"cat{ISOLATE}", f"dog{REVERSED}"]  # control characters in them are refused
RECIPE = """\
task: classification
data: {kind: csv, path: "photos\\u202E/table.csv", image: path, label: label, image_size: [8, 8]}
model: {kind: mlp, units: [4]}
train: {epochs: 1, batch_size: 16}
"""


def assert_safe(text: str) -> None:
    assert text == escaped(text)


def write_table(folder: Path) -> None:
    """A table of images whose labels and file names are hostile."""
    photos = folder / f"photos{REVERSED}"
    photos.mkdir()
    lines = ["path,label"]
    for i in range(24):
        name = f"{i}{RED}{REVERSED}.png"
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(photos / name)
        lines.append(f"{name},{LABELS[i % 2]}")
    (photos / "table.csv").write_text("\n".join(lines) + "\n")
    (folder / f"recipe{REVERSED}.yaml").write_text(RECIPE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hostile names in which a run was trained on hostile labels."""
    folder = tmp_path_factory.mktemp("unsafe")
    write_table(folder)
    run(folder, "train", f"recipe{REVERSED}.yaml", "--name", "run")
    return folder


def run(folder: Path, *arguments: str, status: int = 0) -> processes.Finished:
    done = processes.run(*arguments, folder=folder, prepare=processes.without_plots).expect(status)
    assert_safe(done.stdout)
    assert_safe(done.stderr)
    return done


def test_a_run_holds_labels_as_they_are_in_files_that_a_terminal_can_show(folder: Path) -> None:
    run_folder = folder / "runs" / "run"
    assert read_json(run_folder / "labels.json")["classes"] == LABELS
    for name in ("run.json", "labels.json", "train.log", "config.yaml", "model.txt"):
        assert_safe((run_folder / name).read_text())
    for path in run_folder.rglob("metrics.json"):
        assert_safe(path.read_text())
    for path in run_folder.rglob("*.csv"):
        assert_safe(path.read_text().partition("\n")[0])


def test_results(folder: Path) -> None:
    recipe = f"recipe{REVERSED}.yaml"
    image = next((folder / f"photos{REVERSED}").glob("*.png"))
    assert r"cat\u2066" in run(folder, "data", "split", recipe).stdout
    run(folder, "recipe", "check", recipe)
    run(folder, "evaluate", "run")
    assert r"\x1b[31m" in run(folder, "predict", "run", str(image)).stdout
    shown = run(folder, "predict", "run", str(image), "--json", "--output", "out.csv")
    assert {entry["class"] for entry in json.loads(shown.stdout)["predictions"][0]["top"]} == set(LABELS)
    header = (folder / "out.csv").read_text().partition("\n")[0]
    assert_safe(header)
    assert all(escaped(label) in header for label in LABELS)
    assert r"\u202e/table.csv" in run(folder, "recipe", "show", recipe).stdout
    path = json.loads(run(folder, "recipe", "show", recipe, "--json").stdout)["data"]["path"]
    assert path == str(folder / f"photos{REVERSED}" / "table.csv")


@pytest.mark.slow
def test_further_verbs(folder: Path) -> None:
    recipe = f"recipe{REVERSED}.yaml"
    shutil.copytree(folder / "runs" / "run", folder / "runs" / "copy")
    for arguments in (
        ("attack", "run", "--fgsm", "--eps", "0.1", "--no-checks"),
        ("data", "stats", recipe),
        ("data", "preview", recipe),
        ("summary", recipe),
        ("summary", "run"),
        ("train", recipe, "--dry-run"),
        ("runs", "list"),
        ("runs", "show", "run"),
        ("runs", "diff", "run", "copy"),
        ("evaluate", "run", "--split", "validation", "--json"),
    ):
        run(folder, *arguments)
    run(folder, "data", "check", recipe, status=0)
    run(folder, "data", "check", f"photos{REVERSED}", status=0)
    run(folder, "train", recipe, "--name", f"run{RED}", status=2)
    run(folder, "predict", "run", f"none{CSI}.png", status=2)
