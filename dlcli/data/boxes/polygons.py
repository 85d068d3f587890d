"""Rasterizing: which pixels lie in a polygon or a run-length encoding; and the encoding of pixels.

Coordinates are those of COCO: the pixel in column 0 and row 0 covers the square from (0, 0) to (1, 1). A pixel is in a
polygon if its center is, so that polygons that share an edge neither overlap nor leave a gap, and the area of a polygon
with whole coordinates along the axes is exact.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Inside = NDArray[np.bool_]  # [height, width]
Points = NDArray[np.float64]  # [n, 2], x and y


def fill_polygon(points: Points, height: int, width: int) -> Inside:
    """The pixels in a closed polygon by the even-odd rule; parts outside of the image are cut off.

    Args:
        points: the corners, at least three; the last is joined to the first.
    """
    inside = np.zeros((height, width), np.bool_)
    left, top = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(points.max(axis=0)), 0, (width, height)).astype(int)
    toggles = np.zeros((bottom - top, right - left + 1), np.bool_)  # where a row enters or leaves the polygon
    corners = points - (left, top)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        # rows whose centers lie between the ends, the upper one included: the lower one belongs to the next edge
        first, stop = np.clip(np.ceil(np.sort([y1, y2]) - 0.5), 0, bottom - top).astype(int)
        rows = np.arange(first, stop)
        crossings = x1 + (rows + 0.5 - y1) * ((x2 - x1) / (y2 - y1))
        columns = np.clip(np.ceil(crossings - 0.5), 0, right - left).astype(int)
        toggles[rows, columns] ^= True
    inside[top:bottom, left:right] = np.logical_xor.accumulate(toggles, axis=1)[:, :-1]
    return inside


def fill_runs(counts: Sequence[int] | NDArray[np.int64], height: int, width: int) -> Inside:
    """The pixels of COCO's run-length encoding: lengths of runs outside and inside in turn, column by column.

    Raises:
        ValueError: a run is negative, or together they are not as long as the image.
    """
    lengths = np.asarray(counts, np.int64)
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"the runs must be {height * width} pixels in all. Received {lengths.sum()}.")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def decode_runs(text: str) -> list[int]:
    """The lengths of the runs in COCO's compressed encoding.

    Each number is a sequence of characters from "0" on with 5 bits each, the lowest first; bit 6 is set if another
    follows, and the highest bit of the last is the sign. From the fourth number on it is the difference to the number
    before the previous one.

    Raises:
        ValueError: the text is not such an encoding.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - ord("0")
        if not 0 <= code < 64 or shift > 60:
            raise ValueError(f"a character from '0' to 'o' must follow. Received {character!r}.")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the last number is incomplete.")
    return counts


def encode_runs(counts: NDArray[np.int64]) -> str:
    """COCO's compressed encoding of the lengths of runs, the inverse of :func:`decode_runs`.

    Args:
        counts: int64 ``[n]``, of runs outside and inside in turn.
    """
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    parts, is_used = [], []
    is_open = np.ones(len(values), np.bool_)
    while is_open.any():
        part, values = values & 31, values >> 5
        is_last = values == np.where(part & 16, -1, 0)
        parts.append(part + np.where(is_last, 0, 32) + ord("0"))
        is_used.append(is_open)
        is_open = is_open & ~is_last
    if not parts:
        return ""
    return np.stack(parts, axis=1)[np.stack(is_used, axis=1)].astype(np.uint8).tobytes().decode("ascii")
