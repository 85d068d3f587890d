"""The naive explanation of a series: how much larger errors get when a part of it is taken from other series.

Breiman 2001, section 10, for columns; and for blocks of steps.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float32]
Part = Callable[[NDArray[Any]], NDArray[np.bool_]]
"""A series ``[steps, columns]`` -> which of its values belong to the part."""


def column_parts(names: Sequence[str]) -> dict[str, Part]:
    """A part for each column."""

    def part(number: int) -> Part:
        return lambda values: np.broadcast_to(np.arange(values.shape[1]) == number, values.shape)

    return {name: part(number) for number, name in enumerate(names)}


def block_parts(number: int) -> list[Part]:
    """Blocks of steps, of equal size where the length allows it, from the first to the last."""

    def part(block: int) -> Part:
        def belongs(values: NDArray[Any]) -> NDArray[np.bool_]:
            of_step = np.arange(len(values)) * number // max(1, len(values))
            return np.broadcast_to((of_step == block)[:, None], values.shape)

        return belongs

    return [part(block) for block in range(number)]


def permutation_importance(
    errors: Callable[[Sequence[Series]], NDArray[np.float64]],
    series: Sequence[Series],
    parts: Mapping[str, Part],
    *,
    repeats: int,
    seed: int = 0,
    progress: Callable[[int, int], None],
) -> dict[str, NDArray[np.float64]]:
    """How much larger the error of each series gets when a part has the values of a random other one, ``[n]``.

    Args:
        errors: series ``[steps, columns]`` -> the error of each ``[n]``.
        series: of any lengths; steps that the other one lacks become missing.
        parts: by name.
        repeats: permutations, whose mean is taken.
        progress: called with the number of permutations that are done, and of all.
    """
    own = errors(series)
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(len(series)) for _ in range(repeats)]
    found, done = {}, 0
    for name, part in parts.items():
        total = np.zeros(len(series))
        for order in orders:
            total += errors([_mixed(values, series[int(i)], part) for values, i in zip(series, order, strict=True)])
            done += 1
            progress(done, len(parts) * repeats)
        found[name] = total / repeats - own
    return found


def _mixed(own: Series, other: Series, part: Part) -> Series:
    """A series with the values of another one in a part of it."""
    fitted = np.full_like(own, np.nan)
    fitted[: len(other)] = other[: len(own)]
    return np.where(part(own), fitted, own)
