"""British spelling, which older recipes and the config.yaml of older runs have, is read as American spelling."""

import json
from pathlib import Path

import pytest

from dlcli.recipe.language.errors import RecipeError
from dlcli.recipe.language.overrides import parse_setting
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.tasks.localization import Localization
from dlcli.recipe.yaml_writer import completed, resolved, to_yaml

RECIPE = """\
task: localisation
data: {kind: shapes}
model: {kind: vgg}
train:
  best_metric: val_localisation_accuracy
  early_stopping: {metric: train_localisation_accuracy}
  schedule: {kind: plateau, metric: val_localisation_accuracy}
"""


def load_text(folder: Path, text: str, *settings: str) -> LoadedRecipe:
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return load(folder / "recipe.yaml", [parse_setting(setting) for setting in settings])


def refusal(folder: Path, text: str, *settings: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_text(folder, text, *settings)
    return str(caught.value).removeprefix(f"{folder}/")


def test_the_task_and_its_metrics(tmp_path: Path) -> None:
    recipe = load_text(tmp_path, RECIPE).recipe
    assert isinstance(recipe, Localization)
    assert recipe.task == "localization"
    assert recipe.train.steering_metrics == {
        "best_metric": "val_localization_accuracy",
        "early_stopping.metric": "train_localization_accuracy",
        "schedule.metric": "val_localization_accuracy",
    }
    assert recipe == load_text(tmp_path, RECIPE.replace("localisation", "localization")).recipe
    assert "localis" not in to_yaml(resolved(recipe))


def test_on_the_command_line(tmp_path: Path) -> None:
    text = "task: classification\ndata: {kind: shapes}\nmodel: {kind: lenet5}\n"
    settings = ("task=localisation", "train.best_metric=val_localisation_accuracy")
    recipe = load_text(tmp_path, text, *settings).recipe
    assert (recipe.task, recipe.train.best_metric) == ("localization", "val_localization_accuracy")
    settings = ("task=localisation", "train={best_metric: val_localisation_accuracy}")
    assert load_text(tmp_path, text, *settings).recipe == recipe


def test_only_where_they_mean_the_task_or_a_metric(tmp_path: Path) -> None:
    recipe = load_text(tmp_path, RECIPE, "name=localisation").recipe
    assert recipe.name == "localisation"


def test_errors_are_those_of_the_task(tmp_path: Path) -> None:
    assert refusal(tmp_path, RECIPE.replace("kind: vgg", "kind: vgh")) == (
        "recipe.yaml:3:15: model.kind: unknown kind 'vgh'; did you mean 'vgg'?"
    )
    assert refusal(tmp_path, "task: localisatoin\n") == (
        "recipe.yaml:1:7: task: unknown task 'localisatoin'; did you mean 'localization'?"
    )
    text = "task: classification\ndata: {kind: digits}\nmodel: {kind: lenet5}\n"
    assert refusal(tmp_path, text, "train.best_metric=val_localisation_accuracy").startswith(
        "--set train.best_metric=val_localisation_accuracy: train.best_metric: value 'val_localization_accuracy' is "
        "for task: localization; here the values are "
    )


@pytest.mark.parametrize("text", ["[]", "task", "task: [localisation]\n", "train: {schedule: [1]}\n", ""])
def test_what_is_no_recipe_is_still_refused(text: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, text)


def test_the_config_of_an_older_run_is_that_of_a_new_one(tmp_path: Path) -> None:
    """As run.json holds it: read from JSON, in the old spelling, with null for the dropout of the paper."""
    new = resolved(load_text(tmp_path, RECIPE).recipe)
    text = json.dumps(new).replace("localization", "localisation")
    text = text.replace('"dropout": 0.5', '"dropout": null').replace('"dense": [4096, 4096]', '"dense": null')
    old = json.loads(text)
    assert old["model"]["dropout"] is old["model"]["dense"] is None
    assert completed(old) == new
    assert load_text(tmp_path, to_yaml(old)).recipe == load_text(tmp_path, RECIPE).recipe


@pytest.mark.parametrize("config", [{}, {"task": "poetry"}, {"task": "localisation"}, {"task": ["tagging"]}])
def test_a_config_that_is_no_recipe_stays_as_it_is(config: dict[str, object]) -> None:
    assert completed(config) == config
