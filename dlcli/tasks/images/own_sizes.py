"""Checks of images that are not resized: whether a network can take the smallest ones."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.splits import Index
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.sections.image_model import Saved
from dlcli.rundir.directory import RunDir
from dlcli.runtime.startup import without_weights
from dlcli.tasks.images.head import ImageHead, TargetInfo
from dlcli.tasks.inspection import some
from dlcli.tasks.run_models import with_architecture

LARGEST = 1024  # side of images, in pixels, that every network takes


def smallest_shape(dataset: Dataset) -> tuple[int, ...]:
    """The shape of a training sample; the smallest height and width of images that are not resized."""
    train = dataset.splits["train"]
    if not train.has_own_sizes:
        return dataset.shape
    height, width = train.sizes.min(axis=0).tolist()
    return height, width, dataset.shape[-1]


def check_own_sizes(loaded: LoadedRecipe, head: ImageHead, info: TargetInfo, dataset: Dataset) -> None:
    """Refuse images that are not resized and too small for the recipe's network, and a saved network for one size.

    Raises:
        InputError: there are such images in a split, which it names, or the network is for one size.
    """
    if dataset.splits["train"].has_own_sizes and isinstance(head.base, Saved):
        try:
            with without_weights():
                head.build(loaded.of_images.model, info, shape=dataset.input_shape)
        except InputError as error:
            raise loaded.error("model.file", str(error)) from None
    for split, samples in dataset.splits.items():
        least = smallest_side(head, loaded.of_images.model, info, samples)
        try:
            refuse_too_small(split, samples, least)
        except InputError as error:
            raise loaded.error("data.resize", str(error)) from None


def smallest_side_of(run: RunDir, head: ImageHead, samples: Samples) -> int:
    """As :func:`smallest_side`, for the network of a run."""
    return smallest_side(head, with_architecture(load(run.config), run).of_images.model, head.recorded(run), samples)


def smallest_side(head: ImageHead, section: Any, info: TargetInfo, samples: Samples) -> int:
    """The smallest side of images that a network takes; 1 if it takes all of these samples, whose sizes are known.

    Args:
        section: the ``model`` section.
    """
    if not samples.has_own_sizes:
        return 1
    channels = samples.shape[-1]
    if _takes(head, section, info, (*samples.sizes.min(axis=0).tolist(), channels)):
        return 1
    return _search(lambda side: _takes(head, section, info, (side, side, channels)))


def too_small(samples: Samples, least: int) -> Index:
    """The positions of images with a side shorter than ``least``, in pixels."""
    return np.flatnonzero(samples.sizes.min(axis=1) < least)


def refuse_too_small(place: str, samples: Samples, least: int) -> None:
    """Refuse images with a side shorter than ``least``.

    Raises:
        InputError: there are some; it names them.
    """
    small = too_small(samples, least) if least > 1 else ()
    if len(small):
        shown = some([f"{samples.names[i]} ({'x'.join(map(str, samples.sizes[i].tolist()))})" for i in small])
        raise InputError(
            f"{place}: the network takes images of at least {least}x{least} pixels. Leave smaller ones out with "
            f"data.exclude, or set data.image_size. Received {shown}"
        )


def _takes(head: ImageHead, section: Any, info: TargetInfo, shape: tuple[int, ...]) -> bool:
    """Whether a network can be built for images of a shape, and called on them."""
    try:
        with without_weights():
            model = head.build(section, info, shape=shape).model
            model.compute_output_spec(keras.KerasTensor((1, *shape)))  # a saved network has sides of any length
    except (InputError, ValueError):
        return False
    return True


def _search(takes: Callable[[int], bool]) -> int:
    """The smallest side that a network takes; 1 if sizes are not why it cannot be built, which building it reports."""
    low, high = 0, 1  # it does not take `low`
    while not takes(high):
        low, high = high, 2 * high
        if high > LARGEST:
            return 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if takes(middle) else (middle, high)
    return high
