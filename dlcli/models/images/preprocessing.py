"""What is done to pixels before a network sees them: a part of the model, so that a saved one takes raw pixels.

All of it is computed in float32 whatever the dtype policy: bfloat16 has 8 significant bits, so that a value up to 255
would lose its last bits.
"""

import math
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.errors import InputError

Tensor = Any  # a symbolic keras.KerasTensor

EPSILON = 1e-6  # added to a standard deviation before it divides, as Keras's ImageDataGenerator does
CAFFE_MEAN = (103.939, 116.779, 123.68)  # of blue, green and red over ImageNet, in [0, 255]
TORCH_MEAN, TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green and blue, in [0, 1]
WHITENING = "zca_whitening"  # the layer that is fitted, not trained


def pixels(
    inputs: Tensor,
    *,
    preprocessing: Literal["unit", "symmetric", "caffe", "torch", "none"],
    rescale: float | None = None,
) -> Tensor:
    """Scales pixels.

    Args:
        inputs: float32 pixels in [0, 255], of any shape.
        preprocessing: ``unit`` to [0, 1]; ``symmetric`` to [-1, 1]; ``none`` leaves the inputs as they are. As Keras's
            ``imagenet_utils.preprocess_input`` has them: ``caffe``, blue first, and the mean pixel of ImageNet taken
            off; ``torch``, each channel with mean 0 and deviation 1 over ImageNet.
        rescale: a factor that takes the place of ``preprocessing``.

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
                    f"preprocessing '{preprocessing}' is for images in color: set data.color_mode: rgb, or "
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
    """Takes each sample's own mean off, and divides by its own standard deviation where that is wanted."""
    axes = list(range(1, len(x.shape)))
    x = x - keras.ops.mean(x, axis=axes, keepdims=True)
    return x / (keras.ops.std(x, axis=axes, keepdims=True) + EPSILON) if std_normalization else x


def featurewise(x: Tensor, *, mean: NDArray[Any], std: NDArray[Any] | None) -> Tensor:
    """Takes a mean off each channel, and divides by a standard deviation where there is one; both ``[channels]``."""
    variance = np.ones_like(mean) if std is None else np.square(std + EPSILON)
    layer = keras.layers.Normalization(
        axis=-1, mean=mean.tolist(), variance=variance.tolist(), dtype="float32", name="featurewise"
    )
    return layer(x)


def whitened(x: Tensor, *, matrix: NDArray[Any]) -> Tensor:
    """Multiplies each sample, laid out as one row, by a matrix ``[d, d]``."""
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
    layer.kernel_initializer = keras.initializers.Zeros()  # what a saved model names: its weights come from the file
    return keras.layers.Reshape(shape, dtype="float32", name="from_rows")(rows)
