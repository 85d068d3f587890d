"""Kernels: those that are known by name, and the user's own, written as numbers.

They are written for convolution, which reverses them: ``sobel-x`` is positive where an image gets brighter to the
right.
"""

import difflib
import math
import re
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from dlcli.errors import InputError

Array = NDArray[np.float64]

LARGEST = 1e18  # of a number's magnitude, as in tables
MAX_SIZE = 255  # of a kernel's side
TRUNCATE = 4.0  # standard deviations at which a Gaussian is cut off, as in scipy.ndimage

FIXED_1D: Mapping[str, list[float]] = {
    "identity": [1],
    "difference": [0.5, 0, -0.5],
    "laplacian": [1, -2, 1],
}
FIXED_2D: Mapping[str, list[list[float]]] = {
    "identity": [[1]],
    "sobel-x": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
    "sobel-y": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
    "laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "emboss": [[2, 1, 0], [1, 1, -1], [0, -1, -2]],
}
NUMBERS = re.compile(r"[-+0-9.]")


def kernel_names(rank: int) -> list[str]:
    """The names for signals (rank 1) or images (2), with what belongs to a name."""
    return [*(FIXED_1D if rank == 1 else FIXED_2D), "mean:SIZE", "gaussian:SIGMA"]


def read_kernel(text: str, rank: int) -> Array:
    """A kernel ``[size]`` (rank 1) or ``[height, width]`` (rank 2) by its name or its numbers.

    Args:
        text: ``sobel-x``, ``mean:5``, ``gaussian:1.5``; ``1, 0, -1``, or rows as ``1,0,-1; 2,0,-2; 1,0,-1``.

    Raises:
        InputError: it is neither, or too large.
    """
    if NUMBERS.match(text.strip()):
        kernel = _written(text)
        if rank == 1 and kernel.shape[0] > 1:
            raise InputError(f"--kernel: expected one row of numbers for a signal. Received {kernel.shape[0]} rows.")
        return kernel[0] if rank == 1 else kernel
    name, _, size = text.strip().partition(":")
    if name in SIZED:
        return SIZED[name](size, rank)
    fixed: Mapping[str, list[float]] | Mapping[str, list[list[float]]] = FIXED_1D if rank == 1 else FIXED_2D
    if name in fixed and not size:
        return np.array(fixed[name], dtype=np.float64)
    if name in fixed:
        raise InputError(f"--kernel: {name} has one size. Received '{text}'. Leave ':{size}' out.")
    near = difflib.get_close_matches(name, [*fixed, *SIZED], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    what = "a signal" if rank == 1 else "an image"
    raise InputError(
        f"--kernel: expected numbers such as '1, 0, -1', or for {what} one of {', '.join(kernel_names(rank))}. "
        f"Received '{text}'.{hint}"
    )


def parse_numbers(text: str) -> list[float] | None:
    """Numbers separated by commas or white space, fractions such as 1/9 among them; None if they are not."""
    words = [word for part in text.split(",") for word in part.split() or [""]]
    numbers = [_number(word) for word in words]
    found = [number for number in numbers if number is not None and abs(number) <= LARGEST]
    return found if found and len(found) == len(words) else None


def _number(word: str) -> float | None:
    above, slash, below = word.partition("/")
    try:
        number = float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and "_" not in word else None


def _written(text: str) -> Array:
    rows = [parse_numbers(row) for row in text.strip().rstrip(";").split(";")]
    for number, row in enumerate(rows, start=1):
        if row is None:
            raise InputError(
                f"--kernel: row {number} must consist of numbers of at most {LARGEST:g} in magnitude, separated by "
                f"commas or spaces. Received '{text.split(';')[number - 1].strip()[:50]}'."
            )
    known = [row for row in rows if row is not None]
    if len({len(row) for row in known}) > 1:
        raise InputError(
            f"--kernel: all rows must have the same number of values. Received {', '.join(str(len(r)) for r in known)}."
        )
    _check_size(max(len(known), len(known[0])))
    return np.array(known)


def _mean(size: str, rank: int) -> Array:
    if not re.fullmatch("[0-9]{1,9}", size) or int(size) < 1:
        raise InputError(f"--kernel: mean needs a size, such as mean:3. Received 'mean:{size}'.")
    _check_size(int(size))
    return np.full((int(size),) * rank, 1 / int(size) ** rank)


def _gaussian(size: str, rank: int) -> Array:
    sigma = _number(size)
    if sigma is None or not sigma > 0:
        raise InputError(
            f"--kernel: gaussian needs a standard deviation > 0, such as gaussian:1.5. Received 'gaussian:{size}'."
        )
    _check_size(2 * TRUNCATE * sigma + 1)
    radius = int(TRUNCATE * sigma + 0.5)
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    line /= line.sum()
    return line if rank == 1 else np.outer(line, line)


SIZED: Mapping[str, Callable[[str, int], Array]] = {"mean": _mean, "gaussian": _gaussian}


def _check_size(size: float) -> None:
    if size > MAX_SIZE:
        raise InputError(f"--kernel: a kernel may have at most {MAX_SIZE} values on a side. Received {size:.0f}.")
