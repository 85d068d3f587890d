"""Tiles of large images: drawn at random for training; in a grid, with blended seams, for evaluation and prediction.

A tile is ``height x width`` pixels; where it reaches beyond the image it is filled up. Corners are ``(top, left)``.
"""

import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import workers
from dlcli.data.splits import Index

Tile = tuple[int, int]  # height, width

Sizes = NDArray[np.int64]
"""Height and width of each image, ``[n, 2]``."""

Windows = NDArray[np.int64]
"""For each sample the tile of an image that it shows, ``[n, 6]``: the corner (top, left) of the tile, and the part of
the image whose pixels count (top, left, bottom, right)."""

MULTIPLE = 32  # the strides of networks' deepest feature maps divide it: corners there make a tile's maps parts of the
# whole image's
UNRELIABLE = 0.25  # of an overlap at a tile's own edge, where convolutions see beyond the tile: it has no weight


# Windows --------------------------------------------------------------------------------------------------------------


def draw_windows(sizes: Sizes, tile: Tile, *, seed: int, epoch: int) -> Windows:
    """A tile of each image in an epoch, with a corner drawn uniformly: a function of (seed, epoch, sample) and size.

    Args:
        sizes: of the images, one that is repeated gets as many tiles. Along a side that is shorter than the tile's, a
            corner is 0.
    """
    generator = np.random.Generator(np.random.PCG64([seed, epoch, zlib.crc32(b"tiles")]))
    room = np.maximum(np.asarray(sizes) - tile, 0)
    return _windows_at(np.floor(generator.random((len(room), 2)) * (room + 1)).astype(np.int64), tile)


def center_windows(sizes: Sizes, tile: Tile) -> Windows:
    """The tile in the middle of each image."""
    return _windows_at(np.maximum(np.asarray(sizes) - tile, 0) // 2, tile)


def _windows_at(corners: NDArray[np.int64], tile: Tile) -> Windows:
    """The windows of tiles whose pixels all count."""
    return np.concatenate([corners, corners, corners + tile], axis=1)


def cut(values: NDArray[Any], corner: tuple[int, int], tile: Tile, *, fill: int) -> NDArray[Any]:
    """A tile of an image ``[height, width, ...]`` or mask, filled up beyond its lower and right edges."""
    (top, left), (height, width) = corner, tile
    result = np.full((height, width, *values.shape[2:]), fill, values.dtype)
    part = values[top : top + height, left : left + width]
    result[: part.shape[0], : part.shape[1]] = part
    return result


def cut_counted(values: NDArray[Any], window: NDArray[np.int64], tile: Tile, *, fill: int) -> NDArray[Any]:
    """As :func:`cut`, for the row of a sample in :data:`Windows`; pixels that do not count are filled too."""
    top, left, *part = window.tolist()
    result = cut(values, (top, left), tile, fill=fill)
    first_row, first_column, last_row, last_column = part[0] - top, part[1] - left, part[2] - top, part[3] - left
    result[:first_row] = fill
    result[last_row:] = fill
    result[:, :first_column] = fill
    result[:, last_column:] = fill
    return result


@dataclass(frozen=True)
class Tiling:
    """The tiles of images that are the samples of a split.

    Attributes:
        images: the position of each tile's image, ascending, int64 ``[t]``.
        windows: of the tiles, ``[t, 6]``, in an epoch.
    """

    images: Index
    windows: Callable[[int], Windows]


def draw_tiling(sizes: Sizes, tile: Tile, *, per_image: int, seed: int, is_fixed: bool = False) -> Tiling:
    """So many tiles of each image, which are drawn for each epoch, as by :func:`draw_windows`.

    Args:
        is_fixed: whether the tiles of the first epoch are used in all of them.
    """
    images = np.repeat(np.arange(len(sizes)), per_image)
    return Tiling(images, lambda epoch: draw_windows(sizes[images], tile, seed=seed, epoch=0 if is_fixed else epoch))


class TileReader:
    """Cuts tiles from images or masks, each of which is read once for all its tiles that follow one another.

    At most as many whole images as there are worker threads, and one more, are in memory.

    Args:
        read: reads the image ``[height, width, ...]`` at a position.
        shape: of a tile, ``(height, width, ...)``.
        fill: the value of pixels beyond the image.
        only_counted: whether pixels that do not count have the value ``fill`` too.
    """

    def __init__(
        self,
        read: Callable[[int], NDArray[Any]],
        shape: tuple[int, ...],
        *,
        fill: int,
        only_counted: bool = False,
    ) -> None:
        self._read = read
        self._shape = shape
        self._fill = fill
        self._only_counted = only_counted
        self._last: tuple[int, NDArray[Any]] | None = None

    def load(self, index: Index, windows: Windows) -> NDArray[np.uint8]:
        """The tiles of the images at ``index`` ``[b]``, uint8 ``[b, height, width, ...]``, read in several threads.

        Raises:
            InputError: an image can no longer be read.
        """
        result = np.empty((len(index), *self._shape), np.uint8)
        tile, kept, last = (self._shape[0], self._shape[1]), self._last, int(index[-1])

        def fill(image: int) -> NDArray[Any] | None:
            whole = kept[1] if kept is not None and kept[0] == image else self._read(image)
            for position in np.flatnonzero(index == image):
                window = windows[position]
                if self._only_counted:
                    result[position] = cut_counted(whole, window, tile, fill=self._fill)
                else:
                    result[position] = cut(whole, (window[0], window[1]), tile, fill=self._fill)
            return whole if image == last else None

        images = list(dict.fromkeys(index.tolist()))
        wholes = dict(zip(images, workers().map(fill, images), strict=True))
        whole = wholes[last]
        self._last = None if whole is None else (last, whole)
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
    def windows(self) -> Windows:
        """Of the tiles, row by row, ``[t, 6]``. Each pixel of the image counts in one of them: up to the middle of what
        two neighbors share."""
        rows = _shares(self.tops, self.tile[0], self.height)
        columns = _shares(self.lefts, self.tile[1], self.width)
        return np.array(
            [
                (top, left, first_row, first_column, last_row, last_column)
                for top, (first_row, last_row) in zip(self.tops, rows, strict=True)
                for left, (first_column, last_column) in zip(self.lefts, columns, strict=True)
            ],
            np.int64,
        )

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
    """The tiles that cover an image, as few as possible, which overlap by at least ``overlap`` pixels.

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


def make_grids(sizes: Sizes, tile: Tile, overlap: int) -> tuple[Grid, ...]:
    """The grid of each image."""
    return tuple(make_grid(height, width, tile, overlap) for height, width in sizes.tolist())


def grid_tiling(grids: Sequence[Grid]) -> Tiling:
    """All tiles of the grids of images, the same in every epoch."""
    windows = np.concatenate([grid.windows for grid in grids])
    return Tiling(np.repeat(np.arange(len(grids)), [len(grid) for grid in grids]), lambda epoch: windows)


def _starts(length: int, size: int, overlap: int, multiple: int) -> tuple[int, ...]:
    step = (size - overlap) // multiple
    if step < 1:
        raise ValueError(
            f"tiles of {size} pixels that overlap by {overlap} must leave a step of at least {multiple} pixels."
        )
    last = -(-max(0, length - size) // multiple)
    number = -(-last // step)  # of tiles after the first
    return (0, *(i * last // number * multiple for i in range(1, number + 1)))


def _shares(starts: tuple[int, ...], size: int, length: int) -> list[tuple[int, int]]:
    """The first pixel and the one after the last that count of each tile along a side, of ``length`` pixels."""
    edges = [(start + size + following) // 2 for start, following in itertools.pairwise(starts)]
    return list(itertools.pairwise([0, *edges, length]))


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


def blend(grid: Grid, outputs: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Blends the outputs of the tiles of a grid into one map of the image, which is returned in bands from top to
    bottom, float32 ``[rows, width, channels]``: no more than a row of tiles is in memory.

    Args:
        outputs: ``[height, width, channels]`` of each tile, row by row, such as probabilities of classes.
    """
    height, width = grid.tile
    band: NDArray[np.float32] | None = None  # of the current row of tiles
    ends = [*grid.tops[1:], grid.height]  # the first row of the image to which later tiles contribute
    for position, output in enumerate(outputs):
        row, column = divmod(position, len(grid.lefts))
        if band is None:
            band = np.zeros((height, grid.lefts[-1] + width, output.shape[-1]), np.float32)
        left = grid.lefts[column]
        band[:, left : left + width] += output * grid.weights(position)
        if column == len(grid.lefts) - 1:
            done = min(ends[row] - grid.tops[row], height)
            yield band[:done, : grid.width].copy()
            band[: height - done] = band[done:].copy()
            band[height - done :] = 0
