"""Beam search against an exhaustive search."""

import itertools
from typing import Any

import numpy as np
import pytest

from dlcli.tasks.sequence_to_sequence.decoding import beam_search


def test_an_exhaustive_beam_finds_the_best_sequence() -> None:
    """With a table of transition probabilities, every sequence can be tried."""
    rng = np.random.default_rng(0)
    num_tokens, max_length, begin = 4, 4, 4
    for _ in range(20):
        table = np.log(rng.dirichlet(np.ones(num_tokens) * 0.5, size=num_tokens + 1))

        def follow(tokens: np.ndarray, parents: Any, table: np.ndarray = table) -> tuple[np.ndarray, None]:
            return table[tokens], None

        found = beam_search(follow, np.array([1]), beam=200, start=begin, max_length=max_length)[0]
        scores: dict[tuple[int, ...], float] = {}
        for length in range(max_length + 1):
            for said in itertools.product(range(1, num_tokens), repeat=length):
                whole = (*said, 0) if length < max_length else said
                parts = [table[a][b] for a, b in itertools.pairwise((begin, *whole))]
                scores[said] = sum(parts) / len(parts)
        best = max(scores, key=scores.__getitem__)
        assert found.ids == best
        length = len(best) + (len(best) < max_length)
        assert found.log_probability / length == pytest.approx(scores[best])
