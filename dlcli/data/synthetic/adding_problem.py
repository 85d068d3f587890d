"""The adding problem (Hochreiter and Schmidhuber 1997, experiment 4)."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from dlcli.data.listing import SplitKeys
from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.series.sequence import Series, assemble_series
from dlcli.errors import InputError
from dlcli.files import half_of_memory

BYTES_A_STEP = 64  # of memory, while the problem is generated


def make_adding(
    *, length: int, num_samples: int, seed: int, exclude: Sequence[str] = (), **common: Unpack[SplitKeys]
) -> SequenceDataset:
    """The adding problem (Hochreiter and Schmidhuber 1997, section 5.4, in the form of Le et al. 2015, section 4.1).

    Each step has a number drawn uniformly from [0, 1] and a mark, which is 1 at two steps, one in each half of the
    sequence, and 0 elsewhere; the target is the sum of the two marked numbers. Always predicting 1 has a mean squared
    error of 1/6.

    Raises:
        InputError: the sequences do not fit into half of the machine's memory.
    """
    if length * num_samples * BYTES_A_STEP > half_of_memory():
        raise InputError(
            f"adding: {num_samples:,} sequences of {length:,} steps need more than half of this machine's "
            "memory. Lower data.num_samples or data.length."
        )
    generator = np.random.Generator(np.random.PCG64([seed, length]))
    values = generator.random((num_samples, length)).astype(np.float32)
    first = generator.integers(0, length // 2, num_samples)
    second = generator.integers(length // 2, length, num_samples)
    rows = np.arange(num_samples)
    marks = np.zeros_like(values)
    marks[rows, first] = marks[rows, second] = 1.0
    sums = values[rows, first].astype(np.float64) + values[rows, second]
    samples = [
        Series(f"adding/{i}", "train", repr(float(sums[i])), np.stack([values[i], marks[i]], axis=1))
        for i in range(num_samples)
    ]
    return assemble_series("adding", samples, goal="value", exclude=exclude, common=common)
