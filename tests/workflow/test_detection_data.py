"""Data with several objects in each image from the command line: drafting, checking, plotting, statistics."""

import json
from pathlib import Path

import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image

LINES = {"a": "0 .3 .3 .2 .3\n1 .6 .6 .5 .4\n0 .6 .6 .5 .4", "b": "", "c": "1 .5 .5 .1 .1", "d": "0 .5 .5 .9 .9"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """YOLO data with cats and dogs, in the folder pets."""
    for split in ("train", "valid"):
        for part in ("images", "labels"):
            (tmp_path / "pets" / split / part).mkdir(parents=True)
        for i, (name, lines) in enumerate(LINES.items()):
            color = (40 * i, 90, 200 if split == "train" else 20)
            Image.effect_noise((64, 48), 30 + i).convert("RGB").point(lambda x, c=color: (x + c[2]) // 2).save(
                tmp_path / "pets" / split / "images" / f"{name}.png"
            )
            (tmp_path / "pets" / split / "labels" / f"{name}.txt").write_text(lines)
    (tmp_path / "pets" / "data.yaml").write_text("train: train/images\nval: valid/images\nnames: [cat, dog]\n")
    return tmp_path


def test_objects_are_drafted_checked_plotted_and_counted(folder: Path) -> None:
    done = processes.run("recipe", "init", "pets", folder=folder).expect(0)
    assert "images: 4, of which 1 with several objects, at most 3, 1 without" in done.stderr
    assert "task: detection" in (folder / "pets.yaml").read_text()
    checked = processes.run("data", "check", "pets.yaml", "--plot", "objects.png", folder=folder).expect(0)
    assert "note: train: 1 image has no objects: train/images/b.png" in checked.stdout
    assert "note: train: 1 image has two nearly equal boxes of different classes: train/images/a.png" in checked.stdout
    assert (folder / "objects.png").read_bytes().startswith(b"\x89PNG")
    again = processes.run("data", "check", "pets.yaml", "--plot", "objects.png", folder=folder).expect(2)
    assert "already exists" in again.stderr
    described = processes.run("data", "stats", "pets.yaml", folder=folder).expect(0)
    assert "train, class  objects  images" in described.stdout
    assert "images without objects: 1" in described.stdout
    assert "anchors that fit: levels: [" in described.stdout
    found = json.loads(processes.run("data", "stats", "pets.yaml", "--json", folder=folder).expect(0).stdout)
    assert found["objects"]["train"]["classes"] == {
        "cat": {"objects": 3, "images": 2},
        "dog": {"objects": 2, "images": 2},
    }
    assert found["anchors"]["fitting"] <= 1.0


def test_the_task_is_chosen_on_the_command_line(folder: Path) -> None:
    processes.run("recipe", "init", "pets", "--task", "localization", folder=folder).expect(0)
    assert "task: localization" in (folder / "pets.yaml").read_text()


def test_other_tasks_have_no_objects_to_plot(folder: Path) -> None:
    (folder / "r.yaml").write_text("task: classification\ndata: {kind: digits}\nmodel: {kind: mlp}\n")
    refused = processes.run("data", "check", "r.yaml", "--plot", "o.png", folder=folder).expect(2)
    assert refused.stderr.startswith("--plot: r.yaml has no objects to be counted: its task is classification.")
    refused = processes.run("data", "check", "pets", "--plot", "o.png", folder=folder).expect(2)
    assert "--plot is for a recipe; dlcli recipe init drafts one for a folder." in refused.stderr
    assert not (folder / "o.png").exists()
