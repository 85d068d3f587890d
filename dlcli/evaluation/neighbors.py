"""The nearest neighbors of feature vectors, by cosine similarity."""

import numpy as np
from numpy.typing import NDArray

ROWS = 1024  # compared at a time, so that memory grows with the number of vectors alone


def nearest(vectors: NDArray[np.float32], number: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The most similar other vectors of each.

    Args:
        vectors: ``[n, d]``; one of zeros has the similarity 0 to all.
        number: of neighbors; fewer if there are not as many others.

    Returns:
        Their positions ``[n, k]``, the most similar first and the first of equal ones, and their cosine similarities.
    """
    number = min(number, len(vectors) - 1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    positions = np.empty((len(vectors), number), np.int64)
    similarities = np.empty((len(vectors), number), np.float32)
    for start in range(0, len(vectors), ROWS):
        found = unit[start : start + ROWS] @ unit.T
        rows = np.arange(len(found))
        found[rows, start + rows] = -np.inf  # itself
        order = np.argsort(-found, axis=1, kind="stable")[:, :number]
        positions[start : start + ROWS] = order
        similarities[start : start + ROWS] = np.take_along_axis(found, order, axis=1)
    return positions, similarities
