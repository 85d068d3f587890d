"""``dlcli summary``: what each layer of a network puts out, holds and costs, without training it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, SequenceRecipe, load
from dlcli.recipe.sections.image_model import Convnet, ImageClassifier, Mlp
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.recipe.tasks.step_prediction import StepPrediction
from dlcli.report.cost.layer_table import COLUMNS, LayerTable, layer_table, table_cells, table_csv, table_text
from dlcli.report.cost.training_memory import TrainingMemory, memory_text, training_memory
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_keras_file
from dlcli.runtime.startup import Device, without_weights
from dlcli.tasks import step_prediction
from dlcli.tasks.dispatch import prepare
from dlcli.tasks.images.freezing import set_depth
from dlcli.tasks.images.network import build_for
from dlcli.tasks.images.sources import open_dataset
from dlcli.tasks.images.standardization import Standardization
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.language_model import job as language_model_job
from dlcli.tasks.run_models import model_file, with_architecture, with_run_files
from dlcli.tasks.sequence_to_sequence import job as sequence_to_sequence_job
from dlcli.tasks.sequences import job as sequences_job
from dlcli.tasks.sequences.encoders import slow_on_gpu

DEFAULT_BATCH_SIZE = 32  # for a model file, which does not say with what it was trained
ADAM_SLOTS = 2  # the mean and the mean square of each gradient


@dataclass(frozen=True)
class Summary:
    """The table of a network, and the memory to train it.

    Attributes:
        source: the recipe, run or file.
        remark: on training: what is assumed of it, or what makes it slow; else empty.
    """

    source: str
    table: LayerTable
    memory: TrainingMemory
    batch_size: int
    remark: str = ""

    def text(self) -> str:
        """All of it for people."""
        return f"{table_text(self.table)}\n{memory_text(self.memory, self.batch_size)}{self.remark}\n"

    def csv(self) -> str:
        """The rows as CSV with plain numbers."""
        return table_csv(self.table)

    def rows(self) -> list[tuple[str, ...]]:
        """A header, the rows, and the sums, as text."""
        return [COLUMNS, *table_cells(self.table)]

    def as_dict(self) -> dict[str, Any]:
        """All of it in plain values, for JSON."""
        memory = {"batch_size": self.batch_size, **self.memory.as_dict()}
        return {"source": self.source, "training_memory": memory, **self.table.as_dict()}


def of_recipe(
    loaded: LoadedRecipe,
    *,
    runs: Path,
    shape: tuple[int, ...] | None,
    num_classes: int | None,
    batch_size: int | None,
    console: Console,
) -> Summary:
    """The network of a recipe on its data; on samples of a shape and with as many classes where those are given.

    Raises:
        InputError: the data cannot be used, or the network does not suit them.
    """
    if isinstance(loaded.recipe, SequenceRecipe | StepPrediction | Forecasting | LanguageModel | SequenceToSequence):
        if shape is not None:
            raise InputError(f"--input: is for images, signals and volumes; the task is {loaded.recipe.task}.")
        job = prepare(loaded, Device("cpu", "CPU"), console)
        return _of_sequences(str(loaded.path), loaded.recipe, job.table(), job.train_data.num_samples, batch_size)
    loaded = with_run_files(loaded, runs)
    num_samples = None
    if shape is None or num_classes is None:
        dataset = open_dataset(loaded, console)
        shape, num_classes, num_samples = dataset.shape, len(dataset.classes), len(dataset.splits["train"])
    else:
        _check_shape(loaded.of_images.model, shape)
    return _of_config(str(loaded.path), loaded, shape, num_classes, num_samples, batch_size)


def of_run(run: RunDir, *, batch_size: int | None) -> Summary:
    """The network of a run.

    Raises:
        InputError: the run's files are corrupt.
    """
    data = run.read_info().get("data", {})
    recipe = load(run.config).recipe
    if isinstance(recipe, Forecasting):
        table = layer_table(load_keras_file(model_file(run)))
        return _of_sequences(str(run.path), recipe, table, num_samples=data["samples"]["train"], batch_size=batch_size)
    if isinstance(recipe, StepPrediction):
        table = step_prediction.table_of_run(recipe)
        return _of_sequences(str(run.path), recipe, table, recipe.data.num_samples, batch_size)
    if isinstance(recipe, SequenceRecipe | LanguageModel | SequenceToSequence):
        try:
            table = _table_of_texts(recipe, data)
            return _of_sequences(str(run.path), recipe, table, data["samples"]["train"], batch_size)
        except (KeyError, TypeError):
            raise InputError(f"{run.info}: does not say what the run's samples are. Restore it from a copy.") from None
    shape = tuple(data.get("shape") or ())
    if not shape:
        raise InputError(f"{run.info}: does not say which samples the run has. Restore it from a copy.")
    num_samples = data.get("samples", {}).get("train")
    loaded = with_architecture(load(run.config), run)
    return _of_config(str(run.path), loaded, shape, len(run.read_classes()), num_samples, batch_size)


def _table_of_texts(recipe: SequenceRecipe | LanguageModel | SequenceToSequence, data: dict[str, Any]) -> LayerTable:
    match recipe:
        case LanguageModel():
            return language_model_job.table_of_run(recipe, data)
        case SequenceToSequence():
            return sequence_to_sequence_job.table_of_run(recipe, data)
        case _:
            return sequences_job.table_of_run(recipe, data)


def of_file(path: Path, *, batch_size: int | None) -> Summary:
    """The network in a .keras file.

    Raises:
        InputError: it cannot be loaded, or its layers are joined by Python code.
    """
    try:
        table = layer_table(load_keras_file(path))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    batch_size = batch_size or DEFAULT_BATCH_SIZE
    memory = training_memory(table, batch_size=batch_size, slots_per_weight=ADAM_SLOTS, bytes_per_activation=4)
    return Summary(str(path), table, memory, batch_size, "; with Adam, in float32")


def _of_config(
    source: str,
    loaded: LoadedRecipe,
    shape: tuple[int, ...],
    num_classes: int,
    num_samples: int | None,
    batch_size: int | None,
) -> Summary:
    recipe = loaded.of_images
    train = recipe.train
    try:
        with without_weights():
            classifier = build_for(
                recipe, shape=shape, num_classes=num_classes, standardization=_unfitted(loaded, shape)
            )
            if train.stages:  # what the last one does not change is not trained
                set_depth(recipe.model, classifier, train.stages[-1])
            table = layer_table(classifier.model)
            memory, batch_size = training_memory_of(table, train, num_samples, batch_size=batch_size)
    except InputError as error:
        raise loaded.error("model", str(error)) from None
    return Summary(source, table, memory, batch_size)


def _of_sequences(
    source: str,
    recipe: SequenceRecipe | StepPrediction | Forecasting | LanguageModel | SequenceToSequence,
    table: LayerTable,
    num_samples: int,
    batch_size: int | None,
) -> Summary:
    memory, batch_size = training_memory_of(table, recipe.train, num_samples, batch_size=batch_size)
    slow = slow_on_gpu(recipe.model)
    return Summary(source, table, memory, batch_size, "" if slow is None else f"\nOn a GPU: {slow}")


def _check_shape(section: ImageClassifier, shape: tuple[int, ...]) -> None:
    """Raises InputError for a shape that no data for this network have."""
    if isinstance(section, Mlp):
        return
    rank = section.rank if isinstance(section, Convnet) else 2
    words, example = {
        1: ("signals, time x channels", "100x2"),
        2: ("images, height x width x 1 or 3 channels", "32x32x3"),
        3: ("volumes, depth x height x width x channels", "16x32x32x1"),
    }[rank]
    if len(shape) != rank + 1 or (rank == 2 and shape[-1] not in (1, 3)):
        received = "x".join(map(str, shape))
        raise InputError(f"--input: {section.kind} takes {words}, such as {example}. Received {received}.")


def _unfitted(loaded: LoadedRecipe, shape: tuple[int, ...]) -> Standardization:
    """Stands for what training would fit: the layers are there, their numbers do not matter."""
    augment = loaded.of_images.augment
    if augment is None or not augment.centers_features:
        return Standardization()
    channels, size = shape[-1], math.prod(shape)
    return Standardization(
        mean=np.zeros(channels),
        std=np.ones(channels) if augment.featurewise_std_normalization else None,
        whitening=np.zeros((size, size), np.float32) if augment.zca_whitening else None,
    )
