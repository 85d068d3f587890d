"""Standardization of series against NumPy: missing values are 0, and a sequence ends with its last value."""

import keras
import numpy as np

from dlcli.models.sequences import series_input

NAN = np.nan
MEAN, VARIANCE = np.array([1.0, -2.0]), np.array([4.0, 0.25])
VALUES = np.array(
    [
        [[3.0, -2.0], [NAN, -1.0], [1.0, NAN], [NAN, NAN]],
        [[1.0, 0.0], [NAN, NAN], [5.0, -3.0], [3.0, -2.0]],
        [[NAN, NAN], [NAN, NAN], [NAN, NAN], [NAN, NAN]],
    ],
    np.float32,
)


def run() -> tuple[np.ndarray, np.ndarray]:
    inputs = keras.Input((None, 2))
    outputs = series_input.standardized(inputs, mean=MEAN, variance=VARIANCE)
    x, mask = keras.Model(inputs, outputs)(VALUES)
    return np.asarray(x), np.asarray(mask)


def test_values_are_standardized_and_missing_ones_are_0() -> None:
    expected = np.nan_to_num((VALUES - MEAN) / np.sqrt(VARIANCE), nan=0.0)
    np.testing.assert_allclose(run()[0], expected, rtol=1e-6, atol=1e-6)


def test_a_sequence_ends_with_its_last_value_and_has_one_step_at_least() -> None:
    assert run()[1].tolist() == [[True, True, True, False], [True, True, True, True], [True, False, False, False]]
