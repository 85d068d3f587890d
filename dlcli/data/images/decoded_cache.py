"""Decoded images in a file: each is decoded once, when it is first loaded, and read back afterwards.

The file belongs to this process alone: it has no name, so that it disappears however the process ends, and no other
process can use it.
"""

import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import workers
from dlcli.data.images.samples import Samples
from dlcli.data.splits import Index


class DecodedFile:
    """The decoded images of one split.

    Args:
        folder: on the disk to use.
        warn: called if the disk is full. The file is then emptied, because a run must be able to write its checkpoints,
            and images are decoded again as if there were no file.
    """

    def __init__(self, samples: Samples, *, folder: Path, warn: Callable[[str], None]) -> None:
        with tempfile.TemporaryFile(dir=folder) as file:
            self._descriptor = os.dup(file.fileno())
        # closed only when nothing can load from it: a thread that prefetches must never see a reused descriptor
        weakref.finalize(self, os.close, self._descriptor).atexit = False
        self._samples = samples
        self._warn = warn
        self._is_full = False
        self._num_bytes = int(np.prod(samples.shape))
        self._is_stored = np.zeros(len(samples), bool)

    def load(self, index: Index) -> NDArray[Any]:
        """The images at ``index`` ``[b]``: uint8 ``[b, height, width, channels]``, as from ``Samples.load``."""
        missing = ~self._is_stored[index]
        result = np.empty((len(index), *self._samples.shape), np.uint8)
        if missing.any():
            result[missing] = self._samples.load(index[missing])
            self._keep(index[missing], result[missing])
        stored = np.flatnonzero(~missing)
        list(workers().map(lambda i: self._read(int(index[i]), result[i]), stored))
        return result

    def _read(self, position: int, image: NDArray[np.uint8]) -> None:
        view = memoryview(image.data).cast("B")
        if os.preadv(self._descriptor, [view], position * self._num_bytes) != self._num_bytes:
            image[...] = self._samples.load(np.array([position]))[0]

    def _keep(self, index: Index, images: NDArray[np.uint8]) -> None:
        if self._is_full:
            return
        try:
            for position, image in zip(index.tolist(), images, strict=True):
                written = os.pwrite(self._descriptor, memoryview(image.data).cast("B"), position * self._num_bytes)
                self._is_stored[position] = written == self._num_bytes
        except OSError as error:
            self._is_full = True
            self._is_stored[:] = False
            os.ftruncate(self._descriptor, 0)
            self._warn(f"decoded images cannot be cached ({error.strerror}): they are decoded in each epoch")
