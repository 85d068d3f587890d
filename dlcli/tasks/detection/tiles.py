"""The objects of images that are cut into tiles, from what is detected in each tile.

Each place of an image counts in one tile, up to the middle of what two neighbors share. A box is kept in the tile in
which its center counts: so an object that is not larger than the overlap is found where it is whole, and not again
where the edge of a tile cuts it. Non-maximum suppression then removes what two tiles find of the same object.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.tiles import Grid
from dlcli.evaluation.detection.suppression import greedy_nms
from dlcli.recipe.sections.detect import Detect

Array = NDArray[Any]
OfImage = tuple[Array, Array, Array, Array]
"""Boxes rel_xyxy ``[m, 4]``, scores ``[m]`` in descending order, classes ``[m]``, and their number ``[]``; ``m`` may be
larger than the number, and what follows is padding."""


def merge(tiles: Sequence[OfImage], grid: Grid, detect: Detect) -> OfImage:
    """The objects of an image, relative to it.

    Args:
        tiles: what is detected in each tile of the grid, relative to the tile.
        detect: how boxes of several tiles remove each other: greedily, also where those of a tile lower the scores of
            each other, or not at all.
    """
    parts = [_counted(of_tile, window, grid) for of_tile, window in zip(tiles, grid.windows, strict=True)]
    boxes, scores, classes = (np.concatenate(values) for values in zip(*parts, strict=True))
    order = np.argsort(-scores, kind="stable")
    if len(parts) > 1 and detect.nms != "none":
        order = greedy_nms(
            *(boxes, scores, classes),
            score=detect.score,
            iou=detect.iou,
            max_boxes=len(boxes),
            class_agnostic=detect.class_agnostic,
        )
    return boxes[order], scores[order], classes[order], np.array(len(order))


def _counted(of_tile: OfImage, window: NDArray[np.int64], grid: Grid) -> tuple[Array, Array, Array]:
    """The boxes of a tile whose centers count in it, relative to the image and clipped to it; scores and classes."""
    boxes, scores, classes, count = of_tile
    top, left, *part = window.tolist()
    height, width = grid.tile
    in_pixels = boxes[: int(count)] * [width, height, width, height] + [left, top, left, top]
    x, y = (in_pixels[:, [0, 1]] + in_pixels[:, [2, 3]]).T / 2
    first_row, first_column, last_row, last_column = part
    counts = (x >= first_column) & (x < last_column) & (y >= first_row) & (y < last_row)
    relative = (in_pixels[counts] / [grid.width, grid.height, grid.width, grid.height]).clip(0, 1)
    return relative, scores[: int(count)][counts], classes[: int(count)][counts]
