"""The training job of the tasks on images."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.images.batches import Batches
from dlcli.data.images.decoded_cache import DecodedFile
from dlcli.data.images.own_sizes import describe_sizes
from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.models.images.cells.drop_path import without_drop_path
from dlcli.models.images.saved_network import scales_its_input
from dlcli.recipe.load import ImageRecipe, LoadedRecipe
from dlcli.recipe.sections.backbone import base_key, base_of
from dlcli.recipe.sections.image_model import Application, ImageClassifier, PythonNetwork, Saved
from dlcli.recipe.sections.train import CommonStage, Stage
from dlcli.report.cost.layer_table import LayerTable
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import file_digest
from dlcli.rundir.writing import replace_file, replace_json
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import read_config
from dlcli.runtime.startup import Device
from dlcli.runtime.user_code import code_digest, read_code
from dlcli.tasks.checks import build_checked
from dlcli.tasks.evaluation_files import destination_after_training
from dlcli.tasks.images.adversarial_training import adversarial_of, make_adversary
from dlcli.tasks.images.augmentation import check_augment
from dlcli.tasks.images.batches import (
    MEMORY_BYTES,
    batches,
    decoded_bytes,
    in_memory,
    is_kept_in_memory,
    is_kept_on_disk,
    tiles_per_image,
)
from dlcli.tasks.images.feature_cache import FeatureCache, feature_batches
from dlcli.tasks.images.freezing import as_image_stage, losses_of, rate_factors, set_depth, split_front
from dlcli.tasks.images.head import ImageHead, TargetInfo, Trained
from dlcli.tasks.images.initial_weights import find_weights, load_weights
from dlcli.tasks.images.layer_table import table_of_data
from dlcli.tasks.images.memory import memory_of_stages
from dlcli.tasks.images.network import ImageNetwork
from dlcli.tasks.images.own_sizes import check_own_sizes, smallest_shape
from dlcli.tasks.images.standardization import Standardization, fit_standardization
from dlcli.tasks.job import Job
from dlcli.tasks.optimization import stage_sections
from dlcli.training.grouped_convolution import speed_up_kernel_gradients
from dlcli.training.loop import Measure, Parts
from dlcli.training.objectives.objective import Objective

INPUT_SAMPLES = 64  # for the statistics of an input that nothing scales
SAMPLE_BATCH = 16  # images in plots/batch.png


@dataclass(frozen=True)
class ImageJob(Job):
    """A job that trains a network on images, signals or volumes, with the head of a task."""

    recipe: ImageRecipe
    head: ImageHead
    info: TargetInfo
    dataset: Dataset
    network: ImageNetwork
    standardization: Standardization
    train_samples: Samples
    validation_samples: Samples | None
    train_data: Batches
    validation_data: Batches | None

    @property
    def model(self) -> keras.Model:
        return self.network.model

    @property
    def trained(self) -> keras.Model:
        return self.network.trained

    @property
    def best_metric(self) -> str:
        if self.validation_data is None:
            return super().best_metric
        return self.loaded.recipe.train.best_metric or f"val_{self.head.best_metric}"

    def objective(self, *, in_training: bool, losses: str = "all", exact: bool = False) -> Objective:
        train = self.train_samples if in_training else None
        return self.head.objective(self.info, train=train, losses=losses, exact=exact)

    def loop_options(self) -> dict[str, Any]:
        if self.device.kind == "cpu":
            speed_up_kernel_gradients(self.model)
        section = adversarial_of(self.recipe.train)
        if section is None:
            return {"validation_measure": self._measure()}
        return {
            "adversary": make_adversary(section, self.network, self.recipe.train.seed),
            "validates_robustness": section.validate_robustness,
        }

    def _measure(self) -> Measure | None:
        samples = self.validation_samples
        return None if samples is None else self.head.measure(self.model, samples, self.info, self.console)

    # Stages -----------------------------------------------------------------------------------------------------------

    def stage_preparer(self, run: RunDir) -> Callable[[CommonStage], Parts]:
        cache = FeatureCache(run.path.parent, self.console)
        return functools.partial(self._prepare_stage, cache)

    def _prepare_stage(self, cache: FeatureCache, section: CommonStage) -> Parts:
        """Freeze and unfreeze layers, and return the parts that the stage runs with.

        The frozen layers before all trainable ones run in inference mode: once for each sample if samples are not
        augmented, else in every step.
        """
        self.set_depth(section)
        stage = as_image_stage(section)
        model, validation = self.network.trained, self.validation_data
        front = None if stage.trainable == "all" else split_front(self.network)
        factor = None if stage.rate_decay is None else rate_factors(self.network, stage.rate_decay)
        is_random = (stage.augment and self.train_data.is_random) or adversarial_of(self.recipe.train) is not None
        is_random = is_random or self.train_samples.has_own_sizes  # whose features are no single array
        if front is None or not (is_random or self.head.caches_features):
            parts = Parts(model, self._images(stage), model, validation, rate_factor=factor)
        elif is_random:
            parts = Parts(
                *(front[1], self._images(stage), model, validation),
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
        losses = self.losses_of(stage)
        if losses != "all":
            parts = replace(
                parts,
                train_objective=self.objective(in_training=True, losses=losses),
                validation_objective=self.objective(in_training=False, losses=losses),
            )
        trained = sum(math.prod(variable.shape) for variable in model.trainable_variables)
        frozen = model.count_params() - trained
        if len(self.recipe.train.stages) > 1 or stage.trainable != "all":
            self.console.say(f"trainable parameters: {trained:,}; frozen: {frozen:,}")
        return parts

    def set_depth(self, section: CommonStage) -> None:
        set_depth(self.head.base, self.network, section)

    def losses_of(self, section: CommonStage) -> str:
        return losses_of(section)

    def _features(self, split: str, front: keras.Model, cache: FeatureCache) -> Batches:
        samples = self.train_samples if split == "train" else self.validation_samples
        assert samples is not None
        train = self.recipe.train
        return feature_batches(
            cache.features(front, samples, split=split),
            samples,
            batch_size=train.batch_size,
            seed=train.seed if split == "train" else None,
            balanced=split == "train" and is_balanced(self.recipe),
        )

    def _images(self, section: Stage) -> Batches:
        """The batches of the training split for a stage: augmented, or not augmented in the same order."""
        if section.augment or not self.train_data.is_random:
            return self.train_data
        train = self.recipe.train
        plain = batches(
            self.train_samples,
            batch_size=train.batch_size,
            seed=train.seed,
            balanced=is_balanced(self.recipe),
            num_tiles=tiles_per_image(self.recipe.data),
        )
        plain.read_only(self.train_data.share)
        return plain

    @property
    def _reads_images(self) -> bool:
        """Whether any stage reads the images in every epoch, not cached features."""
        is_random = self.train_data.is_random
        stages = [as_image_stage(section) for section in stage_sections(self.recipe.train)]
        if adversarial_of(self.recipe.train) is not None or self.train_samples.has_own_sizes:
            return True
        return any(stage.trainable == "all" or (is_random and stage.augment) for stage in stages)

    def overfit_data(self, num_batches: int) -> Batches:
        samples, train = self.dataset.splits["train"], self.recipe.train
        chosen = evenly_spaced(len(samples), num_batches * train.batch_size)
        return batches(samples, batch_size=train.batch_size, seed=train.seed, chosen=chosen)

    # What it prints and writes ----------------------------------------------------------------------------------------

    def table(self) -> LayerTable:
        """The layer table; of a network for images of their own sizes, for those of the median size."""
        if not self.train_samples.has_own_sizes:
            return super().table()
        return table_of_data(self.loaded, self.head, self.dataset)

    def data_summary(self) -> str:
        if self.train_samples.has_own_sizes:
            sizes = np.concatenate([samples.sizes for samples in self.dataset.splits.values()])
            return f"{self.head.summary(self.info)}; images of {describe_sizes(sizes)}, not resized"
        shape = "x".join(str(side) for side in self.dataset.shape)
        return (
            f"{self.head.summary(self.info)}; {'tiles of' if self.train_samples.is_tiled else 'sample shape'} {shape}"
        )

    def data_notes(self) -> list[str]:
        return [*self.head.notes(self.dataset), *self._dropped_notes(), *self._tile_notes(), *self._size_notes()]

    def _size_notes(self) -> list[str]:
        if not self.train_samples.has_own_sizes:
            return []
        number, num_samples = self.train_data.num_steps, self.train_data.num_samples
        height, width = self.dataset.shape[:2]
        return [
            f"batches of one size each: {number:,} in an epoch, of {num_samples / number:.1f} images on average; the "
            f"cost of layers is that of the median size, {height}x{width}"
        ]

    def _dropped_notes(self) -> list[str]:
        number = self.train_data.num_dropped(0)
        if not number:
            return []
        noun = "box" if number == 1 else "boxes"
        return [
            f"train: in the first epoch augmentation leaves less than data.min_visible of {number:,} {noun}, which "
            f"{'is' if number == 1 else 'are'} not trained on then"
        ]

    def _tile_notes(self) -> list[str]:
        policy = self.dataset.policy
        if policy is None or not policy.is_tiled:
            return []
        notes = [f"tiles: {self.train_data.num_samples:,} drawn from the training images in each epoch"]
        if self.validation_data is not None:
            notes.append(f"{self.validation_data.num_samples:,} cover the validation images (overlap {policy.overlap})")
        return ["; ".join(notes)]

    def model_summary(self) -> list[str]:
        section = self.head.base
        lines = super().model_summary()
        if section is not None and section.origin != "none":
            base = section.network if isinstance(section, Application) else section.kind
            num_parameters = self.network.features.count_params()
            lines.append(f"base: {base}, {num_parameters:,} parameters, pretrained weights: {section.origin}")
        return lines

    def data_info(self) -> dict[str, Any]:
        dataset = self.dataset
        return {
            "classes": list(dataset.classes),
            "shape": list(dataset.input_shape),
            "images": None if dataset.policy is None else dataset.policy.to_dict(),
            **self.info.facts,
        }

    def base(self) -> dict[str, str] | None:
        source = "none" if self.head.base is None else self.head.base.origin
        if source == "none":
            return None
        return {"weights": source} if source == "imagenet" else {"weights": source, "sha256": file_digest(Path(source))}

    def code(self) -> dict[str, str] | None:
        base = self.head.base
        if not isinstance(base, PythonNetwork):
            return None
        return {"file": base.file, "sha256": code_digest(read_code(Path(base.file)))}

    def write_initial_files(self, run: RunDir) -> None:
        replace_json(run.labels, {"classes": list(self.info.names)})
        if isinstance(self.head.base, Saved):
            replace_json(run.architecture, read_config(Path(self.head.base.file)))
        if isinstance(self.head.base, PythonNetwork):
            replace_file(run.code, read_code(Path(self.head.base.file)))
        replace_file(run.plots / "batch.png", self._plot_first_batch())

    def _plot_first_batch(self) -> bytes:
        """The first images of the first epoch as the model sees them: augmented and mixed, if the recipe does so."""
        data = self.train_data
        batch = data.assemble(data.element(data.source(0), tf.constant(0, tf.int64)))
        entries = {name: values[:SAMPLE_BATCH].numpy() for name, values in batch["y"].items()}
        return self.head.plot_batch(batch["x"][:SAMPLE_BATCH].numpy(), entries, self.info)

    def set_up_cache(self, run: RunDir) -> None:
        if not self._reads_images:
            return
        section = self.recipe.data
        num_epochs = sum(stage.epochs for stage in stage_sections(self.recipe.train))
        for split, data in (("train", self.train_data), ("validation", self.validation_data)):
            samples = self.dataset.splits.get(split)
            if samples is None or data is None:
                continue
            if section.cache != "none":
                data.keep_targets(MEMORY_BYTES)
            if samples.is_decoded:
                continue
            used = self.train_samples if split == "train" else self.validation_samples
            assert used is not None
            size = f"{split}: {decoded_bytes(samples) / 2**20:,.0f} MiB of decoded images"
            if used.is_decoded:
                self.console.say(f"{size}, cached in memory")
            elif is_kept_on_disk(section, samples, num_epochs=num_epochs, folder=run.path):
                data.load_by(DecodedFile(samples, folder=run.path, warn=self.console.warn).load)
                self.console.say(f"{size}, cached on disk during training")
            else:
                self.console.say(f"{size}, decoded again in every epoch")

    # After training ---------------------------------------------------------------------------------------------------

    def float32_model(self) -> keras.Model:
        return without_drop_path(super().float32_model())

    def build_model(self) -> keras.Model:
        network = self.head.build(
            self.recipe.model, self.info, shape=self.dataset.input_shape, standardization=self.standardization
        )
        return network.model

    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        baseline = run.read_baseline()
        if baseline is None:
            baseline = self.head.baseline(self.dataset)
            if baseline is not None:
                run.update_info(baseline=baseline)
        info = self.head.fitted(run, model, self.dataset, self.info, self.console)
        to = destination_after_training(run, self.dataset.splits, split)
        trained = Trained(info, baseline=baseline)
        return self.head.evaluate(to, model, self.dataset.splits[split], trained=trained, console=self.console)


def prepare(
    loaded: LoadedRecipe, head: ImageHead, device: Device, console: Console, *, is_new: bool = True
) -> ImageJob:
    """As :meth:`dlcli.tasks.task.Task.prepare`."""
    recipe = loaded.of_images
    with _located_at_weights(loaded):  # first, because reading the data may take a long time
        pretrained = find_weights(head.base) if is_new and head.base is not None else None
    dataset = head.open_data(loaded, console)
    check_augment(loaded, smallest_shape(dataset))
    head.check(loaded, dataset, console)
    info = head.info(dataset)
    check_own_sizes(loaded, head, info, dataset)
    train, validation = dataset.splits["train"], dataset.splits.get("validation")
    if is_kept_in_memory(recipe.data, train):
        train = in_memory(train)
    if validation is not None and is_kept_in_memory(recipe.data, validation):
        validation = in_memory(validation)
    adversarial = adversarial_of(recipe.train)
    if adversarial is not None and adversarial.validate_robustness and validation is None:
        raise loaded.error(
            "train.adversarial.validate_robustness", "needs a validation split; set data.validation above 0"
        )
    standardization = fit_standardization(loaded, train)
    network = build_checked(
        loaded,
        has_validation=validation is not None,
        memory_of=lambda: memory_of_stages(loaded, head, info, dataset),
        build=lambda: head.build(recipe.model, info, shape=dataset.input_shape, standardization=standardization),
    )
    if is_new and head.base is not None:
        with _located_at_weights(loaded):
            load_weights(head.base, network, pretrained)
        del pretrained  # frees as much memory as the network takes
        _warn_of_unscaled_input(head.base, network, train, console)
    set_depth(head.base, network, stage_sections(recipe.train)[-1])  # the layer table shows the last stage
    batch_size = recipe.train.batch_size
    return ImageJob(
        loaded=loaded,
        recipe=recipe,
        head=head,
        info=info,
        dataset=dataset,
        network=network,
        standardization=standardization,
        train_samples=train,
        validation_samples=validation,
        train_data=batches(
            train,
            batch_size=batch_size,
            seed=recipe.train.seed,
            augment=recipe.augment,
            num_classes=len(info.names),
            balanced=is_balanced(recipe),
            num_tiles=tiles_per_image(recipe.data),
        ),
        validation_data=None if validation is None else batches(validation, batch_size=batch_size),
        device=device,
        console=console,
    )


def is_balanced(recipe: ImageRecipe) -> bool:
    """Whether an epoch draws the training samples so that classes are equally frequent."""
    return getattr(recipe.data, "sampling", None) == "balanced"


@contextlib.contextmanager
def _located_at_weights(loaded: LoadedRecipe) -> Iterator[None]:
    """Locate errors of the pretrained weights at the recipe's key that names them."""
    try:
        yield
    except InputError as error:
        model = loaded.of_images.model
        key = "file" if isinstance(base_of(model), Saved) else "weights"
        raise loaded.error(f"{base_key(model)}.{key}", str(error)) from None


def _warn_of_unscaled_input(base: ImageClassifier, network: ImageNetwork, train: Samples, console: Console) -> None:
    """Warns where a saved model takes pixels in [0, 255] into its initial weights: few models are trained that way."""
    if not isinstance(base, Saved) or base.input_range is not None:
        return
    if scales_its_input(*network.ends):
        return
    pixels = train.of_one_size().load(evenly_spaced(len(train), INPUT_SAMPLES)).astype(np.float32)
    console.warn(
        "model.file: nothing scales the pixels before the model's initial weights: its first layer takes values from "
        f"{pixels.min():.0f} to {pixels.max():.0f}, with mean {pixels.mean():.1f} and deviation {pixels.std():.1f}. If "
        "it was trained on pixels in [0, 1] or [-1, 1], set model.input_range to that range; else to [0, 255]"
    )
