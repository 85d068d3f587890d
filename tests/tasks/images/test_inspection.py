"""What ``dlcli data stats`` keeps in memory."""

from collections.abc import Sequence

import numpy as np
import pytest

from dlcli.data.images.samples import Samples
from dlcli.data.images.statistics import channel_statistics
from dlcli.runtime.console import Console
from dlcli.tasks.images.inspection import MAX_VALUES, NUM_LOADED, loaded_in_parts


def samples(*shape: int) -> Samples:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    names = tuple(map(str, range(len(pixels))))
    return Samples(names, np.zeros(len(pixels), np.int32), names, None, None, pixels=pixels)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [((300, 2, 2, 1), [NUM_LOADED, 44]), ((50, 224, 224, 3), [26, 24]), ((2, 1500, 1500, 3), [1, 1])],
)
def test_parts_are_bounded_by_their_values(shape: Sequence[int], sizes: list[int]) -> None:
    data = samples(*shape)
    parts = list(loaded_in_parts(data, Console(quiet=True)))
    assert [len(part) for part in parts] == sizes
    assert all(len(part) == 1 or part.size <= MAX_VALUES for part in parts)
    assert data.pixels is not None
    assert np.array_equal(np.concatenate(parts), data.pixels)
    found = channel_statistics(parts)
    np.testing.assert_allclose(found, channel_statistics([data.pixels]), rtol=1e-9)
