"""Checks that all tasks share, made before training: data, memory, metrics and class weights."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dlcli.data.splits import Labels, describe_difference
from dlcli.errors import InputError, SmallInput
from dlcli.files import suffix_of
from dlcli.recipe.language.errors import RecipeError
from dlcli.recipe.load import LoadedRecipe, Override, load
from dlcli.recipe.sections.target_train import DenseTrain, LabelTrain
from dlcli.recipe.sections.train import ClassTrain
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import read_csv
from dlcli.runtime.console import Console
from dlcli.runtime.startup import set_precision, set_seed, without_weights
from dlcli.tasks.job import MAX_LISTED, AnyDataset

Network = TypeVar("Network")
Data = TypeVar("Data", bound=AnyDataset)
Weights = Mapping[str, float] | Literal["balanced"] | None
Counts = npt.NDArray[np.int64]

LEAST_SPREAD = 1e-5  # of numbers to predict, relative to their size: float32 rounds them by 6e-8


def build_checked(
    loaded: LoadedRecipe,
    *,
    has_validation: bool,
    memory_of: Callable[[], TrainingMemory],
    build: Callable[[], Network],
) -> Network:
    """Check metrics and memory, then build the network that will be trained, from the recipe's seed.

    Args:
        has_validation: whether the data have a validation split.
        memory_of: builds the network without its weights and returns the memory that training it takes.
        build: builds the network with its weights.

    Raises:
        InputError: a metric needs a validation split that is absent, or the network does not fit the samples or the
            memory of this machine.
    """
    check_metrics(loaded, has_validation=has_validation)
    check_memory(loaded, memory_of)
    train = loaded.recipe.train
    set_seed(train.seed, deterministic=train.deterministic)
    set_precision(train.precision)
    return build()


def check_same_data(run: RunDir, dataset: AnyDataset) -> None:
    """Refuse data that differ from those that the run was trained on.

    Raises:
        InputError: the data have changed; the text says how.
    """
    if difference := data_difference(run, dataset):
        raise InputError(
            f"{run.path}: the data have changed since the run was started: {difference}. "
            "Restore them, or train a new run. Data that were only moved are given with --data."
        )


def data_difference(run: RunDir, dataset: AnyDataset) -> str | None:
    """How data differ from those that a run was trained on; None if they are the same."""
    if dataset.fingerprint() == run.read_info()["data"]["fingerprint"]:
        return None
    return describe_difference(read_csv(run.split), dataset.split_rows())


def own_data_at(run: RunDir, data: Path, read: Callable[[LoadedRecipe], Data], console: Console) -> Data | None:
    """A run's own data that were moved to another place; None if there are other data.

    Args:
        data: where they may be.
        read: reads the data of the run's recipe with this path.
    """
    path = getattr(load(run.config).recipe.data, "path", None)
    if path is None or suffix_of(Path(path)) != suffix_of(data):
        return None
    try:
        dataset = read(load(run.config, [Override.of_value("data.path", str(data.absolute()), f"--data {data}")]))
    except InputError:  # they are not even of the same form
        return None
    if dataset.fingerprint() != run.read_info()["data"]["fingerprint"]:
        return None
    console.say(f"{data}: these are the data of {run.path}, which has its own splits of them")
    return dataset


def count_trained_on(
    run: RunDir, digests: Sequence[str], *, noun: str, console: Console, is_asked: bool = False
) -> int | None:
    """The number of samples that are also in the run's training split, by their content; reported if there are any.

    Args:
        digests: of the samples, as in split.csv.
        noun: what the samples are called: images, texts.
        is_asked: the user has asked for the training split, and needs no warning.

    Returns:
        None if the run does not know its training samples.
    """
    if not run.split.exists():
        return None
    trained = {row["digest"] for row in read_csv(run.split) if row["split"] == "train"}
    number = sum(digest in trained for digest in digests)
    if number and not is_asked:
        verb = "was" if number == 1 else "were"
        console.warn(f"{number:,} of {len(digests):,} {noun} {verb} in the training split: not a test score")
    return number


def too_constant(name: str, numbers: npt.NDArray[np.float64]) -> str | None:
    """Why the numbers ``[n]`` to predict cannot be learned in training, or None.

    Args:
        name: of the numbers, for the message.
    """
    if numbers.min() == numbers.max():
        return f"{name} is {numbers[0]:g} in all of train: there is nothing to learn"
    least, deviation = LEAST_SPREAD * float(np.abs(numbers).max()), float(numbers.std())
    if deviation < least:
        return (
            f"{name} varies too little for its size: its standard deviation in train must be at least {least:.3g}. "
            f"Received {deviation:.3g}; subtract a constant from its values"
        )
    return None


def check_memory(loaded: LoadedRecipe, memory_of: Callable[[], TrainingMemory]) -> None:
    """Refuse a network whose training takes more memory than this machine has.

    Args:
        memory_of: builds the network, which happens without its weights, and returns the memory that training it takes.

    Raises:
        InputError: the network does not fit the samples or the memory; located at ``model``, or at the size of the
            samples.
    """
    try:
        with without_weights():
            memory = memory_of()
    except RecipeError:
        raise
    except SmallInput as error:
        is_resized = getattr(loaded.recipe.data, "image_size", None) is not None
        raise loaded.error("data.image_size" if is_resized else "model", str(error)) from None
    except InputError as error:
        raise loaded.error("model", str(error)) from None
    except (ValueError, OverflowError, tf.errors.OpError) as error:
        raise loaded.error("model", f"this network cannot be built ({str(error).splitlines()[0][:200]})") from None
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory.total > available:
        raise loaded.error(
            "model",
            f"training this network takes at least {memory.total / 2**30:,.1f} GiB "
            f"(weights {memory.weights / 2**30:,.1f}, gradients {memory.gradients / 2**30:,.1f}, "
            f"optimizer {memory.optimizer / 2**30:,.1f}, activations {memory.activations / 2**30:,.1f}); "
            f"this machine has {available / 2**30:,.1f} GiB. "
            "Make it smaller, or lower train.batch_size or raise train.gradient_accumulation",
        )


def check_metrics(loaded: LoadedRecipe, *, has_validation: bool) -> None:
    """Refuse metrics of a validation split that the data do not have.

    Raises:
        InputError: located at the key.
    """
    for key, metric in loaded.recipe.train.steering_metrics.items():
        if metric is not None and metric.startswith("val_") and not has_validation:
            raise loaded.error(f"train.{key}", f"{metric} needs a validation split; set data.validation above 0")


def check_class_weights(loaded: LoadedRecipe, train: ClassTrain | DenseTrain, classes: Sequence[str]) -> None:
    """Refuse class weights that do not name each class of the data exactly once.

    Raises:
        InputError: located at the key.
    """
    _check_weights(loaded, "class_weights", train.class_weights, classes, noun="class")


def check_positive_weights(loaded: LoadedRecipe, train: LabelTrain, labels: Sequence[str]) -> None:
    """Refuse weights of positives that do not name each label of the data exactly once.

    Raises:
        InputError: located at the key.
    """
    _check_weights(loaded, "positive_weights", train.positive_weights, labels, noun="label")


def _check_weights(loaded: LoadedRecipe, key: str, weights: Weights, names: Sequence[str], *, noun: str) -> None:
    if isinstance(weights, dict):
        missing = [name for name in names if name not in weights]
        known = set(names)
        unknown = [name for name in weights if name not in known]
        errors = [f"missing: {', '.join(missing)}"] if missing else []
        errors += [f"not a {noun} of the data: {', '.join(unknown)}"] if unknown else []
        if errors:
            raise loaded.error(f"train.{key}", f"expected a weight for each {noun}; {'; '.join(errors)}")


def class_weights(train: ClassTrain, labels: Labels, classes: Sequence[str]) -> tuple[float, ...] | None:
    """The recipe's class weights in the order of the outputs; None without any. ``labels`` are those of training."""
    if train.class_weights is None:
        return None
    return weights_of_classes(train.class_weights, np.bincount(labels, minlength=len(classes)), classes)


def weights_of_classes(weights: Weights, counts: Counts, classes: Sequence[str]) -> tuple[float, ...] | None:
    """The recipe's class weights in the order of the outputs; None without any.

    Args:
        weights: ``train.class_weights``.
        counts: number of training samples, or pixels, of each class ``[k]``.
    """
    if weights == "balanced":
        return tuple((counts.sum() / (len(classes) * np.maximum(counts, 1))).tolist())
    return None if weights is None else tuple(weights[name] for name in classes)


def weights_of_positives(
    train: LabelTrain, positives: Counts, known: Counts, labels: Sequence[str]
) -> tuple[float, ...] | None:
    """The recipe's weights of positives in the order of the outputs; None without any.

    Args:
        positives: number of training samples to which each label applies ``[l]``.
        known: number of training samples for which each label is known ``[l]``.
    """
    weights = train.positive_weights
    if weights == "balanced":
        return tuple(((known - positives) / np.maximum(positives, 1)).tolist())
    return None if weights is None else tuple(weights[name] for name in labels)


def class_counts(labels: Labels, classes: Sequence[str]) -> list[str]:
    """A line with the number of training samples of each class; no line if there are more than `MAX_LISTED` classes."""
    if len(classes) > MAX_LISTED:
        return []
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    return ["train: " + ", ".join(f"{name} {count:,}" for count, name in zip(counts, classes, strict=True))]
