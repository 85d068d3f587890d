"""Loads the models of runs, and finds the runs that a recipe starts from."""

from dataclasses import replace
from pathlib import Path

import keras

from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, SequenceRecipe
from dlcli.recipe.sections.image_model import Saved
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.rundir import RunDir, file_digest, find_run
from dlcli.runtime.model_files import load_keras_file


def load_model(run: RunDir) -> keras.Model:
    """The best model of a run, float32, raw values in and probabilities out.

    Raises:
        InputError: there is none yet, or it is corrupt.
    """
    model = load_keras_file(model_file(run))
    if "logits" not in [layer.name for layer in model.layers]:
        raise InputError(f"{run.model}: is not the model that this run saved: it has no layer 'logits'.")
    expected = (tuple(run.read_info()["data"].get("shape", ())), len(run.read_classes()))
    found = (tuple(model.inputs[0].shape[1:]), model.get_layer("logits").output.shape[-1])
    if found != expected:
        raise InputError(
            f"{run.model}: is not the model that this run saved: it takes samples of {found[0]} to {found[1]} classes, "
            f"the run's have {expected[0]} and {expected[1]}."
        )
    return model


def load_sequence_model(run: RunDir, recipe: SequenceRecipe) -> keras.Model:
    """The best model of a run of sequences, float32: raw text or numbers in, probabilities or numbers out.

    Raises:
        InputError: there is none yet, or it is corrupt.
    """
    model = load_keras_file(model_file(run))
    is_text = isinstance(recipe, TextClassification | Tagging)
    is_number = isinstance(recipe, SequenceRegression)
    last = next((layer for layer in model.layers if layer.name == ("value" if is_number else "logits")), None)
    size = [] if is_number else [len(run.read_classes())]
    is_own = last is not None and list(last.output.shape[1:])[-1:] == size
    if not is_own or (model.inputs[0].dtype == "string") != is_text:
        must = f"take {'text' if is_text else 'numbers'} and give {'a number' if is_number else f'{size[0]} classes'}"
        raise InputError(f"{run.model}: is not the model that this run saved: it must {must}.")
    return model


def model_file(run: RunDir) -> Path:
    """The file of a run's best model.

    Raises:
        InputError: there is none yet, or it is not the one that the run saved.
    """
    if not run.model.exists() and run.status() == "failed":
        raise InputError(f"{run.path}: has no model.keras: its training failed ({run.read_info().get('reason')}).")
    if not run.model.exists() and run.is_locked():
        raise InputError(f"{run.path}: has no model.keras yet: another process is training it. Wait for it.")
    if not run.model.exists():
        raise InputError(
            f"{run.path}: has no model.keras yet. Complete its training with: dlcli train --resume {run.path}"
        )
    written = run.read_info().get("model")
    if written is not None and run.status() == "completed" and _digest(run.model) != written:
        raise InputError(
            f"{run.model}: is not the model that this run saved: its SHA-256 is not the one in run.json. Restore it; "
            f"or delete it, and then write it again with: dlcli train --resume {run.path}"
        )
    return run.model


def with_architecture(loaded: LoadedRecipe, run: RunDir) -> LoadedRecipe:
    """The recipe of a run that has checkpoints, whose saved network need not be where it was any more."""
    model = loaded.recipe.model
    if not isinstance(model, Saved) or not run.architecture.exists():
        return loaded
    recipe = loaded.recipe.model_copy(update={"model": model.model_copy(update={"file": str(run.architecture)})})
    return replace(loaded, recipe=recipe)


def check_base(run: RunDir) -> None:
    """Refuses to begin a run again with other initial weights than those that it began with.

    Raises:
        InputError: their file is not there, or has changed.
    """
    base = run.read_info().get("base") or {}
    if "sha256" not in base:
        return
    path = Path(str(base["weights"]))
    if not path.exists() or _digest(path) != base["sha256"]:
        what = "is not there" if not path.exists() else "has changed since the run began"
        raise InputError(f"{path}: {what}, and {run.path} has no checkpoint yet. Put it back, or train a new run.")


def with_run_files(loaded: LoadedRecipe, runs: Path) -> LoadedRecipe:
    """The recipe with the files of those runs in place of run:NAME.

    Raises:
        InputError: there is no such run, or it has no model.
    """
    model = loaded.recipe.model
    for key in ("weights", "file"):
        source = str(getattr(model, key, ""))
        if source.startswith("run:"):
            try:
                path = model_file(find_run(runs, source.removeprefix("run:"))).absolute()
            except InputError as error:
                raise loaded.error(f"model.{key}", str(error)) from None
            recipe = loaded.recipe.model_copy(update={"model": model.model_copy(update={key: str(path)})})
            return replace(loaded, recipe=recipe)
    return loaded


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Fix it, or restore it from a copy.") from None
