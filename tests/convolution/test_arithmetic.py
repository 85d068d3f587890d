"""Convolutions equal SciPy's and NumPy's; padding and sizes equal Keras's."""

import itertools

import numpy as np
import pytest
from scipy import ndimage, signal

from dlcli.convolution.arithmetic import BORDERS, convolve, max_pool, output_length, pad_widths, shifted

GENERATOR = np.random.default_rng(3)
SIGNAL = GENERATOR.integers(-9, 10, 17).astype(float)
IMAGE = GENERATOR.integers(0, 256, (11, 14, 3)).astype(float)
KERNELS_1D = [GENERATOR.integers(-4, 5, size).astype(float) for size in (1, 2, 3, 5)]
KERNELS_2D = [GENERATOR.integers(-4, 5, size).astype(float) for size in ((1, 1), (2, 3), (3, 3), (5, 4))]


@pytest.mark.parametrize("kernel", KERNELS_1D, ids=len)
def test_signals_equal_numpy_exactly(kernel: np.ndarray) -> None:
    for padding in ("valid", "full"):
        np.testing.assert_array_equal(
            convolve(SIGNAL, kernel, padding=padding), np.convolve(SIGNAL, kernel, mode=padding)
        )
        np.testing.assert_array_equal(
            convolve(SIGNAL, kernel, padding=padding, flip=False), np.correlate(SIGNAL, kernel, mode=padding)
        )
    if len(kernel) % 2:
        np.testing.assert_array_equal(convolve(SIGNAL, kernel, padding="same"), np.convolve(SIGNAL, kernel, "same"))


@pytest.mark.parametrize("kernel", KERNELS_2D, ids=lambda kernel: str(kernel.shape))
def test_images_equal_scipy_exactly(kernel: np.ndarray) -> None:
    for padding in ("valid", "full"):
        ours = convolve(IMAGE, kernel, padding=padding)
        correlated = convolve(IMAGE, kernel, padding=padding, flip=False)
        for channel in range(3):
            other = signal.convolve2d(IMAGE[..., channel], kernel, mode=padding)
            np.testing.assert_array_equal(ours[..., channel], other)
            other = signal.correlate2d(IMAGE[..., channel], kernel, mode=padding)
            np.testing.assert_array_equal(correlated[..., channel], other)
        np.testing.assert_array_equal(convolve(IMAGE, kernel, padding=padding, stride=3), ours[::3, ::3])


@pytest.mark.parametrize("border", BORDERS)
def test_borders_equal_scipy(border: str) -> None:
    mode = {"zeros": "constant"}.get(border, border)
    ours = convolve(IMAGE[..., :1], KERNELS_2D[2], padding="same", border=border)[..., 0]
    np.testing.assert_array_equal(ours, ndimage.convolve(IMAGE[..., 0], KERNELS_2D[2], mode=mode))
    ours = convolve(SIGNAL, KERNELS_1D[3], padding="same", border=border)
    np.testing.assert_array_equal(ours, ndimage.convolve1d(SIGNAL, KERNELS_1D[3], mode=mode))


def test_lengths() -> None:
    for length, size, stride in itertools.product((5, 6, 28), (1, 2, 3, 5), (1, 2, 3)):
        same = pad_widths(length, size, stride, "same")
        assert output_length(length, size, stride, same) == -(-length // stride)
        assert 0 <= same[1] - same[0] <= 1
        assert output_length(length, size, 1, pad_widths(length, size, 1, "full")) == length + size - 1
    with pytest.raises(ValueError, match="larger than the input"):
        convolve(SIGNAL[:2], KERNELS_1D[2])


@pytest.mark.slow
def test_layers_of_keras_compute_the_cross_correlation() -> None:
    import keras

    for kernel, stride, padding in itertools.product(KERNELS_2D, (1, 2, 3), ("valid", "same")):
        ours = convolve(IMAGE[..., :1], kernel, stride=stride, padding=padding, flip=False)
        layer = keras.ops.conv(IMAGE[None, ..., :1], kernel[..., None, None], strides=stride, padding=padding)
        np.testing.assert_array_equal(ours, np.asarray(layer)[0])
    for size, stride in itertools.product((1, 2, 3), (1, 2, 3)):
        pooled = keras.ops.max_pool(IMAGE[None], size, strides=stride, padding="valid")
        np.testing.assert_array_equal(max_pool(IMAGE, size, stride, rank=2), np.asarray(pooled)[0])


def test_pooling_of_a_signal() -> None:
    values = np.array([0.1, 1, 0.2, 0.1, 0.3])
    np.testing.assert_array_equal(max_pool(values, 3, 1, rank=1), [1, 1, 0.3])
    np.testing.assert_array_equal(max_pool(values, 2, 2, rank=1), [1, 0.2])
    with pytest.raises(ValueError, match="larger than the 5 values"):
        max_pool(values, 6, 1, rank=1)


def test_a_shift_moves_along_a_signal_and_to_the_right_in_an_image() -> None:
    values = np.array([1.0, 2, 3])
    np.testing.assert_array_equal(shifted(values, 1, border="zeros"), [0, 1, 2])
    np.testing.assert_array_equal(shifted(values, -1, border="nearest"), [2, 3, 3])
    np.testing.assert_array_equal(shifted(values, 1, border="wrap"), [3, 1, 2])
    np.testing.assert_array_equal(shifted(values, 5, border="zeros"), [0, 0, 0])
    np.testing.assert_array_equal(shifted(IMAGE, 2, border="zeros")[:, 2:], IMAGE[:, :-2])


def test_convolution_commutes_with_shifts() -> None:
    kernel = KERNELS_1D[2]
    moved = convolve(shifted(SIGNAL, 2, border="wrap"), kernel, padding="same", border="wrap")
    still = convolve(SIGNAL, kernel, padding="same", border="wrap")
    np.testing.assert_array_equal(moved, shifted(still, 2, border="wrap"))
