"""Tiles of large images: drawn at random for training; in a grid, with blended seams, for evaluation and prediction.

A tile is ``height x width`` pixels; where it reaches beyond the image it is filled up. Corners are ``(top, left)``.
"""

import itertools
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dlcli.data.splits import Index

Tile = tuple[int, int]  # height, width

MULTIPLE = 32  # the strides of networks' deepest feature maps divide it: corners there make a tile's maps parts of the
# whole image's
UNRELIABLE = 0.25  # of an overlap at a tile's own edge, where convolutions see beyond the tile: it has no weight


# Training -------------------------------------------------------------------------------------------------------------


def draw_corners(sizes: NDArray[np.int64], tile: Tile, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """The corner of a tile of each image in an epoch, int64 ``[n, 2]``: a function of (seed, epoch, sample) and size.

    Args:
        sizes: height and width of each image, ``[n, 2]``. Along a side shorter than the tile's, a corner is 0.
    """
    generator = np.random.Generator(np.random.PCG64([seed, epoch, zlib.crc32(b"tiles")]))
    room = np.maximum(np.asarray(sizes) - tile, 0)
    corners: NDArray[np.int64] = np.floor(generator.random((len(room), 2)) * (room + 1)).astype(np.int64)
    return corners


def cut(values: NDArray[np.generic], corner: tuple[int, int], tile: Tile, *, fill: int) -> NDArray[np.generic]:
    """A tile of an image ``[height, width, ...]`` or mask, filled up beyond its lower and right edges."""
    (top, left), (height, width) = corner, tile
    result = np.full((height, width, *values.shape[2:]), fill, values.dtype)
    part = values[top : top + height, left : left + width]
    result[: part.shape[0], : part.shape[1]] = part
    return result


# Grids ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """The tiles that cover an image.

    Attributes:
        height, width: of the image.
        tile: height and width of each tile.
        tops, lefts: the first row and column of the rows and columns of tiles, ascending.
    """

    height: int
    width: int
    tile: Tile
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    @property
    def corners(self) -> NDArray[np.int64]:
        """Of the tiles, row by row, int64 ``[t, 2]``."""
        return np.array([(top, left) for top in self.tops for left in self.lefts], np.int64)

    def weights(self, position: int) -> NDArray[np.float32]:
        """The weight of each pixel of a tile, float32 ``[height, width, 1]``; those of all tiles add up to 1.

        It falls to 0 towards edges inside of the image, so that a pixel near an edge is taken from the tile that shows
        more around it.
        """
        row, column = divmod(position, len(self.lefts))
        down, across = self._weights[0][row], self._weights[1][column]
        product: NDArray[np.float32] = (down[:, None, None] * across[None, :, None]).astype(np.float32)
        return product

    @cached_property
    def _weights(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return _weights(self.tops, self.tile[0]), _weights(self.lefts, self.tile[1])


def make_grid(height: int, width: int, tile: Tile, overlap: int, *, multiple: int = MULTIPLE) -> Grid:
    """The tiles that cover an image, which overlap by at least ``overlap`` pixels.

    Corners are multiples of ``multiple``; the last tiles may reach beyond the image. One tile covers an image that is
    not larger.

    Raises:
        ValueError: the overlap leaves no step between tiles, which must be a multiple.
    """
    return Grid(
        height,
        width,
        tile,
        _starts(height, tile[0], overlap, multiple),
        _starts(width, tile[1], overlap, multiple),
    )


def _starts(length: int, size: int, overlap: int, multiple: int) -> tuple[int, ...]:
    step = (size - overlap) // multiple * multiple
    if step < 1:
        raise ValueError(
            f"tiles of {size} pixels that overlap by {overlap} must leave a step of at least {multiple} pixels."
        )
    last = -(-max(0, length - size) // multiple) * multiple
    return (*range(0, last, step), last)


def _weights(starts: tuple[int, ...], size: int) -> NDArray[np.float64]:
    """The weights along one side, ``[tiles, size]``; at each place of the image their sum is 1."""
    weights = np.ones((len(starts), size))
    for i, (start, following) in enumerate(itertools.pairwise(starts)):
        shared = start + size - following
        if shared > 0:
            place = (np.arange(shared) + 0.5) / shared  # in (0, 1)
            ramp = np.clip((place - UNRELIABLE) / (1 - 2 * UNRELIABLE), 0, 1)
            weights[i + 1, :shared] *= ramp
            weights[i, size - shared :] *= 1 - ramp
    total = np.zeros(starts[-1] + size)
    for start, of_tile in zip(starts, weights, strict=True):
        total[start : start + size] += of_tile
    return np.stack([of_tile / total[start : start + size] for start, of_tile in zip(starts, weights, strict=True)])


class Blending:
    """Blends the outputs of the tiles of a grid into one map of the image.

    Args:
        num_channels: of the outputs, such as probabilities of classes.
    """

    def __init__(self, grid: Grid, num_channels: int) -> None:
        self._grid = grid
        rows, columns = grid.tops[-1] + grid.tile[0], grid.lefts[-1] + grid.tile[1]
        self._sum = np.zeros((max(rows, grid.height), max(columns, grid.width), num_channels), np.float32)

    def add(self, index: Index, outputs: NDArray[np.float32]) -> None:
        """Adds the outputs ``[b, height, width, channels]`` of the tiles at these positions, each once."""
        height, width = self._grid.tile
        corners = self._grid.corners
        for position, output in zip(index.tolist(), outputs, strict=True):
            top, left = corners[position]
            self._sum[top : top + height, left : left + width] += output * self._grid.weights(position)

    def result(self) -> NDArray[np.float32]:
        """The map of the image, float32 ``[height, width, channels]``, after all tiles were added."""
        return self._sum[: self._grid.height, : self._grid.width]
