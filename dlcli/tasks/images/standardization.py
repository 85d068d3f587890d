"""Fits mean, deviation and whitening to the training images, and scales a network's input by them."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.findings import find_once
from dlcli.data.images.samples import Samples
from dlcli.data.images.statistics import channel_statistics, whitening_matrix
from dlcli.models.images import keras_application, preprocessing
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.backbone import base_of
from dlcli.recipe.sections.image_model import Application, BuiltModel, Preprocessing
from dlcli.recipe.sections.segmentation_model import Unet


@dataclass(frozen=True)
class Standardization:
    """Statistics of the training split for the network's input; None for those the recipe does not ask for.

    Attributes:
        mean, std: of each channel, ``[channels]``.
        whitening: the ZCA matrix, ``[d, d]`` for samples of d values.
    """

    mean: NDArray[Any] | None = None
    std: NDArray[Any] | None = None
    whitening: NDArray[Any] | None = None


MAX_WHITENED = 4096  # values per sample up to which whitening is allowed: the matrix has the square of that
FIT_BATCH = 256  # samples


def scale_input(inputs: Any, section: BuiltModel | Unet, augment: Augment | None) -> Any:
    """The preprocessing that needs no fitting: scaling the pixels, and standardizing each sample by itself."""
    x = preprocessing.pixels(
        inputs,
        preprocessing=section.preprocessing or _default_preprocessing(section, tuple(inputs.shape)),
        rescale=None if augment is None else augment.rescale,
    )
    if augment is not None and (augment.samplewise_center or augment.samplewise_std_normalization):
        x = preprocessing.samplewise(x, std_normalization=augment.samplewise_std_normalization)
    return x


def _default_preprocessing(section: BuiltModel | Unet, shape: tuple[int | None, ...]) -> Preprocessing:
    if len(shape) != 4:  # not [b, height, width, channels]: signals and volumes have values of any range
        return "none"
    if not isinstance(section, Application):
        return "unit"
    published = keras_application.NETWORKS[section.network].preprocessing
    if published == "inside":
        return "none"
    needs_colors = published in ("caffe", "torch")
    return "unit" if needs_colors and shape[-1] != 3 else published


def fit_standardization(loaded: LoadedRecipe, samples: Samples) -> Standardization:
    """Fit the statistics on the training split that the ``augment`` section asks for; one process does for several."""
    return find_once(samples.names, lambda: _fit(loaded, samples), encode=_to_bytes, decode=_from_bytes)


def _to_bytes(found: Standardization) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **{name: value for name, value in vars(found).items() if value is not None})
    return file.getvalue()


def _from_bytes(content: bytes) -> Standardization:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Standardization(**arrays)


def _fit(loaded: LoadedRecipe, samples: Samples) -> Standardization:
    recipe = loaded.of_images
    augment = recipe.augment
    section = base_of(recipe.model) or recipe.model
    if augment is None or not augment.centers_features or not isinstance(section, BuiltModel | Unet):
        return Standardization()
    whole = samples.keeps_size and not augment.zca_whitening  # which is for the pixels of a tile
    shape = (None, None, samples.shape[-1]) if whole else samples.shape
    inputs = keras.Input(shape=shape, dtype="float32")
    scaled = keras.Model(inputs, scale_input(inputs, section, augment))

    def values() -> Iterator[np.ndarray]:
        if whole:
            for position in range(len(samples)):
                yield np.asarray(scaled(samples.load_whole(position)[None].astype(np.float32)))
            return
        for start in range(0, len(samples), FIT_BATCH):
            index = np.arange(start, min(start + FIT_BATCH, len(samples)))
            yield np.asarray(scaled(samples.load(index).astype(np.float32)))

    mean, std = channel_statistics(values())
    if not augment.zca_whitening:
        return Standardization(mean, std if augment.featurewise_std_normalization else None)
    matrix = whitening_matrix((batch - mean for batch in values()), epsilon=augment.zca_epsilon)
    return Standardization(mean, whitening=matrix)
