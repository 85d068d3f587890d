"""Items of samples in a flat array."""

import numpy as np

from dlcli.data.boxes.offsets import offsets_of, spans


def test_spans_and_offsets() -> None:
    positions, offsets = spans(np.array([0, 2, 2, 5]), np.array([2, 1, 0, 2]))
    assert positions.tolist() == [2, 3, 4, 0, 1, 2, 3, 4]
    assert offsets.tolist() == [0, 3, 3, 5, 8]
    assert offsets_of(np.array([0, 0, 2, 2, 2]), 4).tolist() == [0, 2, 2, 5, 5]
