"""A network's predictions as masks at the size of the images, whole or in tiles."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import workers
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.data.images.tiles import blend, make_grids
from dlcli.data.masks.coding import IGNORED, Mask
from dlcli.data.masks.resizing import restore_mask, restore_scores
from dlcli.runtime.console import Console
from dlcli.tasks.images.batches import predict_batches


def predict_masks(
    model: keras.Model, samples: Samples, *, batch_size: int, console: Console
) -> Iterator[tuple[list[int], list[Mask]]]:
    """As :func:`masks_in_images`, of the outputs of a saved model.

    Raises:
        InputError: an image can no longer be read, or has changed since it was checked.
    """
    images = replace(samples, annotations={})  # masks are read once, at the size of the annotation
    batches = predict_batches(with_probabilities(model), images, batch_size=batch_size, console=console)
    yield from masks_in_images(batches, samples)


def with_probabilities(model: keras.Model) -> keras.Model:
    """A saved model that outputs its probabilities alone, ``[b, h, w, classes]``."""
    return keras.Model(model.inputs[0], model.get_layer("probabilities").output)


def masks_in_images(
    batches: Iterable[tuple[NDArray[np.int64], tuple[NDArray[Any], ...]]], samples: Samples
) -> Iterator[tuple[list[int], list[Mask]]]:
    """The most probable class of each pixel at the size of each upright image, batch by batch, with the positions of
    the samples. Pixels that the network did not see, because images are cropped, are IGNORED.

    Images that are cut into tiles are covered by overlapping tiles, whose probabilities are blended; at most a row of
    tiles is in memory.

    Args:
        batches: the probabilities ``[b, h, w, classes]`` of images or tiles, with their positions.
    """
    policy, sizes = samples.policy, samples.sizes
    assert policy is not None
    if policy.overlap is None:
        for index, (probabilities,) in batches:
            heights, widths = sizes[index].T.tolist()
            policies = itertools.repeat(policy)
            yield index.tolist(), list(workers().map(mask_in_image, probabilities, heights, widths, policies))
        return
    outputs = (of_tile for _, (probabilities,) in batches for of_tile in probabilities)
    for position, grid in enumerate(make_grids(sizes, policy.image_size, policy.overlap)):
        bands = blend(grid, itertools.islice(outputs, len(grid)))
        yield [position], [np.concatenate([band.argmax(axis=-1).astype(np.uint8) for band in bands])]


def mask_in_image(probabilities: NDArray[np.float32], height: int, width: int, policy: ImagePolicy) -> Mask:
    """The most probable class of each pixel of an upright image; IGNORED where the network did not see it.

    Args:
        probabilities: in the network's input, ``[h, w, classes]``; they are interpolated linearly.
    """
    restored = restore_mask(np.zeros(probabilities.shape[:2], np.uint8), height, width, policy)  # IGNORED outside
    if (height, width) != probabilities.shape[:2]:
        probabilities = restore_scores(probabilities, height, width, policy)
    return np.where(restored == IGNORED, IGNORED, probabilities.argmax(axis=-1)).astype(np.uint8)
