"""The time that a model takes for a batch."""

import statistics
import time
from collections.abc import Sequence

import numpy as np

from dlcli.exporting.comparison import Arrays
from dlcli.exporting.exportable import Runtime, num_samples

NUM_CALLS = 100
MAX_SECONDS = 10.0  # for the calls of one batch size
NUM_FIRST = 3  # calls that are not measured, while a runtime chooses its kernels


def repeated(batch: Arrays, size: int) -> Arrays:
    """A batch of a size, of the samples of another one, repeated as often as needed."""
    rows = np.arange(size) % num_samples(batch)
    return {name: values[rows] for name, values in batch.items()}


def median_milliseconds(runtime: Runtime, inputs: Arrays) -> tuple[float, int]:
    """The median time of a call in milliseconds, from arrays to arrays, and the number of calls that were measured:
    `NUM_CALLS`, or as many as `MAX_SECONDS` allow."""
    for _ in range(NUM_FIRST):
        runtime(inputs)
    seconds: list[float] = []
    while len(seconds) < NUM_CALLS and sum(seconds) < MAX_SECONDS:
        start = time.perf_counter()
        runtime(inputs)
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds), len(seconds)


def latencies(runtime: Runtime, batches: Sequence[Arrays], sizes: Sequence[int]) -> dict[str, float]:
    """The median milliseconds by batch size, of samples of the first batch's shape."""
    return {str(size): round(median_milliseconds(runtime, repeated(batches[0], size))[0], 3) for size in sizes}
