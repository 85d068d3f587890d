"""The input layers of models of series: scaling of features, missing values, and the mask of each sequence."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Tensor = Any  # a symbolic keras.KerasTensor


def standardized(
    values: Tensor, *, mean: NDArray[np.floating[Any]], variance: NDArray[np.floating[Any]]
) -> tuple[Tensor, Tensor]:
    """Standardizes features, sets missing ones to 0, and computes the mask of the steps.

    A sequence ends with the last step that has a value; later steps are padding, in which all features are NaN.

    Args:
        values: float32 ``[batch, steps, features]``; NaN for missing values.
        mean, variance: mean and variance of each feature in the training split ``[features]``.

    Returns:
        ``[batch, steps, features]``, and bool ``[batch, steps]``, true from the first step to each sequence's end.
    """
    is_missing = keras.ops.isnan(values)
    is_there = keras.ops.cast(keras.ops.any(keras.ops.logical_not(is_missing), axis=-1), "int32")
    following = keras.ops.flip(keras.ops.cumsum(keras.ops.flip(is_there, axis=1), axis=1), axis=1)
    is_first = keras.ops.equal(keras.ops.cumsum(keras.ops.ones_like(following), axis=1), 1)
    mask = keras.ops.logical_or(keras.ops.greater(following, 0), is_first)
    scaled = keras.layers.Normalization(mean=mean, variance=variance, dtype="float32", name="scale")(values)
    return keras.ops.where(is_missing, keras.ops.zeros_like(scaled), scaled), mask
