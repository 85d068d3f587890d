"""Preprocessing of pixels as part of the model, so that saved models take raw pixels.

It is computed in float32 whatever the dtype policy: bfloat16 has 8 significant bits, so that values up to 255 would
lose precision.
"""

import math
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.errors import InputError

Tensor = Any  # a symbolic keras.KerasTensor

EPSILON = 1e-6  # added to a standard deviation before it divides, as Keras's ImageDataGenerator does
CAFFE_MEAN = (103.939, 116.779, 123.68)  # means of blue, green and red over ImageNet, in [0, 255]
TORCH_MEAN, TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # red, green and blue, in [0, 1]
WHITENING = "zca_whitening"  # name of the layer, which is fitted to data, not trained


def pixels(
    inputs: Tensor,
    *,
    preprocessing: Literal["unit", "symmetric", "caffe", "torch", "none"],
    rescale: float | None = None,
) -> Tensor:
    """Scales pixels.

    Args:
        inputs: float32 pixels in [0, 255], of any shape.
        preprocessing: ``unit`` scales to [0, 1] and ``symmetric`` to [-1, 1]; ``none`` leaves the inputs unchanged. As
            in Keras's ``imagenet_utils.preprocess_input``, ``caffe`` converts to BGR and subtracts the mean pixel of
            ImageNet, and ``torch`` standardizes each channel by its mean and standard deviation over ImageNet.
        rescale: a factor that replaces ``preprocessing``.

    Returns:
        float32 of the same shape.

    Raises:
        InputError: ``caffe`` or ``torch`` for images that do not have three channels.
    """
    if rescale is not None:
        return keras.layers.Rescaling(rescale, dtype="float32", name="preprocessing")(inputs)
    match preprocessing:
        case "unit":
            return keras.layers.Rescaling(1 / 255, dtype="float32", name="preprocessing")(inputs)
        case "symmetric":
            return keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="preprocessing")(inputs)
        case "caffe" | "torch":
            if inputs.shape[-1] != 3:
                raise InputError(
                    f"preprocessing '{preprocessing}' needs color images: set data.color_mode: rgb, or "
                    f"model.preprocessing: unit. Received {inputs.shape[-1]} channels."
                )
            if preprocessing == "caffe":
                offset = [-mean for mean in CAFFE_MEAN]
                blue_first = inputs[..., ::-1]
                return keras.layers.Rescaling(1.0, offset=offset, dtype="float32", name="preprocessing")(blue_first)
            scale = [1 / (255 * std) for std in TORCH_STD]
            offset = [-mean / std for mean, std in zip(TORCH_MEAN, TORCH_STD, strict=True)]
            return keras.layers.Rescaling(scale, offset=offset, dtype="float32", name="preprocessing")(inputs)
        case "none":
            return inputs


def samplewise(x: Tensor, *, std_normalization: bool) -> Tensor:
    """Subtracts each sample's mean and, with ``std_normalization``, divides by its standard deviation."""
    axes = list(range(1, len(x.shape)))
    x = x - keras.ops.mean(x, axis=axes, keepdims=True)
    return x / (keras.ops.std(x, axis=axes, keepdims=True) + EPSILON) if std_normalization else x


def featurewise(x: Tensor, *, mean: NDArray[Any], std: NDArray[Any] | None) -> Tensor:
    """Subtracts a mean from each channel and, if given, divides by a standard deviation; both are ``[channels]``."""
    variance = np.ones_like(mean) if std is None else np.square(std + EPSILON)
    layer = keras.layers.Normalization(
        axis=-1, mean=mean.tolist(), variance=variance.tolist(), dtype="float32", name="featurewise"
    )
    return layer(x)


def whitened(x: Tensor, *, matrix: NDArray[Any]) -> Tensor:
    """Multiplies each sample, flattened to ``[d]``, by a whitening matrix ``[d, d]``."""
    shape = tuple(x.shape[1:])
    num_features = math.prod(shape)
    rows = keras.layers.Reshape((num_features,), dtype="float32", name="to_rows")(x)
    layer = keras.layers.Dense(
        num_features,
        use_bias=False,
        kernel_initializer=lambda shape, dtype: keras.ops.convert_to_tensor(matrix, dtype),
        trainable=False,
        dtype="float32",
        name=WHITENING,
    )
    rows = layer(rows)
    layer.kernel_initializer = keras.initializers.Zeros()  # for the saved config, which must not hold the matrix
    return keras.layers.Reshape(shape, dtype="float32", name="from_rows")(rows)
