"""Every recipe that ships: its header keeps the contract, and it trains, on data like those it asks for."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.recipe.load import Override, load
from dlcli.recipe.override import parse_setting
from dlcli.workflow.start import start_tensorflow

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
HEADER = ("Source:", "Data:", "Command:", "Time:", "Reaches:")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small data of each kind that recipes ask for."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    labels = (np.arange(60) % 10).astype(np.uint8)
    pixels = rng.integers(0, 256, (60, 28, 28), np.uint8)
    np.savez(folder / "mnist.npz", x_train=pixels, y_train=labels, x_test=pixels[::-1], y_test=labels[::-1])
    for split in ("train", "test"):
        for i in range(60):
            path = folder / "pictures" / split / str(i % 10) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(path)
    for name in ("images", "annotations"):
        (folder / "voc" / name).mkdir(parents=True)
    for i in range(30):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / "voc" / "images" / f"{i}.png")
        box = f"<xmin>{i % 10}</xmin><ymin>2</ymin><xmax>{20 + i % 7}</xmax><ymax>30</ymax>"
        (folder / "voc" / "annotations" / f"{i}.xml").write_text(
            f"<annotation><filename>{i}.png</filename><size><width>32</width><height>32</height></size>"
            f"<object><name>one</name><bndbox>{box}</bndbox></object></annotation>"
        )
    return {"mnist": folder / "mnist.npz", "folder": folder / "pictures", "voc": folder / "voc"}


def test_recipes_ship() -> None:
    assert len(RECIPES) >= 6


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_header_says_what_why_how_and_how_well(path: Path) -> None:
    header = "\n".join(re.match(r"(#.*\n)+", path.read_text()).group().splitlines())  # type: ignore[union-attr]
    assert [word for word in HEADER if word not in header] == []
    assert f"dlcli train recipes/{path.name}" in header
    assert re.search(
        r"(test|validation)_(accuracy|localisation_accuracy|mean_iou) \d\.\d{4} \(standard deviation \d\.\d{4}", header
    )


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipe_trains(path: Path, data: dict[str, Path], tmp_path: Path) -> None:
    device = start_tensorflow("cpu")
    from dlcli.workflow.talk import Talk
    from dlcli.workflow.train import train

    overrides = [parse_setting("train.batch_size=16"), parse_setting("data.limit=40")]
    recipe = load(path).recipe
    if recipe.train.stages:
        overrides += [parse_setting(f"train.stages.{i}.epochs=1") for i in range(len(recipe.train.stages))]
    else:
        overrides.append(parse_setting("train.epochs=1"))
    if getattr(recipe.model, "weights", "none") != "none":
        overrides.append(parse_setting("model.weights=none"))  # which cannot be downloaded here
    kind = recipe.data.kind
    if kind in data:
        overrides.append(Override.of_value("data.path", str(data[kind]), "--data"))
    result: dict[str, Any] = train(
        load(path, overrides), runs=tmp_path, name=None, device=device, talk=Talk(quiet=True)
    )
    assert result["status"] == "completed"
    assert np.isfinite(result["final"]["test_loss"])
    assert Path(result["run"], "model.keras").is_file()
