"""A training job: recipe, data and network, checked against each other and built before anything is written.

Each task defines a job in its folder; `dispatch.prepare` makes the one for a recipe.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import keras

from dlcli.data.splits import DataWarning, LeftOut
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.train import CommonStage, CommonTrain
from dlcli.report.cost.layer_table import LayerTable, layer_table, table_text
from dlcli.report.cost.training_memory import TrainingMemory, memory_text, training_memory
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device, num_devices, set_precision
from dlcli.tasks.optimization import make_settings, make_stage, slots_per_weight, stage_sections
from dlcli.training.checkpoint import keys_of
from dlcli.training.loop import Loop, Parts
from dlcli.training.objectives.objective import Objective
from dlcli.training.step import Data

OVERFIT_LOSS = 0.01  # nats; below it a batch counts as memorized
MAX_LISTED = 12  # classes up to which their sample counts are printed before training
MAX_LEFT_OUT = 5  # skipped files that are named before training


class AnyDataset(Protocol):
    """What the data sets of all tasks have in common, such as :class:`dlcli.data.images.samples.Dataset`."""

    @property
    def splits(self) -> Any:
        """The samples of each split by its name; each has a length."""

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the source holds that is not used, with the reasons."""

    @property
    def warnings(self) -> tuple[DataWarning, ...]:
        """What the user should know about the data, one line each."""

    def fingerprint(self) -> str:
        """A digest of everything in the data that a result may depend on."""

    def split_rows(self) -> list[dict[str, str]]:
        """The rows of split.csv: one for each sample."""


@dataclass(frozen=True)
class Job(ABC):
    """All that training needs, whatever the task.

    Attributes:
        loaded: the recipe, with its text and the positions of its keys.
        dataset: the data, divided into splits.
        train_data: the batches of the training split.
        validation_data: the batches of the validation split; None without one.
        device: the device that training runs on.
        console: where progress is printed.
    """

    loaded: LoadedRecipe
    dataset: AnyDataset
    train_data: Data
    validation_data: Data | None
    device: Device
    console: Console

    @property
    def best_metric(self) -> str:
        """The column of metrics.csv by which the best model is chosen."""
        default = "train_loss" if self.validation_data is None else "val_loss"
        return self.loaded.recipe.train.best_metric or default

    @property
    @abstractmethod
    def model(self) -> keras.Model:
        """The model that is saved as model.keras: raw samples in, final predictions out."""

    @property
    @abstractmethod
    def trained(self) -> keras.Model:
        """The network whose outputs the objective takes, such as logits; it shares its layers with the model."""

    def table(self) -> LayerTable:
        """The layer table of the network: shapes, parameters and multiply-adds of each layer."""
        return layer_table(self.model)

    @abstractmethod
    def objective(self, *, in_training: bool, losses: str = "all", exact: bool = False) -> Objective:
        """The loss to minimize, and the metrics reported with it.

        Args:
            in_training: weight the classes as the recipe asks; evaluation leaves them unweighted.
            losses: all, or the name of one of a task's several losses.
            exact: cross-entropy without label smoothing, which can reach 0.
        """

    # What it prints and writes ----------------------------------------------------------------------------------------

    @property
    def custom_layers(self) -> list[str]:
        """Names of dlcli's own layers in the saved model: it loads only where dlcli is installed."""
        return []

    def code(self) -> dict[str, str] | None:
        """The user's own Python file that builds the network, and its SHA-256, for run.json; None without one."""
        return None

    @abstractmethod
    def data_summary(self) -> str:
        """The samples in one line, such as ``10 classes; sample shape 28x28x1``."""

    def data_notes(self) -> list[str]:
        """Further lines about the data, printed before training."""
        return []

    def model_summary(self) -> list[str]:
        """The network, in one line or two."""
        return [f"model: {self.loaded.recipe.model.kind}, {self.model.count_params():,} parameters"]

    @abstractmethod
    def data_info(self) -> dict[str, Any]:
        """What run.json records about the data in addition to what it records for every task."""

    def base(self) -> dict[str, str] | None:
        """The source of the pretrained weights, and the SHA-256 of their file; None if the weights are random."""
        return None

    @abstractmethod
    def write_initial_files(self, run: RunDir) -> None:
        """Write the files that the task's run directory holds before the first step; ``plots/`` exists."""

    def set_up_cache(self, run: RunDir) -> None:  # noqa: B027 - most tasks have nothing to do
        """Set up the cache that keeps decoded samples between epochs, and print where it is."""

    # Training and after -----------------------------------------------------------------------------------------------

    def stage_preparer(self, run: RunDir) -> Callable[[CommonStage], Parts | None]:
        """A function that freezes or unfreezes layers for a stage, and returns the stage's parts, or None."""
        return lambda section: None

    def set_depth(self, section: CommonStage) -> None:  # noqa: B027 - most tasks train all layers in every stage
        """Freeze or unfreeze layers for a stage.

        Raises:
            ValueError: the network has no such layers or stage; the text names those it has.
        """

    def losses_of(self, section: CommonStage) -> str:
        """The losses that a stage minimizes: all, or the name of one of several."""
        return "all"

    def loop_options(self) -> dict[str, Any]:
        """The task's own arguments of the training loop."""
        return {}

    @abstractmethod
    def overfit_data(self, num_batches: int) -> Data:
        """A few batches of samples evenly spaced over the training split, without augmentation."""

    def overfit_loss(self, data: Data) -> float:
        """The loss below which these batches count as memorized."""
        return OVERFIT_LOSS

    @abstractmethod
    def build_model(self) -> keras.Model:
        """Build the model again, with new weights, under the current dtype policy."""

    @abstractmethod
    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        """Evaluate the saved model on a split, write the results into the run directory, and return the metrics."""

    def weight_keys(self) -> dict[int, str]:
        """The key in checkpoints of each of the model's weights, by the id of the weight."""
        return keys_of("model", self.trained.variables)

    # The same for all tasks -------------------------------------------------------------------------------------------

    def float32_model(self) -> keras.Model:
        """The model with its current weights and float32 layers, whatever the precision of training."""
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
            team=self.device.members,
            **self.loop_options(),
        )


# What is printed ------------------------------------------------------------------------------------------------------


def describe(job: Job, run: RunDir | None) -> None:
    """Print the lines before training: the run's directory and device, the data, and the network."""
    dataset, console = job.dataset, job.console
    if run is not None:
        console.log = run.log
        console.say(f"run {run.path} on {job.device.name}")
    if job.device.num_devices > 1:
        console.say(division_text(job))
    counts = ", ".join(f"{len(samples):,} {split}" for split, samples in dataset.splits.items())
    console.say(f"data: {counts}; {job.data_summary()}")
    for line in job.data_notes():
        console.say(line)
    if dataset.left_out:
        in_order = sorted(dataset.left_out, key=lambda left: left.kind != "unreadable")
        num_named = max(MAX_LEFT_OUT, sum(left.kind == "unreadable" for left in in_order))  # those are meant: all
        shown = ", ".join(f"{left.name} ({left.reason})" for left in in_order[:num_named])
        more = ", … (run.json lists all)" if len(in_order) > num_named else ""
        console.say(f"skipped {len(in_order):,}: {shown}{more}")
    for warning in dataset.warnings:
        console.warn(warning.text)
    for line in job.model_summary():
        console.say(line)


def num_parts(train: CommonTrain) -> int:
    """The number of parts in which a batch is computed: at least one for each device."""
    return max(train.gradient_accumulation, num_devices())


def with_parts(loaded: LoadedRecipe, parts: int, console: Console) -> LoadedRecipe:
    """The recipe of a run that is continued, with batches in as many parts as before, whatever the number of devices.

    Args:
        parts: of a batch so far. More devices need more parts, which is reported.
    """
    train = loaded.recipe.train
    if num_devices() > parts:
        console.warn(
            f"a batch is now computed in {num_devices()} parts, one for each device, and was computed in {parts}: "
            "batch normalization and dropout depend on the parts"
        )
    if parts <= train.gradient_accumulation:
        return loaded
    changed = train.model_copy(update={"gradient_accumulation": parts})
    return replace(loaded, recipe=loaded.recipe.model_copy(update={"train": changed}))


def division_text(job: Job) -> str:
    """How batches are divided among several devices, in one line."""
    train, number = job.loaded.recipe.train, job.device.num_devices
    parts = num_parts(train)
    sizes = sorted({train.batch_size // parts, -(-train.batch_size // parts)})
    size = " or ".join(f"{size:,}" for size in sizes)
    return (
        f"devices: {number}; a batch of {train.batch_size:,} is computed in {parts} parts of {size}. The learning rate "
        "is the recipe's"
    )


def training_memory_of(
    table: LayerTable, train: CommonTrain, num_samples: int | None, *, batch_size: int | None = None
) -> tuple[TrainingMemory, int]:
    """The memory that training a network takes, and the number of samples computed at once.

    Args:
        table: the network's layers.
        train: the recipe's ``train`` section.
        num_samples: in the training split, which may be smaller than a batch; None if the data are unknown.
        batch_size: samples computed at once, in place of what the recipe and the data imply.
    """
    if batch_size is None:
        batch_size = -(-train.batch_size // num_parts(train))
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
