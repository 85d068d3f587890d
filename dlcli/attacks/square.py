"""The Square attack: random search without gradients (Andriushchenko et al. 2020, algorithms 1 and 2, for linf)."""

import numpy as np
from numpy.typing import NDArray

from dlcli.attacks.gradient import Attack, Bounds, Logits, Loss, Tensor, compiled

SIGNS = np.array([-1, 1], np.float32)
STARTS_AT = 0.8  # initial p of the paper: proportion of the pixels that a square covers
HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries, of 10,000, after which p is halved


def proportion(query: int, num_queries: int) -> float:
    """The proportion of the image that a square covers, which shrinks with the queries (section 4.2)."""
    scaled = int(query / num_queries * 10_000)
    return float(STARTS_AT / 2 ** sum(scaled > bound for bound in HALVED_AT))


def square(logits: Logits, *, loss: Loss, bounds: Bounds, queries: int, seed: int) -> Attack:
    """The Square attack: from vertical stripes on, sets random squares to -eps or eps, and keeps what raises the loss.

    Args:
        loss: above 0 if the attack has succeeded, such as the margin; the sample is then not changed any more.
        queries: maximum number of queries of the network per sample.
        seed: seed of the random search, which depends only on it and on the sample's index.
    """

    def values(x: Tensor, label: Tensor) -> Tensor:
        return loss(logits(x), label)

    score = compiled(values)
    low, high = bounds

    def attack(
        x: NDArray[np.float32], label: NDArray[np.int32], eps: float, index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        height, width, channels = x.shape[1:]
        generators = [np.random.Generator(np.random.PCG64([seed, number])) for number in index.tolist()]
        stripes = np.stack([g.choice(SIGNS, (1, width, channels)) for g in generators])
        best: NDArray[np.float32] = np.clip(x + np.float32(eps) * stripes, low, high)
        highest = score(best, label).numpy()
        for query in range(1, queries):
            left = np.flatnonzero(highest <= 0)
            if not len(left):
                break
            side = max(1, min(round(np.sqrt(proportion(query, queries) * height * width)), height - 1, width - 1))
            tried = best[left].copy()
            for position, sample in enumerate(left):
                generator = generators[sample]
                top, start = generator.integers(0, height - side + 1), generator.integers(0, width - side + 1)
                window = np.s_[top : top + side, start : start + side]
                signs = generator.choice(SIGNS, channels)
                tried[position][window] = np.clip(x[sample][window] + np.float32(eps) * signs, low, high)
            losses = score(tried, label[left]).numpy()
            is_better = losses > highest[left]
            best[left[is_better]], highest[left[is_better]] = tried[is_better], losses[is_better]
        return best

    return attack
