"""What the methods of attribution share: their form, and the number of images that a network is given at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.explanation.network import Network

POSITIONS_AT_ONCE = 2**18  # about 10 images of 160x160: faster than more of them, whose maps leave the caches
MOST_AT_ONCE = 256


@dataclass(frozen=True)
class Explanation:
    """Maps of the evidence for what is explained of images, such as a class.

    Attributes:
        maps: float32 ``[b, height, width]``, signed: positive where the image speaks for it.
        facts: values for each image ``[b]`` by their names, such as the ``completeness_error``.
    """

    maps: NDArray[np.float32]
    facts: Mapping[str, NDArray[Any]] = field(default_factory=dict)


Targets = NDArray[Any]
"""What is explained of each image, ``[b, ...]``: of a classifier the number of a class; see `Network.targets`."""

Method = Callable[[NDArray[np.float32], Targets], Explanation]
"""(pixels ``[b, height, width, channels]`` in [0, 255], targets ``[b, ...]``) -> their explanation, which does not
depend on the other images of the batch."""

Baseline = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Images ``[b, height, width, channels]`` -> images of the same shape without their content."""


def in_parts(method: Method, size: int = 16) -> Method:
    """The same method for any number of images, of which it is given a few at a time; no facts."""

    def explain(images: NDArray[np.float32], targets: Targets) -> Explanation:
        maps = [method(images[part], targets[part]).maps for part in batches(len(images), size)]
        return Explanation(np.concatenate([np.empty((0, *images.shape[1:3]), np.float32), *maps]))

    return explain


def num_at_once(network: Network) -> int:
    """How many images a network is given at once: fewer of large ones, so that memory is bounded."""
    height, width, _ = network.shape
    return max(1, min(MOST_AT_ONCE, POSITIONS_AT_ONCE // (height * width)))


def batches(number: int, size: int) -> list[slice]:
    """Slices of at most ``size`` that cover ``number`` positions."""
    return [slice(start, min(start + size, number)) for start in range(0, number, size)]
