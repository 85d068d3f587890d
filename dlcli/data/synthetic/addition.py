"""Sums of two numbers as text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import numpy as np

from dlcli.data.listing import SplitKeys
from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.text.labeled import TextRow
from dlcli.data.text.pairs import assemble_pairs


def make_addition(
    *, digits: int, num_samples: int, seed: int, exclude: Sequence[str] = (), **common: Unpack[SplitKeys]
) -> SequenceDataset:
    """Pairs of a sum of two numbers and its result as text, "52+7" and "59". Each sum occurs once, in one order.

    Args:
        digits: the largest number of digits of a summand; the number is drawn first, so that short ones are not rare.
        num_samples: at most the number of distinct sums.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    found: dict[tuple[int, int], str] = {}
    while len(found) < num_samples:
        most = 10 ** generator.integers(1, digits + 1, (num_samples, 2))
        for a, b in generator.integers(0, most).tolist():
            if len(found) < num_samples:
                found.setdefault((min(a, b), max(a, b)), f"{a}+{b}")
    rows = [TextRow(0, f"sums/{text}", text, str(sum(pair)), "train") for pair, text in found.items()]
    return assemble_pairs(Path("addition"), rows, has_groups=False, exclude=exclude, common=common)
