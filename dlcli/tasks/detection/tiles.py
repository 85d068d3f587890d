"""The objects of images that are cut into tiles, from what is detected in each tile.

Each place of an image counts in one tile, up to the middle of what two neighbors share. A box is kept in the tile in
which its center counts: so an object that is not larger than the overlap is found where it is whole, and not again
where the edge of a tile cuts it. Non-maximum suppression then removes what two tiles find of the same object.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.tiles import Grid
from dlcli.evaluation.detection.suppression import greedy_nms
from dlcli.recipe.sections.detect import Detect

Array = NDArray[Any]
OfImage = tuple[Array, ...]
"""Boxes rel_xyxy ``[m, 4]``, scores ``[m]`` in descending order, classes ``[m]``, their number ``[]``, and of a network
that predicts them, masks ``[m, side, side]`` in the boxes; ``m`` may be larger than the number, and what follows is
padding."""


class Merger:
    """Collects what is detected in tiles, which come image by image.

    Args:
        grids: the tiles of each image.
        detect: see :func:`merge`.
    """

    def __init__(self, grids: Sequence[Grid], detect: Detect) -> None:
        self._grids = grids
        self._detect = detect
        self._tiles: list[OfImage] = []  # those of the image at hand
        self._position = 0  # of this image

    def add(self, batch: Sequence[Array]) -> Iterator[tuple[NDArray[np.int64], OfImage]]:
        """The position, and the objects, of each image whose tiles are complete, as of a batch of one image.

        Args:
            batch: what is detected in each tile of a batch, with an axis for the tiles.
        """
        for of_tile in zip(*batch, strict=True):
            self._tiles.append(of_tile)
            grid = self._grids[self._position]
            if len(self._tiles) == len(grid):
                yield np.array([self._position]), tuple(value[None] for value in merge(self._tiles, grid, self._detect))
                self._tiles = []
                self._position += 1


def merge(tiles: Sequence[OfImage], grid: Grid, detect: Detect) -> OfImage:
    """The objects of an image, relative to it. Where a tile is filled up beyond the image, boxes may be too.

    Args:
        tiles: what is detected in each tile of the grid, relative to the tile.
        detect: how boxes of several tiles remove each other: greedily, also where those of a tile lower the scores of
            each other, or not at all.
    """
    parts = [_counted(of_tile, window, grid) for of_tile, window in zip(tiles, grid.windows, strict=True)]
    boxes, scores, classes, *masks = (np.concatenate(values) for values in zip(*parts, strict=True))
    order = np.argsort(-scores, kind="stable")
    if len(parts) > 1 and detect.nms != "none":
        order = greedy_nms(
            *(boxes.clip(0, 1), scores, classes),
            score=detect.score,
            iou=detect.iou,
            max_boxes=len(boxes),
            class_agnostic=detect.class_agnostic,
        )
    return boxes[order], scores[order], classes[order], np.array(len(order)), *(of_all[order] for of_all in masks)


def _counted(of_tile: OfImage, window: NDArray[np.int64], grid: Grid) -> tuple[Array, ...]:
    """The boxes of a tile whose centers count in it, relative to the image; their scores, classes and masks."""
    boxes, scores, classes, count, *masks = of_tile
    top, left, *part = window.tolist()
    height, width = grid.tile
    in_pixels = boxes[: int(count)] * [width, height, width, height] + [left, top, left, top]
    x, y = (in_pixels[:, [0, 1]] + in_pixels[:, [2, 3]]).T / 2
    first_row, first_column, last_row, last_column = part
    counts = (x >= first_column) & (x < last_column) & (y >= first_row) & (y < last_row)
    relative = in_pixels[counts] / [grid.width, grid.height, grid.width, grid.height]
    return relative, *(values[: int(count)][counts] for values in (scores, classes, *masks))
