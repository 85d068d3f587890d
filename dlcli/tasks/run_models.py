"""Loads the models of runs, and resolves the runs that a recipe starts from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras

from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, NumberRecipe, SequenceRecipe, TextRecipe
from dlcli.recipe.sections.backbone import base_key, base_of, with_base
from dlcli.recipe.sections.image_model import PythonNetwork, Saved
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import file_digest
from dlcli.rundir.runs import find_run
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_described, load_keras_file
from dlcli.training import checkpoint


@dataclass(frozen=True)
class BestModel:
    """The best model of a run so far.

    Attributes:
        model: float32, raw samples in and final predictions out.
        file: the file that its weights were read from.
        digest: the SHA-256 of that file.
        epoch: the epoch it is from, if the run is not complete; None for the model of a complete run.
    """

    model: keras.Model
    file: Path
    digest: str
    epoch: int | None


def load_model(run: RunDir, console: Console, *, load: Callable[[Path], keras.Model] = load_keras_file) -> BestModel:
    """The best model of a run: model.keras of a complete one, else its best checkpoint so far, which is reported.

    The run may be trained by another process at the same time.

    Args:
        load: loads model.keras.

    Raises:
        InputError: no epoch is completed yet, or the model is corrupt.
    """
    status = run.status()
    if status != "completed" and run.network.exists():
        try:
            saved = checkpoint.load_best_in_use(run)
        except checkpoint.Corrupt as corruption:
            raise InputError(f"{corruption}. Resume the run with: dlcli train --resume {run.path}") from None
        if saved is not None:
            return _of_checkpoint(run, saved, status, console)
    path = model_file(run)
    return BestModel(load(path), path, file_digest(path), None)


STATES = {"running": "is being trained", "interrupted": "was interrupted", "failed": "failed"}


def _of_checkpoint(run: RunDir, saved: checkpoint.Saved, status: str, console: Console) -> BestModel:
    keeps_averages = run.read_info()["config"].get("train", {}).get("ema") is not None
    if keeps_averages and not saved.averages:
        raise InputError(
            f"{run.path}: its checkpoint was written by an earlier version and does not name the averages of its "
            f"weights. Complete the training with: dlcli train --resume {run.path}"
        )
    epoch = saved.state.get("epoch")
    if not isinstance(epoch, int):
        raise InputError(f"checkpoint {saved.name}: its state.json was not written by dlcli.")
    model = load_described(run.network, saved.averaged())
    console.warn(f"run {run.path} {STATES[status]}: this is its best model so far, of epoch {epoch}")
    return BestModel(model, run.checkpoint(saved.name) / "variables.npz", saved.digest, epoch)


def check_image_model(run: RunDir, model: keras.Model, *, layer: str = "logits", noun: str = "classes") -> None:
    """Check that a model takes the samples of an image run, and has an output for each of its classes.

    Args:
        layer: the layer whose output has them in its last dimension.
        noun: what the outputs are called: classes, labels.

    Raises:
        InputError: it is another model.
    """
    if layer not in [inner.name for inner in model.layers]:
        raise InputError(f"{run.model}: is not the model that this run saved: it has no layer named '{layer}'.")
    expected = (tuple(run.read_info()["data"].get("shape", ())), len(run.read_classes()))
    received = (tuple(model.inputs[0].shape[1:]), model.get_layer(layer).output.shape[-1])
    if received != expected:
        raise InputError(
            f"{run.model}: is not the model that this run saved: it must take samples of shape {expected[0]} and have "
            f"{expected[1]} {noun}. Received {received[0]} and {received[1]}."
        )


def load_image_model(
    run: RunDir, console: Console, *, check: Callable[[RunDir, keras.Model], None] = check_image_model
) -> BestModel:
    """Load the best model of an image run: float32, raw values in and final predictions out.

    Args:
        check: refuses the model of another run.

    Raises:
        InputError: there is no model yet, or it is corrupt.
    """
    best = load_model(run, console)
    check(run, best.model)
    return best


def load_sequence_model(run: RunDir, recipe: SequenceRecipe, console: Console) -> BestModel:
    """Load the best model of a sequence run: float32, raw text or numbers in, probabilities or numbers out.

    Raises:
        InputError: there is no model yet, or it is corrupt.
    """
    best = load_model(run, console)
    model = best.model
    is_text = isinstance(recipe, TextRecipe | Tagging)
    is_number = isinstance(recipe, NumberRecipe)
    last = next((layer for layer in model.layers if layer.name == ("value" if is_number else "logits")), None)
    size = [] if is_number else [len(run.read_classes())]
    has_run_size = last is not None and list(last.output.shape[1:])[-1:] == size
    if not has_run_size or (model.inputs[0].dtype == "string") != is_text:
        outputs = "a number" if is_number else f"the probabilities of {size[0]} classes"
        rule = f"it must take {'text' if is_text else 'numbers'} and output {outputs}"
        raise InputError(f"{run.model}: is not the model that this run saved: {rule}.")
    return best


def model_file(run: RunDir) -> Path:
    """The file of a complete run's best model.

    Raises:
        InputError: there is no model yet, or it is not the one that the run saved.
    """
    if not run.model.exists() and run.status() == "failed":
        raise InputError(f"{run.path}: has no model.keras: its training failed ({run.read_info().get('reason')}).")
    if not run.model.exists() and run.is_locked():
        raise InputError(
            f"{run.path}: has no model.keras yet: another process is training this run, and no epoch is complete. "
            "Wait for the first one."
        )
    if not run.model.exists():
        raise InputError(
            f"{run.path}: has no model.keras yet. Complete the training with: dlcli train --resume {run.path}"
        )
    written = run.read_info().get("model")
    if written is not None and run.status() == "completed" and file_digest(run.model) != written:
        raise InputError(
            f"{run.model}: is not the model that this run saved: its SHA-256 differs from the one in run.json. Restore "
            f"it from a copy, or delete it and write it again with: dlcli train --resume {run.path}"
        )
    return run.model


def with_architecture(loaded: LoadedRecipe, run: RunDir) -> LoadedRecipe:
    """The recipe of a run that has checkpoints; a saved network is read from the run, as its file may be gone."""
    loaded = with_code(loaded, run)
    base = base_of(loaded.recipe.model)
    if not isinstance(base, Saved) or not run.architecture.exists():
        return loaded
    return _with_file(loaded, "file", run.architecture)


def with_code(loaded: LoadedRecipe, run: RunDir) -> LoadedRecipe:
    """The recipe of a run, with the run's own copy of the Python file that builds its network, if it has one.

    Raises:
        InputError: the copy was changed or is missing.
    """
    if not isinstance(base_of(loaded.recipe.model), PythonNetwork):
        return loaded
    recorded = run.read_info().get("code")
    expected = recorded.get("sha256") if isinstance(recorded, dict) else None
    if not run.code.exists() or file_digest(run.code) != expected:
        raise InputError(
            f"{run.code}: is not the code that this run was trained with: its SHA-256 differs from the one in "
            "run.json. Restore it from a copy, or train a new run."
        )
    return _with_file(loaded, "file", run.code.absolute())


def _with_file(loaded: LoadedRecipe, key: str, file: Path) -> LoadedRecipe:
    """The recipe with another file of the network that it starts from."""
    model = loaded.recipe.model
    base = base_of(model)
    assert base is not None
    changed = with_base(model, base.model_copy(update={key: str(file)}))
    return replace(loaded, recipe=loaded.recipe.model_copy(update={"model": changed}))


def check_base(run: RunDir) -> None:
    """Refuse to restart a run if the pretrained weights that it starts from have changed.

    Raises:
        InputError: their file does not exist any more, or has changed.
    """
    base = run.read_info().get("base") or {}
    if "sha256" not in base:
        return
    path = Path(str(base["weights"]))
    if not path.exists() or file_digest(path) != base["sha256"]:
        what = "no longer exists" if not path.exists() else "has changed since the run was started"
        raise InputError(f"{path}: {what}, and {run.path} has no checkpoint yet. Restore it, or train a new run.")


def with_run_files(loaded: LoadedRecipe, runs: Path) -> LoadedRecipe:
    """The recipe with run:NAME replaced by the path of that run's model.

    Args:
        runs: the folder that holds the runs.

    Raises:
        InputError: there is no such run, or it has no model.
    """
    model = loaded.recipe.model
    for key in ("weights", "file"):
        source = str(getattr(base_of(model), key, ""))
        if source.startswith("run:"):
            try:
                path = model_file(find_run(runs, source.removeprefix("run:"))).absolute()
            except InputError as error:
                raise loaded.error(f"{base_key(model)}.{key}", str(error)) from None
            return _with_file(loaded, key, path)
    return loaded
