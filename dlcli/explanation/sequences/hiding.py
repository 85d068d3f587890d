"""Whether the tokens that an explanation ranks first are those that a prediction depends on."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
SHARE = 0.2  # of the tokens that are hidden


def turned(
    predict: Callable[[Sequence[Ids]], NDArray[np.int32]],
    texts: Sequence[Ids],
    predicted: NDArray[np.int32],
    ranks: Sequence[NDArray[np.float64]],
    *,
    hidden: int,
    seed: int = 0,
) -> NDArray[np.bool_]:
    """Whether the prediction for each text turns when the top fifth of its tokens, at least one, are hidden, ``[n]``.

    Args:
        predict: token ids -> their classes.
        texts: the token ids.
        predicted: the class that is predicted for each text ``[n]``.
        ranks: values of the tokens: high ones come first, equal ones in random order.
        hidden: the id that takes their place.
    """
    changed = []
    for number, (ids, values) in enumerate(zip(texts, ranks, strict=True)):
        ties = np.random.default_rng([seed, number]).random(len(ids))
        first = np.lexsort((ties, -values))[: num_hidden(len(ids))]
        copy = ids.copy()
        copy[first] = hidden
        changed.append(copy)
    return np.asarray(predict(changed) != predicted)


def num_hidden(num_tokens: int) -> int:
    """A fifth of the tokens, rounded, but at least one."""
    return max(1, round(SHARE * num_tokens))
