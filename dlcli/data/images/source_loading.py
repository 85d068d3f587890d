"""Loading a part of what a loader is asked for: each source of composed samples once, or a share of a batch."""

from collections.abc import Callable

import numpy as np

Load = Callable[..., np.ndarray]


def of_sources(load: Load, rank: int) -> Load:
    """Loads the several sources of each sample of a batch, an index of this rank; each source once."""

    def load_sources(*rows: np.ndarray) -> np.ndarray:
        flat = [values.reshape(-1, *values.shape[rank:]) for values in rows]
        table = np.concatenate([values.reshape(len(values), -1) for values in flat], axis=1)
        _, first, back = np.unique(table, axis=0, return_index=True, return_inverse=True)
        loaded = load(*(values[first] for values in flat))
        return loaded[back.reshape(rows[0].shape)]

    return load_sources


def of_share(load: Load, share: Callable[[int], slice]) -> Load:
    """Loads a share of the samples of a batch; the others are zeros."""

    def load_share(*rows: np.ndarray) -> np.ndarray:
        own = share(len(rows[0]))
        loaded = load(*(values[own] for values in rows))
        whole = np.zeros((len(rows[0]), *loaded.shape[1:]), loaded.dtype)
        whole[own] = loaded
        return whole

    return load_share
