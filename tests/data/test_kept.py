"""Arrays that are kept between epochs: made once, the same, and no more bytes than allowed."""

import numpy as np

from dlcli.data.kept import Kept


def test_an_array_is_made_once_and_read_back_the_same() -> None:
    kept, made = Kept(1000), []
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)

    def make() -> np.ndarray:
        made.append(1)
        return mask

    for _ in range(3):
        np.testing.assert_array_equal(kept.get(5, make), mask)
    assert len(made) == 1
    assert 0 < kept.num_bytes <= 1000


def test_beyond_the_limit_arrays_are_made_again() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 300), np.uint8)  # which cannot be compressed
    kept, made = Kept(1000), []

    def make(i: int) -> np.ndarray:
        made.append(i)
        return noise[i]

    for _ in range(2):
        for i in range(20):
            np.testing.assert_array_equal(kept.get(i, lambda i=i: make(i)), noise[i])
    assert kept.num_bytes <= 1000
    assert 20 < len(made) < 40
