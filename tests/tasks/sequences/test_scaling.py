"""The variances by which features are divided."""

from pathlib import Path

import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.recipe.load import load_text
from dlcli.tasks.sequences.scaling import SMALLEST_DEVIATION, usable_variance

LOADED = load_text(b"task: sequence_regression\ndata: {kind: adding}\nmodel: {kind: recurrent}\n", Path("a.yaml"))


def variance_of(steps: np.ndarray) -> np.ndarray:
    return usable_variance(LOADED, ["speed", "depth"], steps, np.nanvar(steps, axis=0, dtype=np.float64))


def test_constant_features_are_divided_by_one_and_missing_values_ignored() -> None:
    steps = np.array([[1.0, 0.1], [np.nan, 0.1], [3.0, np.nan], [5.0, 0.1]], np.float32)
    assert variance_of(steps) == pytest.approx([8 / 3, 1.0])  # of 1, 3 and 5


def test_a_feature_that_varies_too_little_is_named() -> None:
    wide = np.array([1.0, 2.0, 1.0, 2.0])
    tiny = np.array([0.0, 1.0, 0.0, 1.0]) * 2 * SMALLEST_DEVIATION
    assert variance_of(np.stack([wide, 1.01 * tiny], axis=1).astype(np.float32))[1] > SMALLEST_DEVIATION**2
    with pytest.raises(InputError) as caught:
        variance_of(np.stack([wide, 0.5 * tiny], axis=1).astype(np.float32))
    assert "a.yaml:2:7: data: depth varies too little" in str(caught.value)
    assert "must be at least 1e-06. Received 5e-07; multiply its values by a constant" in str(caught.value)
