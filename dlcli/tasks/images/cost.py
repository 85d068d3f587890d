"""The layer table and training memory of an image recipe's or run's network, built without its weights."""

import math
from typing import Any

import numpy as np

from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.sections.image_model import Convnet, ImageClassifier, Mlp
from dlcli.report.cost.layer_table import layer_table
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import without_weights
from dlcli.tasks.images.freezing import set_depth
from dlcli.tasks.images.network import build_network
from dlcli.tasks.images.sources import open_dataset
from dlcli.tasks.images.standardization import Standardization
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.run_models import with_architecture
from dlcli.tasks.task import NetworkCost


def cost_of_recipe(
    loaded: LoadedRecipe,
    *,
    shape: tuple[int, ...] | None,
    num_classes: int | None,
    batch_size: int | None,
    console: Console,
) -> NetworkCost:
    """As :meth:`dlcli.tasks.task.Task.cost_of_recipe`; the data are read only where shape or classes are not given."""
    num_samples = None
    if shape is None or num_classes is None:
        dataset = open_dataset(loaded, console)
        shape, num_classes, num_samples = dataset.shape, len(dataset.classes), len(dataset.splits["train"])
    else:
        _check_shape(loaded.of_images.model, shape)
    return _cost(loaded, shape, num_classes, num_samples, batch_size)


def cost_of_run(run: RunDir, *, batch_size: int | None) -> NetworkCost:
    """As :meth:`dlcli.tasks.task.Task.cost_of_run`."""
    data: dict[str, Any] = run.read_info().get("data", {})
    shape = tuple(data.get("shape") or ())
    if not shape:
        raise InputError(f"{run.info}: does not say which samples the run has. Restore it from a copy.")
    num_samples = data.get("samples", {}).get("train")
    return _cost(with_architecture(load(run.config), run), shape, len(run.read_classes()), num_samples, batch_size)


def _cost(
    loaded: LoadedRecipe, shape: tuple[int, ...], num_classes: int, num_samples: int | None, batch_size: int | None
) -> NetworkCost:
    recipe = loaded.of_images
    train = recipe.train
    try:
        with without_weights():
            classifier = build_network(
                recipe, shape=shape, num_classes=num_classes, standardization=_unfitted(loaded, shape)
            )
            if train.stages:  # what the last one does not change is not trained
                set_depth(recipe.model, classifier, train.stages[-1])
            table = layer_table(classifier.model)
            memory, batch_size = training_memory_of(table, train, num_samples, batch_size=batch_size)
    except InputError as error:
        raise loaded.error("model", str(error)) from None
    return NetworkCost(table, memory, batch_size)


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
