"""Kernels by name and by numbers."""

import numpy as np
import pytest
from scipy import ndimage

from dlcli.convolution.arithmetic import convolve
from dlcli.convolution.kernels import FIXED_1D, FIXED_2D, parse_numbers, read_kernel
from dlcli.errors import InputError

IMAGE = np.random.default_rng(5).normal(size=(12, 15, 1))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.7])
def test_gaussians_equal_scipy(sigma: float) -> None:
    ours = convolve(IMAGE, read_kernel(f"gaussian:{sigma}", 2), padding="same", border="reflect")[..., 0]
    np.testing.assert_allclose(ours, ndimage.gaussian_filter(IMAGE[..., 0], sigma), atol=1e-14)


def test_named_filters_equal_scipy() -> None:
    for name, other in (
        ("sobel-x", lambda image: ndimage.sobel(image, axis=1)),
        ("sobel-y", lambda image: ndimage.sobel(image, axis=0)),
        ("laplacian", ndimage.laplace),
        ("mean:3", lambda image: ndimage.uniform_filter(image, 3)),
        ("identity", lambda image: image),
    ):
        ours = convolve(IMAGE, read_kernel(name, 2), padding="same", border="reflect")[..., 0]
        np.testing.assert_allclose(ours, other(IMAGE[..., 0]), atol=1e-14)
    line = np.array([1.0, 2, 4, 8])
    np.testing.assert_array_equal(convolve(line, read_kernel("difference", 1), padding="valid"), [1.5, 3])


def test_sums_of_the_weights() -> None:
    flat = {"identity": 1, "sharpen": 1, "emboss": 1}
    for rank, names in ((1, FIXED_1D), (2, FIXED_2D)):
        for name in names:
            assert read_kernel(name, rank).sum() == flat.get(name, 0)
        for name in ("mean:4", "gaussian:2"):
            assert read_kernel(name, rank).sum() == pytest.approx(1)


def test_numbers() -> None:
    np.testing.assert_array_equal(read_kernel("1, 0 -1", 1), [1, 0, -1])
    np.testing.assert_array_equal(read_kernel("1 2;3 4;", 2), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(read_kernel("1/4,1/2", 1), [0.25, 0.5])
    assert parse_numbers("3e2, -.5") == [300, -0.5]
    assert [parse_numbers(text) for text in ("", "1;2", "1_0", "nan", "inf", "1e19", "1/0", "a")] == [None] * 8


@pytest.mark.parametrize(
    ("text", "rank", "message"),
    [
        ("sobelx", 2, r"Received 'sobelx'. Did you mean 'sobel-x'\?"),
        ("sobel-x", 1, "for a signal one of identity"),
        ("1,2;3", 2, "same number of values. Received 2, 1"),
        ("1,x", 1, "row 1 must consist of numbers"),
        ("1;2", 1, "one row of numbers for a signal"),
        ("mean:0", 1, "mean needs a size"),
        ("mean:256", 2, "at most 255"),
        ("gaussian:-1", 2, "standard deviation > 0"),
        ("gaussian:1e300", 2, "at most 255"),
        ("identity:3", 2, "Leave ':3' out"),
        ("", 2, "expected numbers"),
    ],
)
def test_others_are_refused(text: str, rank: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_kernel(text, rank)
