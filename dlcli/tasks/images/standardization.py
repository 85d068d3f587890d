"""Fits mean, deviation and whitening to the training images, and scales a network's input by them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.data.images.statistics import channel_statistics, whitening_matrix
from dlcli.models.images import keras_application, preprocessing
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.image_model import Application, BuiltModel, Preprocessing


@dataclass(frozen=True)
class Standardization:
    """What was fitted on the training split for the network's input; None for what is not wanted.

    Attributes:
        mean, std: of each channel ``[channels]``.
        whitening: ``[d, d]`` for samples of d values.
    """

    mean: NDArray[Any] | None = None
    std: NDArray[Any] | None = None
    whitening: NDArray[Any] | None = None


MAX_WHITENED = 4096  # values of a sample that is whitened: the matrix has the square of that


FITTED_AT_A_TIME = 256  # samples


def scale_input(inputs: Any, section: BuiltModel, augment: Augment | None) -> Any:
    """The part of the preprocessing that nothing has to be fitted for: the scale, and each sample's own mean."""
    x = preprocessing.pixels(
        inputs,
        preprocessing=section.preprocessing or _default_preprocessing(section, tuple(inputs.shape)),
        rescale=None if augment is None else augment.rescale,
    )
    if augment is not None and (augment.samplewise_center or augment.samplewise_std_normalization):
        x = preprocessing.samplewise(x, std_normalization=augment.samplewise_std_normalization)
    return x


def _default_preprocessing(section: BuiltModel, shape: tuple[int | None, ...]) -> Preprocessing:
    if len(shape) != 4:  # not [b, height, width, channels]: signals and volumes have values of any range
        return "none"
    if not isinstance(section, Application):
        return "unit"
    wanted = keras_application.NETWORKS[section.network].preprocessing
    if wanted == "inside":
        return "none"
    return "unit" if wanted in ("caffe", "torch") and shape[-1] != 3 else wanted  # those two are for colors


def fit_standardization(loaded: LoadedRecipe, samples: Samples) -> Standardization:
    """Fits on the training split what of the network's input the ``augment`` section wants fitted."""
    recipe = loaded.of_images
    augment = recipe.augment
    if augment is None or not augment.centers_features or not isinstance(recipe.model, BuiltModel):
        return Standardization()
    inputs = keras.Input(shape=samples.shape, dtype="float32")
    scaled = keras.Model(inputs, scale_input(inputs, recipe.model, augment))

    def values() -> Iterator[np.ndarray]:
        for start in range(0, len(samples), FITTED_AT_A_TIME):
            index = np.arange(start, min(start + FITTED_AT_A_TIME, len(samples)))
            yield np.asarray(scaled(samples.load(index).astype(np.float32)))

    mean, std = channel_statistics(values())
    if not augment.zca_whitening:
        return Standardization(mean, std if augment.featurewise_std_normalization else None)
    matrix = whitening_matrix((batch - mean for batch in values()), epsilon=augment.zca_epsilon)
    return Standardization(mean, whitening=matrix)
