"""The scale of a series' numbers, by which a network takes them with mean 0 and variance 1."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlcli.recipe.load import LoadedRecipe

SMALLEST_DEVIATION = 1e-6  # that Keras's layer divides by


def usable_variance(
    loaded: LoadedRecipe, names: Sequence[str], steps: NDArray[np.float32], variance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The variance of each feature, 1 for one that never changes.

    Args:
        names: of the features.
        steps: of the training split ``[steps, features]``, NaN where a value is missing.

    Raises:
        RecipeError: a feature changes, but too little to be scaled.
    """
    is_constant = np.nanmin(steps, axis=0) == np.nanmax(steps, axis=0)
    small = np.flatnonzero(~is_constant & (variance < SMALLEST_DEVIATION**2))
    if len(small):
        deviation = float(variance[small[0]]) ** 0.5
        raise loaded.error(
            "data",
            f"{names[small[0]]} changes too little: its standard deviation in the training split is {deviation:.3g}, "
            f"and must be at least {SMALLEST_DEVIATION:g}; multiply its numbers by a constant",
        )
    return np.where(is_constant, 1.0, variance)
