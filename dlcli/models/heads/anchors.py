"""The positions of a detector's feature maps, and the anchors on them, as plain NumPy arrays.

Level l of a pyramid has the stride 2^l and ``ceil(side / 2^l)`` positions along each side of the image. All arrays that
cover several levels have the positions of the finest level first, row by row.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
"""Height and width in pixels of the network's input."""


def sides_of(size: Size, level: int) -> tuple[int, int]:
    """Height and width of the maps at a level: the image's sides divided by the stride, rounded up."""
    height, width = size
    stride = 2**level
    return -(-height // stride), -(-width // stride)


def axes_of(size: Size, level: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The centers of a level's rows, ``[h]``, and columns, ``[w]``, in pixels.

    They are a stride apart, and in the middle of the image where its side is not a multiple of the stride, because
    padded convolutions pad both ends.
    """
    stride = 2**level
    rows, columns = (
        side / 2 + (np.arange(num) - (num - 1) / 2) * stride
        for side, num in zip(size, sides_of(size, level), strict=True)
    )
    return rows, columns


def centers(size: Size, levels: Sequence[int]) -> NDArray[np.float64]:
    """The centers (x, y) of all positions in pixels, ``[n, 2]``."""
    parts = []
    for level in levels:
        rows, columns = axes_of(size, level)
        y, x = np.meshgrid(rows, columns, indexing="ij")
        parts.append(np.stack([x.ravel(), y.ravel()], axis=1))
    return np.concatenate(parts)


def level_of_positions(size: Size, levels: Sequence[int]) -> NDArray[np.int64]:
    """The level of each of all positions, ``[n]``."""
    return np.repeat(levels, [np.prod(sides_of(size, level)) for level in levels]).astype(np.int64)


def anchor_sides(level: int, *, sizes: Sequence[float], ratios: Sequence[float]) -> NDArray[np.float64]:
    """Width and height in pixels of the anchors at a position, ``[k, 2]``, one ratio after another for each size.

    Args:
        sizes: the square root of an anchor's area, in strides.
        ratios: width divided by height.
    """
    root = np.sqrt(np.asarray(ratios, np.float64))
    sides = np.stack([root, 1 / root], axis=1)
    scaled: NDArray[np.float64] = np.asarray(sizes, np.float64)[:, None, None] * sides * 2**level
    return scaled.reshape(-1, 2)


def anchors(
    size: Size, levels: Sequence[int], *, sizes: Sequence[float], ratios: Sequence[float]
) -> NDArray[np.float64]:
    """All anchors, rel_xyxy ``[n * k, 4]``: the k of a position one after another.

    They are not clipped to the image: those that extend beyond it keep their shape.

    Args:
        sizes, ratios: see :func:`anchor_sides`.
    """
    middle = centers(size, levels)[:, None]  # [n, 1, 2]
    per_level = [anchor_sides(level, sizes=sizes, ratios=ratios) for level in levels]
    half = np.concatenate(
        [
            np.broadcast_to(sides / 2, (int(np.prod(sides_of(size, level))), *sides.shape))
            for level, sides in zip(levels, per_level, strict=True)
        ]
    )
    height, width = size
    corners = np.concatenate([middle - half, middle + half], axis=-1).reshape(-1, 4)
    relative: NDArray[np.float64] = corners / np.array([width, height, width, height], np.float64)
    return relative
