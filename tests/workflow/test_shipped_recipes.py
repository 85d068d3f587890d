"""Every shipped recipe: its header keeps the contract, and it trains on small data of its kind."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import run_without_plots as run  # type: ignore[import-not-found]

from dlcli.recipe.load import load

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
            path = folder / "images" / split / str(i % 10) / f"{i}.png"
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
    for name, num in {"train": 8, "val": 2, "test": 2}.items():
        for part in (name, f"{name}annot"):
            (folder / "street" / part).mkdir(parents=True)
        for i in range(num):
            photo, mask = rng.integers(0, 256, (64, 64, 3), np.uint8), rng.integers(0, 12, (64, 64), np.uint8)
            Image.fromarray(photo).save(folder / "street" / name / f"{i}.png")
            Image.fromarray(mask).save(folder / "street" / f"{name}annot" / f"{i}.png")
    return {
        "mnist": folder / "mnist.npz",
        "folder": folder / "images",
        "voc": folder / "voc",
        "segment_street": folder / "street",
        **write_sequences(folder / "sequences"),
    }


def write_sequences(folder: Path) -> dict[str, Path]:
    """Texts, tagged sentences, and a series for each recipe of forecasting."""
    (folder / "lines").mkdir(parents=True)
    for label in ("good", "bad"):
        (folder / "lines" / f"{label}.txt").write_text(
            "".join(f"a {label} film, number {i % 9} {i}\n" for i in range(40))
        )
    words = [("the", "DET"), ("dogs", "NOUN"), ("bark", "VERB"), ("loudly", "ADV")]
    with open(folder / "a.conllu", "w") as file:
        for i in range(40):
            for number, (word, tag) in enumerate(words[: 2 + i % 3], start=1):
                file.write(f"{number}\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\t_\n")
            file.write(f"{2 + i % 3 + 1}\tn{i}\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n")
    rng = np.random.default_rng(0)
    months = [f"{1949 + i // 12}-{i % 12 + 1:02d},{100 + i + rng.integers(20)}" for i in range(144)]
    (folder / "months.csv").write_text("\n".join(["Month,Passengers", *months]))
    hours = [
        f"2010,{i // 672 + 1},{i // 24 % 28 + 1},{i % 24},{rng.integers(99)},1,{i},3,4,0,{i % 3}" for i in range(1400)
    ]
    (folder / "hours.csv").write_text("\n".join(["year,month,day,hour,pm2.5,DEWP,TEMP,PRES,Iws,Is,Ir", *hours]))
    (folder / "prose.txt").write_text("the cat sat on the mat.\n" * 200)
    (folder / "ts").mkdir()
    for split in ("TRAIN", "TEST"):
        lines = [f"{','.join(map(str, rng.integers(9, size=60)))}:{i % 2}\n" for i in range(30)]
        (folder / "ts" / f"Waves_{split}.ts").write_text("@classLabel true 0 1\n@data\n" + "".join(lines))
    return {
        "lines": folder / "lines",
        "text": folder / "prose.txt",
        "conllu": folder / "a.conllu",
        "ts": folder / "ts",
        "airline_passengers": folder / "months.csv",
        "airline_linear": folder / "months.csv",
        "beijing_pm25": folder / "hours.csv",
        "beijing_pm25_intervals": folder / "hours.csv",
    }


def test_recipes_are_shipped() -> None:
    assert len(RECIPES) >= 6


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_header_keeps_the_contract(path: Path) -> None:
    header = "\n".join(re.match(r"(#.*\n)+", path.read_text()).group().splitlines())  # type: ignore[union-attr]
    assert [word for word in HEADER if word not in header] == []
    assert f"dlcli train recipes/{path.name}" in header
    assert re.search(
        r"(test|validation)_(loss|accuracy|token_accuracy|localization_accuracy|mean_iou|ap|mask_ap|"
        r"mean_average_precision|mae|mse|mase|exact_at_20) "
        r"\d\.\d{4} \(standard deviation \d\.\d{4}",
        header,
    )


def shortened(path: Path, data: dict[str, Path]) -> list[object]:
    """The arguments that train a recipe for a moment, on small data."""
    recipe = load(path).recipe
    arguments: list[object] = ["train", path, "--batch-size", 16]
    if hasattr(recipe.data, "limit"):
        arguments += ["-s", "data.limit=40"]
    elif hasattr(recipe.data, "num_samples"):
        arguments += ["-s", "data.num_samples=64"]
    if recipe.train.stages:
        for i in range(len(recipe.train.stages)):
            arguments += ["-s", f"train.stages.{i}.epochs=1"]
    else:
        arguments += ["--epochs", 1]
    if getattr(recipe.model, "weights", "none") != "none":
        arguments += ["-s", "model.weights=none"]  # which cannot be downloaded here
    if getattr(getattr(recipe.model, "backbone", None), "weights", "none") != "none":
        arguments += ["-s", "model.backbone.weights=none"]
    kind = path.stem if path.stem in data else recipe.data.kind
    if kind in data:
        arguments += ["--data", data[kind]]
    return arguments


# these take longest to trace; each key of theirs trains in a recipe that is not here, or in the tests of its task
SLOW = {
    "adding_lstm",
    "addition",
    "beijing_pm25",
    "beijing_pm25_intervals",
    "cells_cifar10",
    "cells_digits",
    "cifar10_folder",
    "cifar10_resnet20",
    "cifar10_vgg",
    "copy_ntm",
    "copy_ntm_paper",
    "detect_scenes",
    "digits_adversarial",
    "film_reviews",
    "gunpoint",
    "instance_scenes",
    "localize_photos",
    "localize_shapes",
    "mnist_adversarial",
    "mnist_augmented",
    "mnist_folder",
    "names_generated",
    "names_lstm",
    "parts_of_speech",
    "search_cifar",
    "search_digits",
    "segment_shapes",
    "segment_street",
    "shape_positions",
    "shapes_in_scenes",
    "tinyshakespeare",
    "transfer_photos",
}


@pytest.mark.slow  # tests/recipe/test_load.py loads each
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipe_dry_runs(path: Path, data: dict[str, Path], tmp_path: Path) -> None:
    done = run(*shortened(path, data), "--dry-run", "--json", folder=tmp_path)
    plan = json.loads(done.stdout)
    assert plan["layers"]["trainable"] > 0
    assert plan["schedule"]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in SLOW)) for path in RECIPES],
)
def test_the_recipe_trains(path: Path, data: dict[str, Path], tmp_path: Path) -> None:
    result = json.loads(run(*shortened(path, data), "--json", folder=tmp_path).stdout)
    assert result["status"] == "completed"
    assert np.isfinite([value for name, value in result["final"].items() if name.startswith("test_")]).all()
    assert (tmp_path / result["run"] / "model.keras").is_file()
