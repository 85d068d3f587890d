"""Occlusion: how far the score falls when a window of the image is replaced (Zeiler and Fergus 2014, section 4.2)."""

import numpy as np
from numpy.typing import NDArray

from dlcli.explanation.method import Baseline, Explanation, Method, Targets, batches, num_at_once
from dlcli.explanation.network import Network, traced

SMALL = 64  # pixels of the shorter side


def default_window(height: int, width: int) -> tuple[int, int]:
    """Side and step of the window: a quarter of the shorter side of small images, a fifth of large ones; half of it."""
    side = min(height, width)
    window = max(1, round(side / (4 if side <= SMALL else 5)))
    return window, max(1, window // 2)


def places(side: int, window: int, step: int) -> list[int]:
    """The first pixels of windows along a side; the last window ends with the side, so that all pixels are covered."""
    return sorted({*range(0, side - window + 1, step), side - window})


def occlusion(network: Network, *, baseline: Baseline, window: int | None = None, step: int | None = None) -> Method:
    """The score of the image minus that of the image with a window replaced, averaged over the windows at a pixel.

    Args:
        baseline: what replaces the window.
        window: side of the square window. Default: see :func:`default_window`.
        step: pixels between windows. Default: half a window.
    """
    height, width, _ = network.shape
    side, default_step = default_window(height, width)
    side = min(window or side, height, width)
    stride = step or (default_step if window is None else max(1, side // 2))
    corners = [(top, left) for top in places(height, side, stride) for left in places(width, side, stride)]
    scores = traced(network, lambda pixels, targets: network.scores(pixels, targets)[0])

    def explain(images: NDArray[np.float32], targets: Targets) -> Explanation:
        sums, counts = np.zeros(images.shape[:3]), np.zeros((height, width))
        fill = baseline(images)
        whole = scores(images, targets).numpy().astype(np.float64)
        for top, left in corners:
            counts[top : top + side, left : left + side] += 1
        pairs = [(row, top, left) for row in range(len(images)) for top, left in corners]
        for part in batches(len(pairs), num_at_once(network)):
            rows = np.array([row for row, _, _ in pairs[part]])
            pixels = images[rows]
            for position, (row, top, left) in enumerate(pairs[part]):
                place = (slice(top, top + side), slice(left, left + side))
                pixels[position][place] = fill[row][place]
            falls = whole[rows] - scores(pixels, targets[rows]).numpy()
            for (row, top, left), fall in zip(pairs[part], falls, strict=True):
                sums[row, top : top + side, left : left + side] += fall
        return Explanation((sums / counts).astype(np.float32))

    return explain
