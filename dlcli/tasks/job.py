"""A training job: recipe, data and network, checked against each other and built, before anything is written.

Each task has a job of its own in its folder; ``dispatch`` chooses.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras

from dlcli.data.splits import DataWarning, LeftOut
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.train import CommonStage, CommonTrain
from dlcli.report.cost.layer_table import LayerTable, layer_table, table_text
from dlcli.report.cost.training_memory import TrainingMemory, memory_text, training_memory
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device, set_precision
from dlcli.tasks.optimization import make_settings, make_stage, slots_per_weight, stage_sections
from dlcli.training.loop import Loop, Parts
from dlcli.training.objectives.objective import Objective
from dlcli.training.step import Data

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
    def warnings(self) -> tuple[DataWarning, ...]:
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
    device: Device
    console: Console

    @property
    def best_metric(self) -> str:
        """The column of metrics.csv that picks the model to keep."""
        default = "train_loss" if self.validation_data is None else "val_loss"
        return self.loaded.recipe.train.best_metric or default

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
    def data_summary(self) -> str:
        """What the samples are: ``10 classes; samples of 28x28x1``."""

    def data_notes(self) -> list[str]:
        """What else of the data is worth a line before training."""
        return []

    def model_summary(self) -> list[str]:
        """The network, in a line or two."""
        return [f"model: {self.loaded.recipe.model.kind}, {self.model.count_params():,} parameters"]

    @abstractmethod
    def data_info(self) -> dict[str, Any]:
        """What run.json says about the data besides what it says for every task."""

    def base(self) -> dict[str, str] | None:
        """Where the initial weights came from, and the SHA-256 of their file; None where they are drawn."""
        return None

    @abstractmethod
    def write_initial_files(self, run: RunDir) -> None:
        """Writes what the task's run directory holds before the first step; ``plots/`` is there."""

    def set_up_cache(self, run: RunDir) -> None:  # noqa: B027 - most have nothing to do
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


# What is said ---------------------------------------------------------------------------------------------------------


def describe(job: Job, run: RunDir | None) -> None:
    """The first lines that a person sees: data, network, and where the run goes."""
    dataset, console = job.dataset, job.console
    if run is not None:
        console.log = run.log
        console.say(f"run {run.path} on {job.device.name}")
    counts = ", ".join(f"{len(samples):,} {split}" for split, samples in dataset.splits.items())
    console.say(f"data: {counts}; {job.data_summary()}")
    for line in job.data_notes():
        console.say(line)
    if dataset.left_out:
        shown = ", ".join(f"{left.name} ({left.reason})" for left in dataset.left_out[:MAX_LEFT_OUT])
        more = ", … (all are in run.json)" if len(dataset.left_out) > MAX_LEFT_OUT else ""
        console.say(f"left out: {len(dataset.left_out):,}: {shown}{more}")
    for warning in dataset.warnings:
        console.warn(warning.text)
    for line in job.model_summary():
        console.say(line)


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
