"""The mask of a detection in its image: a small map of probabilities, resampled to the pixels of its box."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import Corners

THRESHOLD = 0.5  # the probability from which on a pixel belongs to the object


@dataclass(frozen=True)
class Patch:
    """The pixels of an object in an image, all of them in a rectangle.

    Attributes:
        left, top: the column and the row of the image at which the rectangle starts.
        inside: bool ``[rows, columns]``, the rectangle; it may be empty.
        height, width: of the image.
    """

    left: int
    top: int
    inside: NDArray[np.bool_]
    height: int
    width: int

    @property
    def area(self) -> int:
        """In pixels."""
        return int(self.inside.sum())

    @property
    def packed(self) -> NDArray[np.uint8]:
        """The pixels in the image with a bit for each, ``[bytes]``; a row starts with a new byte."""
        image = np.zeros((self.height, -(-self.width // 8)), np.uint8)
        start, shift = divmod(self.left, 8)
        bits = np.packbits(np.pad(self.inside, [(0, 0), (shift, 0)]), axis=1)
        image[self.top : self.top + len(bits), start : start + bits.shape[1]] = bits
        return image.ravel()

    @property
    def runs(self) -> NDArray[np.int64]:
        """COCO's run-length encoding in the image: lengths of runs outside and inside in turn, column by column."""
        columns, rows = np.nonzero(self.inside.T)
        places = (columns + self.left) * self.height + rows + self.top
        if not len(places):
            return np.array([self.height * self.width])
        is_first = np.diff(places, prepend=-2) > 1
        starts, stops = places[is_first], places[np.roll(is_first, -1)] + 1
        bounds = np.concatenate([[0], np.stack([starts, stops], axis=1).ravel(), [self.height * self.width]])
        runs = np.diff(bounds)
        return runs if runs[-1] else runs[:-1]


def paste(probabilities: NDArray[np.float32], corners: Corners, *, height: int, width: int) -> Patch:
    """The pixels of an image in which a mask, interpolated linearly, has at least a probability of 0.5.

    The centers of the mask's pixels divide the box evenly; between them and the sides of the box the nearest ones
    count. Only pixels whose center is in the box are inside.

    Args:
        probabilities: in the box, ``[side, side]``.
        corners: of the box: xmin, ymin, xmax, ymax in pixels of the image; it may extend beyond the image.
        height, width: of the image.
    """
    x1, y1, x2, y2 = corners
    left, first, next_column, right_share = _between(x1, x2, width, probabilities.shape[1])
    top, upper, lower, lower_share = _between(y1, y2, height, probabilities.shape[0])
    lines = probabilities[upper] + (probabilities[lower] - probabilities[upper]) * lower_share[:, None]
    values = lines[:, first] + (lines[:, next_column] - lines[:, first]) * right_share
    return Patch(left, top, values >= THRESHOLD, height, width)


def _between(
    start: float, stop: float, size: int, num: int
) -> tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The first pixel of a side of an image whose center is between ``start`` and ``stop``; and for it and those that
    follow two neighbors among ``num`` values that divide this range evenly, and the weight of the second."""
    first, end = (int(np.clip(np.ceil(bound - 0.5), 0, size)) for bound in (start, stop))
    place = (np.arange(first, end) + 0.5 - start) / max(stop - start, 1e-9) * num - 0.5
    place = np.clip(place, 0, num - 1)
    lower = np.minimum(place.astype(np.int64), max(0, num - 2))
    return first, lower, np.minimum(lower + 1, num - 1), (place - lower).astype(np.float32)
