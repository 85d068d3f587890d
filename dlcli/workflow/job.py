"""A training job: recipe, data and network, checked against each other and built, before anything is written."""

import functools
import math
import os
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.attacks.gradient import cross_entropy
from dlcli.attacks.pgd import climb
from dlcli.data.batches import Batches
from dlcli.data.samples import Dataset, Samples
from dlcli.errors import InputError
from dlcli.recipe.faults import RecipeError
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.localisation import LocalisationStage
from dlcli.recipe.model import Application, ImageClassifier, Saved
from dlcli.recipe.train import Adversarial, Stage, Train
from dlcli.report.layers import LayerTable, TrainingMemory, layer_table, memory_text, table_text, training_memory
from dlcli.rundir import RunDir
from dlcli.training.grouped import speed_up_kernel_gradients
from dlcli.training.loop import Loop, Parts
from dlcli.training.objective import Objective
from dlcli.training.step import Adversary
from dlcli.workflow.data import batches, check_augment, fit_standardization, in_memory, is_kept_in_memory, open_dataset
from dlcli.workflow.depth import rate_factors, set_trainable, split_front
from dlcli.workflow.features import FeatureCache, feature_batches
from dlcli.workflow.model import Classifier, Standardization, build_for, find_weights, load_weights
from dlcli.workflow.optimization import make_objective, make_settings, make_stage, slots_per_weight, stage_sections
from dlcli.workflow.start import Device, set_precision, set_seed, without_weights
from dlcli.workflow.talk import Talk

MAX_LISTED = 12  # classes whose samples are counted in the first lines
MAX_LEFT_OUT = 5  # files named there that are left out


@dataclass(frozen=True)
class Job:
    """All that training needs."""

    loaded: LoadedRecipe
    dataset: Dataset
    classifier: Classifier
    standardization: Standardization
    train_samples: Samples
    validation_samples: Samples | None
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
        cache = FeatureCache(run.path.parent, self.talk)
        stages = [
            make_stage(
                section, train, steps_per_epoch=steps, prepare=functools.partial(self.prepare_stage, section, cache)
            )
            for section in stage_sections(train)
        ]
        return Loop(
            run=run,
            model=self.classifier.logits,
            train_objective=self._objective(self.class_weights),
            validation_objective=self._objective(None),
            train_data=self.train_data,
            validation_data=self.validation_data,
            stages=stages,
            settings=make_settings(train, best_metric=self.best_metric),
            observer=observer,
            adversary=None
            if train.adversarial is None
            else make_adversary(train.adversarial, self.classifier, train.seed),
            validates_robustness=train.adversarial is not None and train.adversarial.validate_robustness,
        )

    def prepare_stage(self, section: Stage, cache: FeatureCache) -> Parts:
        """Makes layers trainable or not, and says what the stage computes with.

        What stands before all that is trained is computed in inference mode: once for each sample where samples are not
        changed at random, else in every step.
        """
        self.set_depth(section)
        model, validation = self.classifier.logits, self.validation_data
        front = None if section.trainable == "all" else split_front(self.classifier)
        factor = None if section.rate_decay is None else rate_factors(self.classifier, section.rate_decay)
        is_random = (section.augment and self.train_data.is_random) or self.loaded.recipe.train.adversarial is not None
        if front is None:
            parts = Parts(model, self._pictures(section), model, validation, rate_factor=factor)
        elif is_random:
            parts = Parts(
                *(front[1], self._pictures(section), model, validation),
                front=front[0],
                frozen=front[0].variables,
                rate_factor=factor,
            )
        else:
            parts = Parts(
                *(front[1], self._features("train", front[0], cache), front[1]),
                self._features("validation", front[0], cache) if self.validation_samples is not None else None,
                frozen=front[0].variables,
                rate_factor=factor,
            )
        losses = losses_of(section)
        if losses != "all":
            parts = replace(
                parts,
                train_objective=self._objective(self.class_weights, losses),
                validation_objective=self._objective(None, losses),
            )
        trained = sum(math.prod(variable.shape) for variable in model.trainable_variables)
        kept = model.count_params() - trained
        if len(self.loaded.recipe.train.stages) > 1 or section.trainable != "all":
            self.talk.say(f"trained: {trained:,} parameters; {kept:,} are frozen")
        return parts

    def set_depth(self, section: Stage) -> None:
        """Makes layers trainable or not for a stage.

        Raises:
            ValueError: there is no such depth in the network; the text says what there is.
        """
        set_depth(self.loaded.recipe.model, self.classifier, section)

    def _features(self, split: str, front: keras.Model, cache: FeatureCache) -> Batches:
        samples = self.train_samples if split == "train" else self.validation_samples
        assert samples is not None
        train = self.loaded.recipe.train
        return feature_batches(
            cache.features(front, samples, split=split),
            samples,
            batch_size=train.batch_size,
            seed=train.seed if split == "train" else None,
        )

    def _pictures(self, section: Stage) -> Batches:
        """The training split as a stage has it: with the random changes, or without them in the same order."""
        if section.augment or not self.train_data.is_random:
            return self.train_data
        train = self.loaded.recipe.train
        return batches(self.train_samples, batch_size=train.batch_size, seed=train.seed)

    @property
    def reads_pictures(self) -> bool:
        """Whether a stage needs the pictures in every epoch."""
        is_random = self.train_data.is_random
        stages = stage_sections(self.loaded.recipe.train)
        if self.loaded.recipe.train.adversarial is not None:
            return True
        return any(stage.trainable == "all" or (is_random and stage.augment) for stage in stages)

    def _objective(self, class_weights: tuple[float, ...] | None, losses: str = "all") -> Objective:
        return make_objective(
            self.loaded.recipe, num_classes=len(self.dataset.classes), class_weights=class_weights, losses=losses
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
    source_key = "model.file" if isinstance(recipe.model, Saved) else "model.weights"
    try:  # first, for to read the data may take long
        found = find_weights(recipe.model) if is_new else None
    except InputError as error:
        raise loaded.fault(source_key, str(error)) from None
    dataset = open_dataset(loaded, talk)
    check_augment(loaded, dataset.shape)
    _check_boxes(loaded, dataset, talk)
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
            load_weights(recipe.model, classifier, found)
        except InputError as error:
            raise loaded.fault(source_key, str(error)) from None
        del found  # as large as the network
    _check_against_data(loaded, dataset, has_validation=validation is not None)
    set_depth(recipe.model, classifier, stage_sections(recipe.train)[-1])  # what tables of the network are to show
    batch_size = recipe.train.batch_size
    return Job(
        loaded=loaded,
        dataset=dataset,
        classifier=classifier,
        standardization=standardization,
        train_samples=train,
        validation_samples=validation,
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


def make_adversary(section: Adversarial, classifier: Classifier, seed: int) -> Adversary:
    """What attacks the network in training, by the recipe's ``train.adversarial``."""

    def logits(pixels: Any) -> Any:
        return tf.cast(classifier.logits(pixels, training=False), tf.float32)

    is_one_step = section.attack == "fgsm"
    steps = 1 if is_one_step else section.steps

    def perturb(x: Any, label: Any, start: Any) -> Any:
        if section.label == "predicted":
            label = tf.argmax(logits(x), axis=1, output_type=tf.int32)
        return climb(
            *(logits, x, label, tf.constant(255 * section.eps)),
            tf.zeros_like(x) if is_one_step else start,
            loss=cross_entropy,
            norm="linf",
            bounds=(0.0, 255.0),
            steps=steps,
            step_size=1.0 if is_one_step else 2.5 / steps,
        )

    return Adversary(perturb, section.ratio, seed)


def set_depth(model: ImageClassifier, classifier: Classifier, section: Stage) -> None:
    """Makes the layers of a network trainable or not for a stage.

    Raises:
        ValueError: there is no such depth in the network; the text says what there is.
    """
    freezes = model.origin != "none" if section.batch_norm is None else section.batch_norm == "freeze"
    set_trainable(classifier, section.trainable, freeze_batch_norm=freezes, losses=losses_of(section))


def losses_of(section: Stage) -> str:
    """What a stage lowers: all, class or box."""
    return section.losses if isinstance(section, LocalisationStage) else "all"


def _build(loaded: LoadedRecipe, dataset: Dataset, standardization: Standardization) -> Classifier:
    return build_for(
        loaded.recipe, shape=dataset.shape, num_classes=len(dataset.classes), standardization=standardization
    )


def _check_boxes(loaded: LoadedRecipe, dataset: Dataset, talk: Talk) -> None:
    """Says how many samples have no box, or none that the network sees.

    Raises:
        InputError: there is none to train on, or to compare with.
    """
    for split, samples in dataset.splits.items():
        boxes = samples.relative_boxes()
        if samples.boxes is None or boxes is None:
            continue
        is_seen, is_there = (~np.isnan(values).any(axis=1) for values in (boxes, samples.boxes.corners))
        if split == "train" and not is_seen.any():
            raise loaded.fault(
                "data",
                "no picture to train on has a box that the network can see; this is for task: classification"
                if not is_there.any()
                else "data.resize: crop cuts every box away; use stretch or pad",
            )
        if split != "train" and not is_there.any():
            raise loaded.fault(
                "data", f"no picture of {split} has a box to compare with; give it some, or leave it out"
            )
        missing, lost = int((~is_there).sum()), int((is_there & ~is_seen).sum())
        if missing:
            noun, its = ("picture has", "its class") if missing == 1 else ("pictures have", "their class")
            talk.say(f"{split}: {missing:,} {noun} no box: {its} alone is learned")
        if lost:
            noun = "box is" if lost == 1 else "boxes are"
            talk.warn(
                f"{split}: {lost:,} {noun} cut away by data.resize: crop, and cannot be found; use stretch or pad"
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
            memory = _memory_of_stages(loaded, classifier, num_samples)
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


def _memory_of_stages(loaded: LoadedRecipe, classifier: Classifier, num_samples: int) -> TrainingMemory:
    """What the largest stage takes."""
    recipe = loaded.recipe
    found = []
    for position, section in enumerate(stage_sections(recipe.train)):
        try:
            set_depth(recipe.model, classifier, section)
        except ValueError as error:
            raise loaded.fault(f"train.stages.{position}.trainable", str(error)) from None
        found.append(layers(classifier.model, recipe.train, num_samples)[1])
    return max(found, key=lambda memory: memory.total)


def _check_against_data(loaded: LoadedRecipe, dataset: Dataset, *, has_validation: bool) -> None:
    """What only the data can tell: metrics need a validation split, weights the classes.

    Raises:
        InputError: located at the key.
    """
    train = loaded.recipe.train
    for key, metric in train.steering_metrics.items():
        if metric is not None and metric.startswith("val_") and not has_validation:
            raise loaded.fault(
                f"train.{key}", f"there is no validation split to take {metric} from; set data.validation above 0"
            )
    if train.adversarial is not None and train.adversarial.validate_robustness and not has_validation:
        raise loaded.fault(
            "train.adversarial.validate_robustness", "there is no validation split; set data.validation above 0"
        )
    if isinstance(train.class_weights, dict):
        missing = [name for name in dataset.classes if name not in train.class_weights]
        unknown = [name for name in train.class_weights if name not in dataset.classes]
        if missing or unknown:
            fault = f"lacks {', '.join(missing)}" if missing else f"has no class of the data: {', '.join(unknown)}"
            raise loaded.fault("train.class_weights", f"expected a weight for each class; {fault}")


def describe(job: Job, run: RunDir | None) -> None:
    """The first lines that a person sees: data, network, and where the run goes."""
    dataset, talk = job.dataset, job.talk
    if run is not None:
        talk.log = run.log
        talk.say(f"run {run.path} on {job.device.name}")
    counts = ", ".join(f"{len(samples):,} {split}" for split, samples in dataset.splits.items())
    shape = "x".join(str(side) for side in dataset.shape)
    noun = "class" if len(dataset.classes) == 1 else "classes"
    talk.say(f"data: {counts}; {len(dataset.classes)} {noun}; samples of {shape}")
    if len(dataset.classes) <= MAX_LISTED:
        labels = dataset.splits["train"].labels
        numbers = np.bincount(labels[labels >= 0], minlength=len(dataset.classes))
        listed = ", ".join(f"{name} {number:,}" for number, name in zip(numbers, dataset.classes, strict=True))
        talk.say(f"train: {listed}")
    if dataset.left_out:
        shown = ", ".join(f"{left.name} ({left.reason})" for left in dataset.left_out[:MAX_LEFT_OUT])
        more = ", … (all are in run.json)" if len(dataset.left_out) > MAX_LEFT_OUT else ""
        talk.say(f"left out: {len(dataset.left_out):,}: {shown}{more}")
    for warning in dataset.warnings:
        talk.warn(warning)
    section = job.loaded.recipe.model
    talk.say(f"model: {section.kind}, {job.classifier.model.count_params():,} parameters")
    if section.origin != "none":
        base = section.network if isinstance(section, Application) else section.kind
        talk.say(f"base: {base}, {job.classifier.features.count_params():,} parameters, weights of {section.origin}")


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
