"""The JSON Schema: up to date, well-formed, and consistent with the loader."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dlcli.recipe.json_schema import schema_text
from dlcli.recipe.language.yaml_reader import read_yaml

ROOT = Path(__file__).parents[2]
BAD_RECIPES = ROOT / "tests" / "bad_recipes"
VALIDATOR = Draft202012Validator(json.loads(schema_text()))
RECIPE: dict[str, Any] = {"task": "classification", "data": {"kind": "digits"}, "model": {"kind": "lenet5"}}


def values_in(file: Path) -> Any:
    """The values as another YAML reader returns them: lists instead of tuples."""
    return json.loads(json.dumps(read_yaml(file.read_text(encoding="utf-8"), file.name).values))


def test_the_committed_schema_is_up_to_date() -> None:
    committed = (ROOT / "recipes" / "schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "recipes/schema.json is stale: run make schema"


def test_it_is_a_schema_of_draft_2020_12() -> None:
    Draft202012Validator.check_schema(VALIDATOR.schema)
    assert VALIDATOR.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_has_a_description() -> None:
    sections = VALIDATOR.schema["$defs"].values()
    keys = [(section["title"], key, value) for section in sections for key, value in section["properties"].items()]
    assert len(keys) > 100
    assert [(title, key) for title, key, value in keys if not value.get("description")] == []


@pytest.mark.parametrize("file", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda file: file.name)
def test_shipped_recipes_are_accepted(file: Path) -> None:
    VALIDATOR.validate(values_in(file))


@pytest.mark.parametrize(
    "name",
    [file.name for file in sorted(BAD_RECIPES.glob("*.yaml")) if file.name.startswith(("task", "ki", "ke", "ty"))],
)
def test_bad_keys_kinds_and_types_are_refused(name: str) -> None:
    assert not VALIDATOR.is_valid(values_in(BAD_RECIPES / name))


@pytest.mark.parametrize(
    ("section", "valid"),
    [
        ({"label_smoothing": "8/255", "optimizer": {"kind": "sgd", "learning_rate": "1/10"}}, True),
        ({"label_smoothing": "8/255/2"}, False),
        ({"label_smoothing": "half"}, False),
        ({"epochs": "4/2"}, False),
        (
            {"stages": [{"name": "a", "epochs": 1, "trainable": 3}, {"name": "b", "epochs": 1, "trainable": "stage3"}]},
            True,
        ),
        ({"class_weights": {"cat": 1, "dog": "1/3"}}, True),
        ({"class_weights": "balanced"}, True),
        ({"early_stopping": None, "checkpoint": {"minutes": None}}, True),
        ({"checkpoint": None}, False),
    ],
)
def test_train_sections(section: dict[str, Any], valid: bool) -> None:
    assert VALIDATOR.is_valid({**RECIPE, "train": section}) == valid


@pytest.mark.parametrize(("size", "valid"), [([28, 28], True), ([28], False), ([28, 28, 3], False), (None, True)])
def test_lists_of_fixed_length(size: Any, valid: bool) -> None:
    assert VALIDATOR.is_valid({**RECIPE, "data": {"kind": "digits", "image_size": size}}) == valid
