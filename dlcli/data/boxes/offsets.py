"""Any number of items for each sample, stored flat: one sample's after another, with the offsets of each sample."""

import numpy as np

from dlcli.data.splits import Index


def spans(offsets: Index, index: Index) -> tuple[Index, Index]:
    """Where the items of some samples are in a flat array, and the offsets of these samples among them.

    Args:
        offsets: of all samples, int64 ``[n + 1]``.
        index: the samples' positions, of which some may be repeated.
    """
    counts = np.diff(offsets)[index]
    taken = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return np.repeat(offsets[:-1][index] - taken[:-1], counts) + np.arange(taken[-1]), taken


def offsets_of(owners: Index, num: int) -> Index:
    """The offsets of ``num`` samples, from the sample of each item in ascending order."""
    return np.searchsorted(owners, np.arange(num + 1)).astype(np.int64)
