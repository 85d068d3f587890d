"""Drawing the samples of an epoch so that all classes are equally frequent."""

import zlib

import numpy as np

from dlcli.data.splits import Index, Labels


def draw_balanced(labels: Labels, *, seed: int, epoch: int) -> Index:
    """Positions of as many samples as there are, in random order, drawn from (seed, epoch): int64 [n].

    Each class that has samples is drawn equally often, but for a rest of less than one draw for each class, and which
    classes have it differs in each epoch. The samples of a class are drawn with replacement.
    """
    generator = np.random.Generator(np.random.PCG64([seed, epoch, zlib.crc32(b"balanced")]))
    by_class = np.argsort(labels, kind="stable").astype(np.int64)
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    drawn = np.resize(generator.permutation(np.flatnonzero(counts)), len(labels))  # the class of each draw
    members = generator.integers(0, counts[drawn])
    order: Index = generator.permutation(by_class[starts[drawn] + members])
    return order
