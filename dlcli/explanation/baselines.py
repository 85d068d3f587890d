"""Images without content, which replace what an explanation takes away."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dlcli.explanation.method import Baseline

BLUR = 0.1
"""Standard deviation of the blur as a share of the shorter side."""


def black(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pixels of value 0."""
    return np.zeros_like(images)


def mean(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean color of each image."""
    return np.broadcast_to(images.mean(axis=(1, 2), keepdims=True, dtype=np.float64), images.shape).astype(np.float32)


def blur(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each image after a Gaussian blur."""
    sigma = BLUR * min(images.shape[1:3])
    blurred: NDArray[np.float32] = ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")
    return blurred


BASELINES: dict[str, Baseline] = {"black": black, "mean": mean, "blur": blur}
