"""Which part of an image is explained: all of it, or the tile that holds most of what is explained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.data.images.tiles import make_grid
from dlcli.tasks.images.aspects import Aspect

TILE_COLUMNS = ("tile_top", "tile_left")  # of explanations.csv
AT_ONCE = 16  # tiles


@dataclass(frozen=True)
class Views:
    """What a network takes of some images.

    Attributes:
        pixels: ``[b, height, width, channels]`` as they were loaded.
        places: of each tile the first row and column in its image; none for whole images.
    """

    pixels: NDArray[Any]
    places: Sequence[tuple[int, int]]

    def columns(self, position: int) -> dict[str, int]:
        """The place of a tile, as columns of explanations.csv."""
        return dict(zip(TILE_COLUMNS, self.places[position], strict=True)) if self.places else {}


def load_views(aspect: Aspect, samples: Samples, rows: NDArray[np.int64]) -> Views:
    """The images at some positions; of images that are cut into tiles, the tile with the most of an aspect.

    The tiles are those of evaluation, so that a mask that evaluation predicts is in one of them.

    Args:
        aspect: of which :attr:`Chosen.amounts` says how much a tile holds.
    """
    if not samples.is_tiled:
        return Views(samples.load(rows), ())
    found = [_fullest(aspect, samples, int(row)) for row in rows]
    return Views(np.stack([pixels for pixels, _ in found]), [place for _, place in found])


def _fullest(aspect: Aspect, samples: Samples, row: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The tile of an image with the largest amount, the first of several."""
    policy, reader = samples.policy, samples.tile_reader()
    assert policy is not None
    assert policy.overlap is not None
    height, width = samples.sizes[[row]][0].tolist()
    windows = make_grid(height, width, policy.image_size, policy.overlap).windows
    most, best = -1.0, None
    for start in range(0, len(windows), AT_ONCE):
        some = windows[start : start + AT_ONCE]
        rows = np.full(len(some), row, np.int64)
        tiles = reader.load(rows, some)
        amounts = aspect.choose(tiles.astype(np.float32), samples, rows).amounts
        assert amounts is not None
        place = int(amounts.argmax())
        if amounts[place] > most:
            top, left = some[place, :2].tolist()
            most, best = float(amounts[place]), (tiles[place].copy(), (top, left))
    assert best is not None
    return best
