"""Batches of images that are not resized: each holds images of one size.

Networks that end in global pooling take images of any size, but a batch is one array.
"""

import numpy as np

from dlcli.data.images.tiles import Sizes
from dlcli.data.splits import Index


class BatchesOfSizes:
    """Divides the images of a split into batches of one size; their number depends on the sizes alone.

    Args:
        sizes: height and width of each image, ``[n, 2]``.
        batch_size: the largest number of images in a batch.

    Attributes:
        number: of batches.
    """

    def __init__(self, sizes: Sizes, batch_size: int) -> None:
        self.sizes = sizes
        self._batch_size = batch_size
        _, self._kinds = np.unique(sizes, axis=0, return_inverse=True)
        self.number = int((-(-np.bincount(self._kinds) // batch_size)).sum())

    def draw(self, seed: int | None, epoch: int) -> list[Index]:
        """The index of the images of each batch, a function of (seed, epoch): the images of a size are divided in a
        random order, and the batches of all sizes are put into another.

        Args:
            seed: None for the images in their own order, size by size: by height, then by width.
        """
        generator = None if seed is None else np.random.Generator(np.random.PCG64([seed, epoch]))
        number = len(self.sizes)
        order = np.arange(number) if generator is None else generator.permutation(number)
        of_sizes = order[np.argsort(self._kinds[order], kind="stable")].astype(np.int64)
        ends = np.cumsum(np.bincount(self._kinds))[:-1]
        batches = [
            part[start : start + self._batch_size]
            for part in np.split(of_sizes, ends)
            for start in range(0, len(part), self._batch_size)
        ]
        return batches if generator is None else [batches[i] for i in generator.permutation(len(batches))]


def describe_sizes(sizes: Sizes) -> str:
    """In words: ``40x30``, or ``12 sizes from 32x24 to 120x90`` (height x width, by area)."""
    found = sorted(set(map(tuple, sizes.tolist())), key=lambda size: (size[0] * size[1], size))
    smallest, largest = ("x".join(map(str, size)) for size in (found[0], found[-1]))
    return smallest if len(found) == 1 else f"{len(found):,} sizes from {smallest} to {largest}"


def costliest_size(sizes: Sizes, batch_size: int) -> tuple[tuple[int, int], int]:
    """The size of which a batch has the most pixels, and the number of images in that batch."""
    found, counts = np.unique(sizes, axis=0, return_counts=True)
    numbers = np.minimum(counts, batch_size)
    position = int(np.argmax(found.prod(axis=1) * numbers))
    height, width = found[position].tolist()
    return (height, width), int(numbers[position])
