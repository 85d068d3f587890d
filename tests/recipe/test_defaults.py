"""Defaults that depend on other keys stand in the schema; ``null`` in an older recipe or config.yaml means them too."""

from pathlib import Path
from typing import Any

import pytest

from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.yaml_writer import resolved, to_yaml

PAPERS = [
    ("kind: vgg", {"dense": (4096, 4096), "dropout": 0.5}),
    ("kind: vgg, head: average", {"dense": (), "dropout": 0.5}),
    ("kind: resnet", {"stem": "imagenet", "dropout": 0.0}),
    ("kind: resnet, depth: 56", {"stem": "small"}),
    ("kind: resnext", {"dropout": 0.0}),
    ("kind: senet", {"dropout": 0.0}),
    ("kind: senet, variant: senet154", {"dropout": 0.2, "downsample": "3x3"}),
    ("kind: dpn", {"dropout": 0.0}),
    ("kind: polynet", {"dropout": 0.2}),
    ("kind: application, network: vgg16", {"dropout": 0.0}),
    ("kind: application, network: efficientnetb3", {"dropout": 0.3}),
    ("kind: application, network: efficientnetb3, head: max", {"dropout": 0.0}),
]
TRANSFORMERS = [("kind: transformer", {"feed_forward": 512}), ("kind: transformer, units: 8", {"feed_forward": 32})]
IMAGES = "task: classification\ndata: {kind: digits}\n"
NUMBERS = "task: sequence_regression\ndata: {kind: adding}\n"
CASES = [(IMAGES, *case) for case in PAPERS] + [(NUMBERS, *case) for case in TRANSFORMERS]
IDS = [model for _, model, _ in CASES]


def load_text(folder: Path, text: str) -> LoadedRecipe:
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return load(folder / "recipe.yaml")


@pytest.mark.parametrize(("head", "model", "defaults"), CASES, ids=IDS)
def test_defaults_of_each_network_are_in_the_complete_recipe(
    head: str, model: str, defaults: dict[str, Any], tmp_path: Path
) -> None:
    values = resolved(load_text(tmp_path, f"{head}model: {{{model}}}\n").recipe)["model"]
    assert {key: values[key] for key in defaults} == defaults


@pytest.mark.parametrize(("head", "model", "defaults"), CASES, ids=IDS)
def test_null_in_an_older_config_means_the_default(
    head: str, model: str, defaults: dict[str, Any], tmp_path: Path
) -> None:
    recipe = load_text(tmp_path, f"{head}model: {{{model}}}\n").recipe
    values = resolved(recipe)
    values["model"] |= dict.fromkeys(defaults)
    text = to_yaml(values)
    assert f"{next(iter(defaults))}: null" in text
    assert load_text(tmp_path, text).recipe == recipe


def test_a_value_replaces_the_default(tmp_path: Path) -> None:
    values = resolved(load_text(tmp_path, f"{IMAGES}model: {{kind: vgg, dense: [], dropout: 0}}\n").recipe)
    assert (values["model"]["dense"], values["model"]["dropout"]) == ((), 0)
    values = resolved(load_text(tmp_path, f"{IMAGES}model: {{kind: senet, variant: senet154, dropout: 1/4}}\n").recipe)
    assert values["model"]["dropout"] == 0.25
