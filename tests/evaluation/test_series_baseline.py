"""The baseline of sequences: its convolutions by hand, what it separates, and that padding does not matter."""

import numpy as np
import pytest

from dlcli.evaluation import series_baseline
from dlcli.evaluation.series_baseline import KERNELS, fit_features, predict_classes, predict_numbers

NAN = float("nan")


def waves(num: int, seed: int, *, num_channels: int = 1) -> tuple[list[np.ndarray], np.ndarray]:
    """Noisy sines of random phase and length in the last channel; the class is the period."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % 2
    sequences = []
    for label in labels:
        values = rng.normal(0, 0.3, (rng.integers(40, 60), num_channels))
        values[:, -1] += np.sin(2 * np.pi * (np.arange(len(values)) / (7, 9)[label] + rng.random()))
        sequences.append(values.astype(np.float32))
    return sequences, labels


@pytest.mark.parametrize("dilation", [1, 3])
def test_outputs_are_convolutions_with_three_twos_and_six_minus_ones(dilation: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 30, 3))
    channels = [rng.permutation(3)[: 1 + number % 3] for number in range(len(KERNELS))]
    outputs = list(series_baseline._outputs(values, dilation, channels))
    assert len(outputs) == 84
    for number in (0, 17, 83):
        weights = np.full(9, -1.0)
        weights[list(KERNELS[number])] = 2.0
        summed = np.pad(values[..., channels[number]].sum(axis=-1), ((0, 0), (4 * dilation, 4 * dilation)))
        for step in range(30):
            expected = summed[:, step : step + 8 * dilation + 1 : dilation] @ weights
            np.testing.assert_allclose(outputs[number][:, step], expected, atol=1e-12)


@pytest.mark.parametrize("num_channels", [1, 3])
def test_periods_are_distinguished(num_channels: int) -> None:
    train, labels = waves(60, 0, num_channels=num_channels)
    others, expected = waves(40, 1, num_channels=num_channels)
    predicted = predict_classes(train, labels, others)
    assert np.mean(predicted == expected) > 0.95
    np.testing.assert_array_equal(predict_classes(train, labels, others), predicted)


def test_numbers_are_predicted_from_the_shape() -> None:
    rng = np.random.default_rng(2)
    periods = rng.uniform(6, 12, 120)
    sequences = [np.sin(2 * np.pi * (np.arange(50) / period + rng.random()))[:, None] for period in periods]
    predicted = predict_numbers(sequences[:80], periods[:80], sequences[80:])
    assert np.mean((predicted - periods[80:]) ** 2) < 0.1 * periods.var()


def test_a_sequence_has_the_same_features_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences, _ = waves(12, 3)
    sequences[5] = sequences[5][:1]
    sequences[7][3:6] = NAN
    features = fit_features(sequences)
    together = features.transform(sequences)
    assert np.isfinite(together).all()
    assert ((together[:, 1:] >= 0) & (together[:, 1:] <= 1)).all()
    monkeypatch.setattr(series_baseline, "CHUNK", 100)  # two sequences at once
    np.testing.assert_array_equal(features.transform(sequences), together)
    for number in (0, 5, 7):
        np.testing.assert_allclose(features.transform([sequences[number]])[0], together[number], atol=1e-6)


def test_constant_and_empty_channels_are_used_without_warnings() -> None:
    sequences = [np.array([[1.0, NAN, step % 5] for step in range(20 + number)]) for number in range(4)]
    assert predict_classes(sequences, np.array([0, 1, 0, 1]), sequences).shape == (4,)
