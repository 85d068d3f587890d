"""A training job: recipe, data and network, checked against each other and built, before anything is written."""

import os
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.batches import Batches
from dlcli.data.samples import Dataset
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.train import Train
from dlcli.report.layers import LayerTable, TrainingMemory, layer_table, memory_text, table_text, training_memory
from dlcli.rundir import RunDir
from dlcli.training import objective
from dlcli.training.grouped import speed_up_kernel_gradients
from dlcli.training.loop import Loop
from dlcli.workflow.data import batches, check_augment, fit_standardization, in_memory, is_kept_in_memory, open_dataset
from dlcli.workflow.model import Classifier, Standardization, build_classifier, load_weights, set_trainable
from dlcli.workflow.optimization import make_settings, make_stage, slots_per_weight, stage_sections
from dlcli.workflow.start import Device, set_precision, set_seed, without_weights
from dlcli.workflow.talk import Talk


@dataclass(frozen=True)
class Job:
    """All that training needs."""

    loaded: LoadedRecipe
    dataset: Dataset
    classifier: Classifier
    standardization: Standardization
    train_data: Batches
    validation_data: Batches | None
    best_metric: str
    device: Device
    talk: Talk

    def loop(self, run: RunDir, observer: Any) -> Loop:
        """The training loop of this job in a run directory."""
        train = self.loaded.recipe.train
        if self.device.kind == "cpu":
            speed_up_kernel_gradients(self.classifier.model)
        steps = self.train_data.num_steps
        num_classes = len(self.dataset.classes)
        stages = [
            make_stage(
                section, train, steps_per_epoch=steps, set_trainable=lambda depth: set_trainable(self.classifier, depth)
            )
            for section in stage_sections(train)
        ]
        return Loop(
            run=run,
            model=self.classifier.logits,
            train_objective=objective.classification(
                num_classes=num_classes, label_smoothing=train.label_smoothing, class_weights=self.class_weights
            ),
            validation_objective=self.objective,
            train_data=self.train_data,
            validation_data=self.validation_data,
            stages=stages,
            settings=make_settings(train, best_metric=self.best_metric),
            observer=observer,
        )

    @property
    def objective(self) -> objective.Objective:
        """What is evaluated: the training loss without class weights."""
        smoothing = self.loaded.recipe.train.label_smoothing
        return objective.classification(
            num_classes=len(self.dataset.classes), label_smoothing=smoothing, class_weights=None
        )

    @property
    def class_weights(self) -> tuple[float, ...] | None:
        """The recipe's class weights, in the order of the outputs."""
        given = self.loaded.recipe.train.class_weights
        if given is None:
            return None
        classes = self.dataset.classes
        if given == "balanced":
            counts = np.bincount(self.dataset.splits["train"].labels, minlength=len(classes))
            return tuple((counts.sum() / (len(classes) * np.maximum(counts, 1))).tolist())
        return tuple(given[name] for name in classes)


def prepare(loaded: LoadedRecipe, device: Device, talk: Talk, *, is_new: bool = True) -> Job:
    """Reads the data, checks the recipe against them, and builds the model.

    Args:
        is_new: begin with the weights that the recipe names; False where a checkpoint has what became of them.

    Raises:
        InputError: the data or the recipe cannot be used.
    """
    recipe = loaded.recipe
    dataset = open_dataset(loaded, talk)
    check_augment(loaded, dataset.shape)
    _check_memory(loaded, dataset)
    train, validation = dataset.splits["train"], dataset.splits.get("validation")
    if is_kept_in_memory(recipe.data, train):
        train = in_memory(train)
    if validation is not None and is_kept_in_memory(recipe.data, validation):
        validation = in_memory(validation)
    standardization = fit_standardization(loaded, train)
    set_seed(recipe.train.seed, deterministic=recipe.train.deterministic)
    set_precision(recipe.train.precision)
    classifier = _build(loaded, dataset, standardization)
    if is_new:
        try:
            load_weights(recipe.model, classifier)
        except InputError as error:
            raise loaded.fault("model.weights", str(error)) from None
    _check_against_data(loaded, dataset, classifier, has_validation=validation is not None)
    batch_size = recipe.train.batch_size
    return Job(
        loaded=loaded,
        dataset=dataset,
        classifier=classifier,
        standardization=standardization,
        train_data=batches(
            train,
            batch_size=batch_size,
            seed=recipe.train.seed,
            augment=recipe.augment,
            num_classes=len(dataset.classes),
        ),
        validation_data=None if validation is None else batches(validation, batch_size=batch_size),
        best_metric=recipe.train.best_metric or ("train_loss" if validation is None else "val_loss"),
        device=device,
        talk=talk,
    )


def _build(loaded: LoadedRecipe, dataset: Dataset, standardization: Standardization) -> Classifier:
    recipe = loaded.recipe
    return build_classifier(
        recipe.model,
        shape=dataset.shape,
        num_classes=len(dataset.classes),
        augment=recipe.augment,
        standardization=standardization,
    )


def _check_memory(loaded: LoadedRecipe, dataset: Dataset) -> None:
    """Builds the network without its weights, and compares what training it takes with the machine's memory.

    Raises:
        InputError: the network does not suit the samples, or is too large for this machine.
    """
    try:
        with without_weights():
            classifier = _build(loaded, dataset, Standardization())
            num_samples = len(dataset.splits["train"])
            memory = layers(classifier.model, loaded.recipe.train, num_samples)[1]
    except InputError as error:
        raise loaded.fault("model", str(error)) from None
    except (ValueError, OverflowError, tf.errors.OpError) as error:
        raise loaded.fault("model", f"this network cannot be built ({str(error).splitlines()[0][:200]})") from None
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory.total > available:
        raise loaded.fault(
            "model",
            f"training this network takes at least {memory.total / 2**30:,.1f} GiB "
            f"(weights {memory.weights / 2**30:,.1f}, activations {memory.activations / 2**30:,.1f}); "
            f"this machine has {available / 2**30:,.1f} GiB. "
            "Make it smaller, or lower train.batch_size or raise train.gradient_accumulation",
        )


def _check_against_data(
    loaded: LoadedRecipe, dataset: Dataset, classifier: Classifier, *, has_validation: bool
) -> None:
    """What only the data can tell: metrics need a validation split, weights the classes, stages the network.

    Raises:
        InputError: located at the key.
    """
    train = loaded.recipe.train
    metrics = {
        "train.best_metric": train.best_metric,
        "train.early_stopping.metric": train.early_stopping.metric if train.early_stopping else None,
        "train.schedule.metric": getattr(train.schedule, "metric", None),
    }
    for key, metric in metrics.items():
        if metric is not None and metric.startswith("val_") and not has_validation:
            raise loaded.fault(key, f"there is no validation split to take {metric} from; set data.validation above 0")
    if isinstance(train.class_weights, dict):
        missing = [name for name in dataset.classes if name not in train.class_weights]
        unknown = [name for name in train.class_weights if name not in dataset.classes]
        if missing or unknown:
            fault = f"lacks {', '.join(missing)}" if missing else f"has no class of the data: {', '.join(unknown)}"
            raise loaded.fault("train.class_weights", f"expected a weight for each class; {fault}")
    for position, stage in enumerate(train.stages):
        try:
            set_trainable(classifier, stage.trainable)
        except ValueError as error:
            raise loaded.fault(f"train.stages.{position}.trainable", str(error)) from None


def describe(job: Job, run: RunDir | None) -> None:
    """The first lines that a person sees: data, network, and where the run goes."""
    dataset, talk = job.dataset, job.talk
    if run is not None:
        talk.log = run.log
        talk.say(f"run {run.path} on {job.device.name}")
    counts = ", ".join(f"{len(samples):,} {split}" for split, samples in dataset.splits.items())
    shape = "x".join(str(side) for side in dataset.shape)
    talk.say(f"data: {counts}; {len(dataset.classes)} classes; samples of {shape}")
    if dataset.left_out:
        first = dataset.left_out[0]
        talk.say(f"left out: {len(dataset.left_out)}, such as {first.name} ({first.reason})")
    for warning in dataset.warnings:
        talk.warn(warning)
    talk.say(f"model: {job.loaded.recipe.model.kind}, {job.classifier.model.count_params():,} parameters")


def layers(
    model: keras.Model, train: Train, num_samples: int | None, *, batch_size: int | None = None
) -> tuple[LayerTable, TrainingMemory, int]:
    """The layer table of a network, the memory that training takes, and the samples computed at once.

    Args:
        num_samples: to train on, which may be fewer than a batch has; None where the data are not known.
        batch_size: samples computed at once, in place of what the recipe and the data say.
    """
    table = layer_table(model)
    if batch_size is None:
        batch_size = -(-train.batch_size // train.gradient_accumulation)
        batch_size = batch_size if num_samples is None else min(batch_size, num_samples)
    memory = training_memory(
        table,
        batch_size=batch_size,
        slots_per_weight=slots_per_weight(train),
        bytes_per_activation=4 if train.precision == "float32" else 2,
    )
    return table, memory, batch_size


def layers_text(job: Job) -> str:
    """The content of model.txt."""
    table, memory, batch_size = layers(job.classifier.model, job.loaded.recipe.train, job.train_data.num_samples)
    return f"{table_text(table)}\n{memory_text(memory, batch_size)}\n"


def float32_model(job: Job) -> keras.Model:
    """The classifier with float32 layers, whatever it was trained with, and the weights it has now."""
    recipe = job.loaded.recipe
    if recipe.train.precision == "float32":
        return job.classifier.model
    set_precision("float32")
    model = _build(job.loaded, job.dataset, job.standardization).model
    set_precision(recipe.train.precision)
    model.set_weights(job.classifier.model.get_weights())
    return model
