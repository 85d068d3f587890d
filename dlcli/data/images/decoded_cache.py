"""Decoded images in a file: each is decoded once, when it is first loaded, and read back afterwards; of an image that
is cut into tiles, only the rows of the tile.

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
from dlcli.data.images.tiles import Windows, cut
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
        self._is_stored = np.zeros(len(samples), bool)
        self._sizes = samples.sizes if samples.keeps_size else np.tile(samples.shape[:2], (len(samples), 1))
        self._starts = np.cumsum([0, *(self._sizes.prod(axis=1) * int(np.prod(samples.shape[2:])))])

    def load(self, index: Index, windows: Windows | None = None) -> NDArray[Any]:
        """The images at ``index`` ``[b]``, of one size: uint8 ``[b, height, width, channels]``, as from
        ``Samples.load``.

        Args:
            windows: of the tiles to load, ``[b, 6]``.
        """
        if windows is not None:
            return self._load_tiles(index, windows)
        missing = ~self._is_stored[index]
        result = np.empty((len(index), *self._sizes[index[0]], *self._samples.shape[2:]), np.uint8)
        if missing.any():
            result[missing] = self._samples.load(index[missing])
            self._keep(index[missing], result[missing])
        stored = np.flatnonzero(~missing)
        list(workers().map(lambda i: self._read(int(index[i]), result[i]), stored))
        return result

    def _read(self, position: int, image: NDArray[np.uint8]) -> None:
        view = memoryview(image.data).cast("B")
        if os.preadv(self._descriptor, [view], int(self._starts[position])) != image.nbytes:
            image[...] = self._samples.load(np.array([position]))[0]

    def _load_tiles(self, index: Index, windows: Windows) -> NDArray[np.uint8]:
        height, width, channels = self._samples.shape
        tile = (height, width)
        result = np.empty((len(index), height, width, channels), np.uint8)
        missing = [image for image in dict.fromkeys(index.tolist()) if not self._is_stored[image]]

        def decode(image: int) -> None:
            whole = self._samples.load_whole(image)
            for position in np.flatnonzero(index == image):
                top, left = windows[position, :2].tolist()
                result[position] = cut(whole, (top, left), tile, fill=0)
            self._keep(np.array([image]), whole[None])

        list(workers().map(decode, missing))
        stored = [i for i, image in enumerate(index.tolist()) if image not in set(missing)]
        list(workers().map(lambda i: self._read_tile(int(index[i]), windows[i], result[i]), stored))
        return result

    def _read_tile(self, image: int, window: NDArray[np.int64], tile: NDArray[np.uint8]) -> None:
        """Reads the rows of the image that a tile shows, and cuts it from them."""
        height, width, channels = tile.shape
        (rows, columns), (top, left) = self._sizes[image].tolist(), window[:2].tolist()
        band = np.empty((min(height, rows - top), columns, channels), np.uint8)
        start = int(self._starts[image]) + top * columns * channels
        if os.preadv(self._descriptor, [memoryview(band.data).cast("B")], start) == band.nbytes:
            tile[...] = cut(band, (0, left), (height, width), fill=0)
        else:
            tile[...] = cut(self._samples.load_whole(image), (top, left), (height, width), fill=0)

    def _keep(self, index: Index, images: NDArray[np.uint8]) -> None:
        if self._is_full:
            return
        try:
            for position, image in zip(index.tolist(), images, strict=True):
                start = int(self._starts[position])
                written = os.pwrite(self._descriptor, memoryview(image.data).cast("B"), start)
                self._is_stored[position] = written == image.nbytes
        except OSError as error:
            self._is_full = True
            self._is_stored[:] = False
            os.ftruncate(self._descriptor, 0)
            self._warn(f"decoded images cannot be cached ({error.strerror}): they are decoded in each epoch")
