"""The baselines of image classification: what learned features must beat."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

Array = npt.NDArray[Any]

PIXELS_SIDE = 16  # of the gray images whose pixels are features
HOG_SIDE = 32  # of the gray images whose gradients are features
NUM_CELLS = 4  # along each side
NUM_ORIENTATIONS = 9
CLIPPED = 0.2  # of L2-Hys
TINY = 1e-5
MAX_ITERATIONS = 100
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue


def gray(images: Array, *, side: int) -> npt.NDArray[np.float64]:
    """Gray images in [0, 1], at most ``side`` pixels high and wide, by averaging areas.

    Args:
        images: ``[n, height, width, channels]`` in [0, 255], with 1 or 3 channels.
    """
    values = images.astype(np.float64) / 255
    values = values[..., 0] if values.shape[-1] == 1 else values @ np.array(LUMA)
    rows, columns = (_area_average(size, min(size, side)) for size in values.shape[1:])
    return rows @ values @ columns.T


def _area_average(size: int, new_size: int) -> Array:
    """The matrix ``[new_size, size]`` that averages pixels by how much of them each new pixel covers."""
    edges = np.linspace(0, size, new_size + 1)
    pixels = np.arange(size)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights: Array = np.maximum(covered, 0) * new_size / size
    return weights


def hog(images: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Histograms of oriented gradients (Dalal and Triggs 2005) of gray images ``[n, height, width]``, at least 4 by 4.

    The 4 by 4 cells have 9 unsigned orientations, without interpolation; blocks of 2 by 2 cells, which overlap, are
    normalized by L2-Hys. As in scikit-image's ``hog``.

    Returns:
        ``[n, 324]``.
    """
    num, height, width = images.shape
    cell = (height // NUM_CELLS, width // NUM_CELLS)
    vertical, horizontal = np.zeros_like(images), np.zeros_like(images)
    vertical[:, 1:-1] = images[:, 2:] - images[:, :-2]
    horizontal[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
    magnitude = np.hypot(vertical, horizontal)
    angle = np.rad2deg(np.arctan2(vertical, horizontal)) % 180
    orientation = np.minimum((angle * NUM_ORIENTATIONS / 180).astype(np.int64), NUM_ORIENTATIONS - 1)
    cells = np.empty((num, NUM_CELLS, NUM_CELLS, NUM_ORIENTATIONS))
    used = (slice(None), slice(NUM_CELLS * cell[0]), slice(NUM_CELLS * cell[1]))
    for i in range(NUM_ORIENTATIONS):
        of_orientation = np.where(orientation == i, magnitude, 0.0)[used]
        parts = of_orientation.reshape(num, NUM_CELLS, cell[0], NUM_CELLS, cell[1])
        cells[..., i] = parts.mean(axis=(2, 4))
    blocks = np.stack(
        [
            cells[:, row : row + 2, column : column + 2].reshape(num, -1)
            for row in range(NUM_CELLS - 1)
            for column in range(NUM_CELLS - 1)
        ],
        axis=1,
    )
    normalized = _normalized(np.minimum(_normalized(blocks), CLIPPED))
    return normalized.reshape(num, -1)


def _normalized(blocks: Array) -> Array:
    result: Array = blocks / np.sqrt(np.square(blocks).sum(axis=-1, keepdims=True) + TINY**2)
    return result


def features(images: Array) -> dict[str, Array]:
    """The features of each baseline: ``pixels`` of the gray image at most 16 by 16, and ``hog`` of 32 by 32.

    Args:
        images: ``[n, height, width, channels]`` in [0, 255], with 1 or 3 channels.

    Returns:
        ``[n, features]`` by name; no HOG of images less than 4 pixels high or wide.
    """
    found = {"pixels": gray(images, side=PIXELS_SIDE).reshape(len(images), -1)}
    if min(images.shape[1:3]) >= NUM_CELLS:
        found["hog"] = hog(gray(images, side=HOG_SIDE))
    return found


def fit(features: Array, labels: Array) -> LogisticRegression:
    """Logistic regression with an L2 penalty (C = 1), of at least two classes; at most 100
    iterations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a bound on the time, not an error
        return LogisticRegression(max_iter=MAX_ITERATIONS).fit(features, labels)
