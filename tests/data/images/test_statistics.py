"""Statistics of the channels take little memory; tests of the layers that use them are in models/images."""

import tracemalloc

import numpy as np

from dlcli.data.images.statistics import channel_statistics


def test_memory_is_that_of_one_copy_in_float64() -> None:
    batch = np.random.default_rng(0).integers(0, 256, (20, 100, 100, 3), np.uint8)
    tracemalloc.start()
    try:
        mean, std = channel_statistics([batch])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.1 * 8 * batch.size
    values = batch.reshape(-1, 3).astype(np.float64)
    assert np.array_equal(mean, values.mean(axis=0))
    assert np.array_equal(std, np.sqrt(np.square(values - values.mean(axis=0)).sum(axis=0) / len(values)))


def test_samples_in_float64_are_not_changed() -> None:
    batch = np.random.default_rng(0).normal(size=(4, 5, 2))
    before = batch.copy()
    channel_statistics([batch])
    assert np.array_equal(batch, before)
