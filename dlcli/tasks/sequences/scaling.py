"""The variance by which a network standardizes the features of a series."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlcli.recipe.load import LoadedRecipe

SMALLEST_DEVIATION = 1e-6  # by which Keras's Normalization layer divides


def usable_variance(
    loaded: LoadedRecipe, names: Sequence[str], steps: NDArray[np.float32], variance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The variance of each feature to divide by; 1 for a constant feature.

    Args:
        names: of the features, for the message.
        steps: of the training split, ``[steps, features]``; NaN where a value is missing.

    Raises:
        RecipeError: a feature varies too little to be standardized.
    """
    is_constant = np.nanmin(steps, axis=0) == np.nanmax(steps, axis=0)
    small = np.flatnonzero(~is_constant & (variance < SMALLEST_DEVIATION**2))
    if len(small):
        deviation = float(variance[small[0]]) ** 0.5
        raise loaded.error(
            "data",
            f"{names[small[0]]} varies too little: its standard deviation in the training split must be at least "
            f"{SMALLEST_DEVIATION:g}. Received {deviation:.3g}; multiply its values by a constant",
        )
    return np.where(is_constant, 1.0, variance)
