"""A user's own network: trained, resumed and used without its file; code is executed only where that is allowed."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from processes import run_without_plots as run  # type: ignore[import-not-found]
from run_outcome import assert_same_but_name  # type: ignore[import-not-found]

from dlcli.errors import InputError
from dlcli.recipe.load import load_text
from dlcli.recipe.sections.image_model import PythonNetwork
from dlcli.runtime.user_code import allowed_code
from dlcli.tasks.images.user_network import features

CODE = """\
import pathlib
import keras

pathlib.Path("executed").write_text("yes")

def features(inputs, width=8):
    x = keras.layers.Conv2D(width, 3, padding="same", activation="relu", name="stage1")(inputs)
    x = x + keras.layers.Conv2D(width, 3, padding="same", name="residual")(x)
    return keras.layers.Conv2D(width, 3, strides=2, activation="relu", name="stage2")(x)

def vector(inputs):
    return keras.layers.Dense(3, name="units")(keras.layers.Flatten(name="flat")(inputs))

def a_lambda_layer(inputs):
    return keras.layers.Lambda(lambda x: x)(inputs)

def a_function(inputs):
    return keras.layers.Conv2D(4, 3, activation=lambda x: 2 * x)(inputs)

class Doubling(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def a_class(inputs):
    return Doubling()(inputs)

def an_error(inputs):
    raise ValueError("no \\x1b[31m")

def an_exit(inputs):
    raise SystemExit(3)

def a_number(inputs):
    return 3
"""
RECIPE = """\
task: classification
data: {kind: digits, image_size: [12, 12], limit: 60}
model: {kind: python, file: my_net.py, options: {width: 4}}
train: {epochs: 2, batch_size: 16, optimizer: {kind: adam, learning_rate: 1e-2}, checkpoint: {steps: 1}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe, the code, and the completed run own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.yaml").write_text(RECIPE)
    (folder / "my_net.py").write_text(CODE)
    run("train", "own.yaml", "--allow-code", folder=folder)
    (folder / "executed").unlink()
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


def test_a_run_is_used_without_executing_its_code(folder: Path) -> None:
    made_run = folder / "runs" / "own"
    assert (made_run / "model_code.py").read_text() == CODE
    assert json.loads((made_run / "run.json").read_text())["code"]["file"].endswith("my_net.py")
    (folder / "my_net.py").unlink()
    run("evaluate", "own", folder=folder)
    assert "stage2" in run("summary", "own", folder=folder).stdout
    assert not (folder / "executed").exists()
    model = keras.saving.load_model(made_run / "model.keras", safe_mode=True)
    assert model.predict(np.zeros((1, 12, 12, 1), np.float32), verbose=0).shape == (1, 10)


@pytest.mark.parametrize(
    "command",
    [
        ("train", "own.yaml"),
        ("train", "runs/own/config.yaml"),
        ("train", "--extend", "own", "--epochs", "3"),
        ("summary", "own.yaml"),
        ("find-lr", "own.yaml"),
    ],
)
def test_code_is_not_executed_unless_allowed(made: Path, command: tuple[str, ...]) -> None:
    refused = run(*command, folder=made, status=2)
    assert "model.kind: python executes this file. If you trust it, add --allow-code to the command," in refused.stderr
    assert not (made / "executed").exists()


@pytest.mark.slow
def test_a_killed_run_resumes_with_its_own_copy(folder: Path) -> None:
    kill = processes.KillAtCheckpoint(2)
    processes.run("train", "own.yaml", "--allow-code", "--name", "killed", folder=folder, prepare=kill)
    (folder / "my_net.py").write_text("not Python")
    assert "--allow-code" in run("train", "--resume", "killed", folder=folder, status=2).stderr
    run("train", "--resume", "killed", "--allow-code", folder=folder)
    assert_same_but_name(folder / "runs" / "own", folder / "runs" / "killed")
    with (folder / "runs" / "own" / "model_code.py").open("a") as file:
        file.write("\n")
    changed = run("train", "--extend", "own", "--epochs", "3", "--allow-code", folder=folder, status=2).stderr
    assert "is not the code that this run was trained with" in changed


@pytest.mark.parametrize("name", ["../my_net.py", "/tmp/my_net.py", "code/my_net.py"])
def test_code_must_be_beside_the_recipe(name: str) -> None:
    with pytest.raises(
        InputError, match=r"own.yaml:3:29: model.file: code is executed only from a file beside the rec"
    ):
        load_text(RECIPE.replace("my_net.py", name).encode(), Path("own.yaml"))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("a_lambda_layer", "must use layers and functions of Keras alone.* Received a Lambda layer"),
        ("a_function", "must use layers and functions of Keras alone.* Received a Python function"),
        ("a_class", "must use layers and functions of Keras alone.* Received Doubling"),
        ("an_error", r"my_net.py:28: ValueError: no \\x1b\[31m\. Fix the code"),
        ("an_exit", r"my_net.py:31: SystemExit: 3"),
        ("a_number", "must return the output of a Keras layer. Received int"),
        ("absent", "there must be a function 'absent'"),
    ],
)
def test_what_a_builder_must_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with allowed_code(), pytest.raises(InputError, match=message):
        build(tmp_path, function)


def test_a_builder_may_return_a_vector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with allowed_code():
        _, vector = build(tmp_path, "vector", dense=(5,))
    assert vector.shape == (None, 5)


def build(folder: Path, function: str, **keys: Any) -> Any:
    (folder / "my_net.py").write_text(CODE)
    section = PythonNetwork(kind="python", file=str(folder / "my_net.py"), function=function, **keys)
    return features(section, keras.Input((8, 8, 1)))
