"""A training job: recipe, data and network, checked against each other and built, before anything is written.

What every task has is here; ``image_job`` and ``sequence_job`` have what is theirs, and ``prepare`` chooses.
"""

import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.splits import Labels, LeftOut, describe_difference
from dlcli.errors import InputError
from dlcli.recipe.language.errors import RecipeError
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.train import ClassTrain, CommonStage, CommonTrain
from dlcli.report.cost.layer_table import LayerTable, layer_table, table_text
from dlcli.report.cost.training_memory import TrainingMemory, memory_text, training_memory
from dlcli.rundir import RunDir, read_csv
from dlcli.training.loop import Loop, Parts
from dlcli.training.objectives.objective import Objective
from dlcli.training.step import Data
from dlcli.workflow.optimization import make_settings, make_stage, slots_per_weight, stage_sections
from dlcli.workflow.start import Device, set_precision, without_weights
from dlcli.workflow.talk import Talk

OWN_DATA = "the run's own"  # what metrics.json says of data that are not named
OVERFIT_LOSS = 0.01  # nats; below it a batch counts as known by heart
MAX_LISTED = 12  # classes whose samples are counted in the first lines
MAX_LEFT_OUT = 5  # files named there that are left out


class AnyDataset(Protocol):
    """What data of every kind come to, such as :class:`dlcli.data.images.samples.Dataset`."""

    @property
    def splits(self) -> Any:
        """The samples by the name of the split, each with a length."""

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the source holds besides."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, one line each."""

    def fingerprint(self) -> str:
        """A digest of everything that a result may depend on."""

    def split_rows(self) -> list[dict[str, str]]:
        """The rows of split.csv."""


@dataclass(frozen=True)
class Job(ABC):
    """All that training needs, whatever the task."""

    loaded: LoadedRecipe
    dataset: AnyDataset
    train_data: Data
    validation_data: Data | None
    best_metric: str
    device: Device
    talk: Talk

    @property
    @abstractmethod
    def model(self) -> keras.Model:
        """What is saved as model.keras: raw values in, final answers out."""

    @property
    @abstractmethod
    def trained(self) -> keras.Model:
        """What the objective takes the outputs of; it shares its layers with the model."""

    def table(self) -> LayerTable:
        """What each layer of the network holds and costs."""
        return layer_table(self.model)

    @abstractmethod
    def objective(self, *, in_training: bool, losses: str = "all", exact: bool = False) -> Objective:
        """What is lowered, with the weights of training or without them; ``exact``: without label smoothing."""

    # What it says and writes ------------------------------------------------------------------------------------------

    @property
    def custom_layers(self) -> list[str]:
        """Layers of ours that the saved model needs."""
        return []

    @abstractmethod
    def data_line(self) -> str:
        """What the samples are: ``10 classes; samples of 28x28x1``."""

    def more_lines(self) -> list[str]:
        """What else of the data is worth a line before training."""
        return []

    def model_lines(self) -> list[str]:
        """The network, in a line or two."""
        return [f"model: {self.loaded.recipe.model.kind}, {self.model.count_params():,} parameters"]

    @abstractmethod
    def data_info(self) -> dict[str, Any]:
        """What run.json says about the data besides what it says for every task."""

    def base(self) -> dict[str, str] | None:
        """Where the first weights came from, and the SHA-256 of their file; None where they are drawn."""
        return None

    @abstractmethod
    def write_beginning(self, run: RunDir) -> None:
        """Writes what the task's run directory holds before the first step; ``plots/`` is there."""

    def keep_near(self, run: RunDir) -> None:  # noqa: B027 - most have nothing to do
        """Says where samples are kept between epochs, and makes place for them."""

    # Training and after -----------------------------------------------------------------------------------------------

    def stage_preparer(self, run: RunDir) -> Callable[[CommonStage], Parts | None]:
        """What makes layers trainable or not for a stage, and says what the stage computes with."""
        return lambda section: None

    def set_depth(self, section: CommonStage) -> None:  # noqa: B027 - most train all in every stage
        """Makes layers trainable or not for a stage.

        Raises:
            ValueError: there is no such depth in the network; the text says what there is.
        """

    def losses_of(self, section: CommonStage) -> str:
        """What a stage lowers: all, or one of several losses."""
        return "all"

    def loop_options(self) -> dict[str, Any]:
        """More arguments of the loop."""
        return {}

    @abstractmethod
    def overfit_data(self, num_batches: int) -> Data:
        """A few batches of the training split, from all over it, without random changes."""

    def overfit_loss(self, data: Data) -> float:
        """Below which loss these data count as known by heart."""
        return OVERFIT_LOSS

    @abstractmethod
    def build_model(self) -> keras.Model:
        """The model once more, with other weights, under the current dtype policy."""

    @abstractmethod
    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        """Evaluates the saved model on a split of the data, writes the results into the run, and gives the metrics."""

    # The same for all -------------------------------------------------------------------------------------------------

    def float32_model(self) -> keras.Model:
        """The model with float32 layers, whatever it was trained with, and the weights it has now."""
        precision = self.loaded.recipe.train.precision
        if precision == "float32":
            return self.model
        set_precision("float32")
        model = self.build_model()
        set_precision(precision)
        model.set_weights(self.model.get_weights())
        return model

    def loop(self, run: RunDir, observer: Any) -> Loop:
        """The training loop of this job in a run directory."""
        train = self.loaded.recipe.train
        prepare = self.stage_preparer(run)
        stages = [
            make_stage(
                section,
                train,
                steps_per_epoch=self.train_data.num_steps,
                prepare=functools.partial(prepare, section),
            )
            for section in stage_sections(train)
        ]
        return Loop(
            run=run,
            model=self.trained,
            train_objective=self.objective(in_training=True),
            validation_objective=self.objective(in_training=False),
            train_data=self.train_data,
            validation_data=self.validation_data,
            stages=stages,
            settings=make_settings(train, best_metric=self.best_metric),
            observer=observer,
            **self.loop_options(),
        )


# Checks ---------------------------------------------------------------------------------------------------------------


def check_same_data(run: RunDir, dataset: AnyDataset) -> None:
    """Refuses data that are not those that the run was trained on.

    Raises:
        InputError: says what has changed.
    """
    if dataset.fingerprint() != run.read_info()["data"]["fingerprint"]:
        difference = describe_difference(read_csv(run.split), dataset.split_rows())
        raise InputError(
            f"{run.path}: the data are not those that the run began with: {difference}. "
            "Put them back, train a new run, or name other data with evaluate --data."
        )


def first_split(splits: Collection[str]) -> str:
    """The split that is measured where none is named: test, else validation, else train."""
    return next(name for name in ("test", "validation", "train") if name in splits)


def own_split(run: RunDir, splits: Collection[str], asked: str | None) -> str:
    """The split of a run's own data to measure: the one that is asked for.

    Raises:
        InputError: there is no such split.
    """
    name = asked or first_split(splits)
    if name not in splits:
        raise InputError(f"{run.path}: its data have no {name} split; they have {', '.join(splits)}.")
    return name


def other_split(data: Path, splits: Collection[str], asked: str | None) -> str:
    """The same of other data, which may be undivided.

    Raises:
        InputError: there is no such split, or one is asked for where there are none.
    """
    if asked is not None and len(splits) == 1:
        raise InputError(f"--split: {data} is not divided, and measured as a whole; leave it out.")
    name = asked or first_split(splits)
    if name not in splits:
        raise InputError(f"{data}: has no {name} split; it has {', '.join(splits)}.")
    return name


def check_memory(loaded: LoadedRecipe, memory_of: Callable[[], TrainingMemory]) -> None:
    """Compares the memory that training takes with the machine's.

    Args:
        memory_of: builds the network, which is done without its weights, and says what training it takes.

    Raises:
        InputError: the network does not suit the samples, or is too large for this machine.
    """
    try:
        with without_weights():
            memory = memory_of()
    except RecipeError:
        raise
    except InputError as error:
        raise loaded.fault("model", str(error)) from None
    except (ValueError, OverflowError, tf.errors.OpError) as error:
        raise loaded.fault("model", f"this network cannot be built ({str(error).splitlines()[0][:200]})") from None
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory.total > available:
        raise loaded.fault(
            "model",
            f"training this network takes at least {memory.total / 2**30:,.1f} GiB "
            f"(weights {memory.weights / 2**30:,.1f}, gradients {memory.gradients / 2**30:,.1f}, "
            f"optimizer {memory.optimizer / 2**30:,.1f}, activations {memory.activations / 2**30:,.1f}); "
            f"this machine has {available / 2**30:,.1f} GiB. "
            "Make it smaller, or lower train.batch_size or raise train.gradient_accumulation",
        )


def check_metrics(loaded: LoadedRecipe, *, has_validation: bool) -> None:
    """Refuses metrics of a validation split that is not there.

    Raises:
        InputError: located at the key.
    """
    for key, metric in loaded.recipe.train.steering_metrics.items():
        if metric is not None and metric.startswith("val_") and not has_validation:
            raise loaded.fault(
                f"train.{key}", f"there is no validation split to take {metric} from; set data.validation above 0"
            )


def best_metric_of(train: CommonTrain, *, has_validation: bool) -> str:
    """The column of metrics.csv that picks the model to keep."""
    return train.best_metric or ("val_loss" if has_validation else "train_loss")


def check_class_weights(loaded: LoadedRecipe, train: ClassTrain, classes: Sequence[str]) -> None:
    """Refuses weights that are not those of the data's classes.

    Raises:
        InputError: located at the key.
    """
    if isinstance(train.class_weights, dict):
        missing = [name for name in classes if name not in train.class_weights]
        unknown = [name for name in train.class_weights if name not in classes]
        if missing or unknown:
            fault = f"lacks {', '.join(missing)}" if missing else f"has no class of the data: {', '.join(unknown)}"
            raise loaded.fault("train.class_weights", f"expected a weight for each class; {fault}")


def class_weights(train: ClassTrain, labels: Labels, classes: Sequence[str]) -> tuple[float, ...] | None:
    """The recipe's class weights, in the order of the outputs; ``labels`` are those of the training split."""
    given = train.class_weights
    if given is None:
        return None
    if given == "balanced":
        counts = np.bincount(labels, minlength=len(classes))
        return tuple((counts.sum() / (len(classes) * np.maximum(counts, 1))).tolist())
    return tuple(given[name] for name in classes)


# What is said ---------------------------------------------------------------------------------------------------------


def describe(job: Job, run: RunDir | None) -> None:
    """The first lines that a person sees: data, network, and where the run goes."""
    dataset, talk = job.dataset, job.talk
    if run is not None:
        talk.log = run.log
        talk.say(f"run {run.path} on {job.device.name}")
    counts = ", ".join(f"{len(samples):,} {split}" for split, samples in dataset.splits.items())
    talk.say(f"data: {counts}; {job.data_line()}")
    for line in job.more_lines():
        talk.say(line)
    if dataset.left_out:
        shown = ", ".join(f"{left.name} ({left.reason})" for left in dataset.left_out[:MAX_LEFT_OUT])
        more = ", … (all are in run.json)" if len(dataset.left_out) > MAX_LEFT_OUT else ""
        talk.say(f"left out: {len(dataset.left_out):,}: {shown}{more}")
    for warning in dataset.warnings:
        talk.warn(warning)
    for line in job.model_lines():
        talk.say(line)


def class_counts(labels: Labels, classes: Sequence[str]) -> list[str]:
    """How many samples to train on each class has, in a line; none where there are many classes."""
    if len(classes) > MAX_LISTED:
        return []
    numbers = np.bincount(labels[labels >= 0], minlength=len(classes))
    return ["train: " + ", ".join(f"{name} {number:,}" for number, name in zip(numbers, classes, strict=True))]


def training_memory_of(
    table: LayerTable, train: CommonTrain, num_samples: int | None, *, batch_size: int | None = None
) -> tuple[TrainingMemory, int]:
    """The memory that training a network takes, and the samples computed at once.

    Args:
        num_samples: to train on, which may be fewer than a batch has; None where the data are not known.
        batch_size: samples computed at once, in place of what the recipe and the data say.
    """
    if batch_size is None:
        batch_size = -(-train.batch_size // train.gradient_accumulation)
        batch_size = batch_size if num_samples is None else min(batch_size, num_samples)
    memory = training_memory(
        table,
        batch_size=batch_size,
        slots_per_weight=slots_per_weight(train),
        bytes_per_activation=4 if train.precision == "float32" else 2,
    )
    return memory, batch_size


def layers_text(job: Job) -> str:
    """The content of model.txt."""
    table = job.table()
    memory, batch_size = training_memory_of(table, job.loaded.recipe.train, job.train_data.num_samples)
    return f"{table_text(table)}\n{memory_text(memory, batch_size)}\n"
