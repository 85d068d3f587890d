"""The config.yaml of runs that were made before the keys that say how folders and paths are read."""

import json
from pathlib import Path

import pytest

from dlcli.recipe.load import load

MODEL = "model: {kind: mlp}\ntrain: {epochs: 1}\n"


def run(path: Path, data: str, *, task: str = "classification", classes: tuple[str, ...] = ("bus", "train")) -> Path:
    path.mkdir()
    (path / "run.json").write_text("{}")
    (path / "labels.json").write_text(json.dumps({"classes": classes}))
    (path / "config.yaml").write_text(f"task: {task}\ndata: {data}\n{MODEL}")
    return path / "config.yaml"


@pytest.mark.parametrize(
    ("kind", "task"), [("csv", "classification"), ("csv", "localization"), ("coco", "localization")]
)
def test_images_outside_are_read_as_they_were(tmp_path: Path, kind: str, task: str) -> None:
    config = run(tmp_path / "run", f"{{kind: {kind}, path: x}}", task=task)
    assert load(config).recipe.data.allow_outside  # type: ignore[union-attr]
    config.write_text(config.read_text().replace("path: x", "path: x, allow_outside: false"))
    assert not load(config).recipe.data.allow_outside  # type: ignore[union-attr]
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(config.read_text().replace(", allow_outside: false", ""))
    assert not load(recipe).recipe.data.allow_outside  # type: ignore[union-attr]


def test_folders_that_were_classes_stay_classes(tmp_path: Path) -> None:
    for name in ("bus", "train"):
        (tmp_path / "vehicles" / name).mkdir(parents=True)
    config = run(tmp_path / "run", f"{{kind: folder, path: '{tmp_path}/vehicles'}}")
    assert load(config).recipe.data.folders == "classes"  # type: ignore[union-attr]
    other = run(tmp_path / "other", f"{{kind: folder, path: '{tmp_path}/vehicles'}}", classes=("ants", "bees"))
    assert load(other).recipe.data.folders == "auto"  # type: ignore[union-attr]
    (tmp_path / "run" / "labels.json").write_text("{")
    assert load(config).recipe.data.folders == "auto"  # type: ignore[union-attr]
