"""The layer table of an image network, built without its weights."""

import math
from typing import Any

import numpy as np

from dlcli.data.images.samples import Dataset
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.sections.image_model import Convnet, ImageClassifier, Mlp, PythonNetwork
from dlcli.report.cost.layer_table import LayerTable, layer_table
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_described_network
from dlcli.runtime.startup import without_weights
from dlcli.tasks.images.batches import tiles_per_image
from dlcli.tasks.images.freezing import set_depth
from dlcli.tasks.images.head import ImageHead, TargetInfo
from dlcli.tasks.images.standardization import Standardization
from dlcli.tasks.run_models import with_architecture
from dlcli.tasks.task import SampleShape


def table_of_recipe(
    loaded: LoadedRecipe, head: ImageHead, assumed: SampleShape | None, console: Console
) -> tuple[LayerTable, int | None]:
    """As :meth:`dlcli.tasks.task.Task.table_of_recipe`; the data are read only if no samples are assumed."""
    if assumed is not None:
        _check_shape(head.base, assumed.shape)
        return _table(loaded, head, head.assumed(assumed), assumed.shape), None
    dataset = head.open_data(loaded, console)
    if dataset.splits["train"].has_own_sizes:
        console.say(f"computed for images of the median size, {'x'.join(map(str, dataset.shape[:2]))}")
    num_samples = len(dataset.splits["train"]) * tiles_per_image(loaded.of_images.data)
    return table_of_data(loaded, head, dataset), num_samples


def table_of_data(loaded: LoadedRecipe, head: ImageHead, dataset: Dataset) -> LayerTable:
    """The layer table of a recipe's network for samples of its data; for images of their own sizes, of the median
    size."""
    return _table(loaded, head, head.info(dataset), dataset.shape)


def table_of_run(run: RunDir, head: ImageHead, data: dict[str, Any]) -> LayerTable:
    """As :meth:`dlcli.tasks.task.Task.table_of_run`."""
    if isinstance(head.base, PythonNetwork):  # whose code need not be executed for it
        return layer_table(load_described_network(run.network))
    shape = tuple(data["shape"])
    if None in shape:  # of images of their own sizes the median is counted
        shape = (*data["images"]["image_size"], shape[-1])
    return _table(with_architecture(load(run.config), run), head, head.recorded(run), shape)


def _table(loaded: LoadedRecipe, head: ImageHead, info: TargetInfo, shape: tuple[int, ...]) -> LayerTable:
    recipe = loaded.of_images
    try:
        with without_weights():
            standardization = _placeholder(loaded, shape)
            network = head.build(recipe.model, info, shape=shape, standardization=standardization)
            if recipe.train.stages:  # the table counts what the last stage trains as trainable
                set_depth(head.base, network, recipe.train.stages[-1])
            return layer_table(network.model)
    except InputError as error:
        raise loaded.error("model", str(error)) from None


def _check_shape(section: ImageClassifier | None, shape: tuple[int, ...]) -> None:
    """Raise InputError for a shape that the samples of this network cannot have."""
    if isinstance(section, Mlp):
        return
    rank = section.rank if isinstance(section, Convnet) else 2
    layout, example = {
        1: ("signals, time x channels", "100x2"),
        2: ("images, height x width x 1 or 3 channels", "32x32x3"),
        3: ("volumes, depth x height x width x channels", "16x32x32x1"),
    }[rank]
    if len(shape) != rank + 1 or (rank == 2 and shape[-1] not in (1, 3)):
        received = "x".join(map(str, shape))
        network = "unet" if section is None else section.kind
        raise InputError(f"--input: {network} takes {layout}, such as {example}. Received {received}.")


def _placeholder(loaded: LoadedRecipe, shape: tuple[int, ...]) -> Standardization:
    """A placeholder for what training would fit: the table needs the layers, not their values."""
    augment = loaded.of_images.augment
    if augment is None or not augment.centers_features:
        return Standardization()
    channels, size = shape[-1], math.prod(shape)
    return Standardization(
        mean=np.zeros(channels),
        std=np.ones(channels) if augment.featurewise_std_normalization else None,
        whitening=np.zeros((size, size), np.float32) if augment.zca_whitening else None,
    )
