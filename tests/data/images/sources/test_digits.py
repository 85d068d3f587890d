"""The digits of scikit-learn: their splits, classes and pixels."""

from typing import Any

import numpy as np

from dlcli.data.images.sources.digits import read_digits

Common = dict[str, Any]


def test_digits(common: Common) -> None:
    dataset = read_digits(**{**common, "image_size": (28, 28)})
    assert dataset.classes == tuple("0123456789")
    assert dataset.shape == (28, 28, 1)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 1258,
        "validation": 180,
        "test": 359,
    }
    assert dataset.warnings == ()
    counts = np.stack([np.bincount(samples.labels) for samples in dataset.splits.values()])
    assert counts.sum(axis=0).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.ptp(counts[1]) <= 1  # 18 of each class, give or take one
    small = read_digits(**{**common, "test": 0.0, "validation": 0.0}).splits["train"]
    assert small.pixels is not None
    assert small.pixels.shape == (1797, 8, 8, 1)
    assert small.pixels.max() == 255
    assert sorted(set(small.pixels.ravel()))[:4] == [0, 16, 32, 48]  # 15.94, 31.88, 47.81
    assert small.names[17] == "digits/17"
