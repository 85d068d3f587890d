"""Sequences of different lengths in one array."""

import numpy as np

from dlcli.data.sequences.ragged import Ragged


def test_ragged_sequences_are_selected_and_joined() -> None:
    sequences = [np.arange(3), np.arange(0), np.arange(5) + 10]
    joined = Ragged.join(sequences)
    assert [joined[i].tolist() for i in range(3)] == [[0, 1, 2], [], [10, 11, 12, 13, 14]]
    taken = joined.take(np.array([2, 0]))
    assert [taken[i].tolist() for i in range(2)] == [[10, 11, 12, 13, 14], [0, 1, 2]]
    assert len(taken) == 2
    assert not taken.columns()


def test_truncating_keeps_shorter_sequences() -> None:
    joined = Ragged.join([np.arange(4), np.arange(1), np.arange(2)])
    cut = joined.cut(2)
    assert [cut[i].tolist() for i in range(3)] == [[0, 1], [0], [0, 1]]
    assert joined.cut(4) is joined
