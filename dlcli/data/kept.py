"""What was read of each sample, kept in memory between epochs: compressed, because masks are mostly one value."""

import threading
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

LEVEL = 1  # of zlib's compression: the fastest


class Kept:
    """Arrays uint8 by the position of their sample; beyond ``max_bytes``, compressed, they are made again each time.

    It may be used by several threads.
    """

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[tuple[int, ...], bytes]] = {}

    def get(self, position: int, make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """The array of a sample, which must not be changed.

        Args:
            make: makes it, if it is not kept.
        """
        kept = self._kept.get(position)
        if kept is not None:
            shape, data = kept
            return np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)
        array = make()
        if self._left > 0:
            data = zlib.compress(array.tobytes(), LEVEL)
            with self._lock:
                if position not in self._kept and len(data) <= self._left:
                    self._left -= len(data)
                    self._kept[position] = array.shape, data
        return array

    @property
    def num_bytes(self) -> int:
        """Of what is kept."""
        return sum(len(data) for _, data in self._kept.values())
