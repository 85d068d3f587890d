"""Loading what the samples of a batch are composed of, where that is several samples each."""

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
