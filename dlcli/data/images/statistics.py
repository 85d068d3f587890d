"""Statistics of many samples, batch by batch: mean and standard deviation of the channels, and ZCA whitening."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESOLUTION = 1e-6  # of singular values, relative to the largest: the precision of the sums of products in float64

Values = NDArray[Any]  # [b, ..., channels]


def channel_statistics(batches: Iterable[Values]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel over all samples and positions, both ``[channels]``.

    The mean and squared deviations of each batch are merged (Chan, Golub and LeVeque 1983, equations 1.5), so that no
    precision is lost if the mean is much larger than the standard deviation.
    """
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for batch in batches:
        values = batch.reshape(-1, batch.shape[-1]).astype(np.float64)
        own_mean = values.mean(axis=0)
        difference = own_mean - mean
        total = count + len(values)
        values -= own_mean
        np.square(values, out=values)  # in place: a copy in float64 takes eight times the memory of the pixels
        squares = squares + values.sum(axis=0) + difference**2 * count * len(values) / total
        mean = mean + difference * len(values) / total
        count = total
    return mean, np.sqrt(squares / count)


def whitening_matrix(batches: Iterable[Values], *, epsilon: float) -> NDArray[np.float32]:
    """The matrix ``[d, d]`` of ZCA whitening for samples of mean 0, each of d values.

    Whitened pixels are uncorrelated and have variance 1, and of all such transforms this one changes samples least.
    With singular values s of the n samples, the scale of a direction is ``sqrt(n) / (s + epsilon)``, as in Keras's
    ImageDataGenerator. There, a direction in which these samples do not vary, such as a corner that is always black,
    gets a scale of many millions, which makes other samples useless; here it is dropped.
    """
    count, products = 0, np.zeros((1, 1))
    for batch in batches:
        rows = batch.reshape(len(batch), -1).astype(np.float64)
        products = products + rows.T @ rows
        count += len(rows)
    eigenvalues, directions = np.linalg.eigh(products)
    singular_values = np.sqrt(np.maximum(eigenvalues, 0))
    varies = singular_values > RESOLUTION * singular_values.max()
    scale = np.where(varies, np.sqrt(count) / (singular_values + epsilon), 0.0)
    matrix: NDArray[np.float64] = (directions * scale) @ directions.T
    return matrix.astype(np.float32)
