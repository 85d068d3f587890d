"""The features of the baselines, against scikit-image's where it is installed, and what they are worth on digits."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from dlcli.evaluation.image_baseline import features, fit, gray, hog


@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 8), (28, 32)])
def test_hog_is_that_of_scikit_image(height: int, width: int) -> None:
    feature = pytest.importorskip("skimage.feature")
    images = np.random.default_rng(0).random((4, height, width))
    images[0] = 0.5  # no gradients
    options = {"orientations": 9, "pixels_per_cell": (height // 4, width // 4), "cells_per_block": (2, 2)}
    expected = [feature.hog(image, block_norm="L2-Hys", **options) for image in images]
    np.testing.assert_allclose(hog(images), expected, atol=1e-6)


def test_hog_of_edges_by_hand() -> None:
    """A vertical edge has horizontal gradients, orientation 0; a horizontal edge, those of 90 degrees, bin 4."""
    image = np.zeros((2, 8, 8))
    image[0, :, 4:] = image[1, 4:] = 1.0
    found = hog(image).reshape(2, 9, 4, 9)
    assert found.shape == (2, 9, 4, 9)
    for kind, orientation in ((0, 0), (1, 4)):
        assert found[kind, ..., orientation].sum() == pytest.approx(found[kind].sum())
        assert found[kind].sum() > 0
    np.testing.assert_allclose(np.square(found).sum(axis=(2, 3)).max(), 1.0, rtol=1e-6)


def test_gray_averages_areas() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 1), np.uint8)
    halves = images[..., 0].reshape(3, 3, 2, 4, 2).mean(axis=(2, 4)) / 255
    np.testing.assert_allclose(gray(images[:, :, :6], side=3), halves[:, :, :3])
    parts = gray(images, side=4)  # a row of the result covers one and a half rows
    rows = images[..., 0].astype(np.float64).reshape(3, 6, 4, 2).mean(axis=3) / 255
    np.testing.assert_allclose(parts[:, 0], (rows[:, 0] + rows[:, 1] / 2) / 1.5)
    np.testing.assert_allclose(gray(images, side=99), images[..., 0] / 255)
    colors = np.zeros((1, 1, 3, 3), np.uint8)
    colors[0, 0] = 255 * np.eye(3)
    np.testing.assert_allclose(gray(colors, side=3)[0, 0], [0.299, 0.587, 0.114])


def test_both_baselines_learn_digits() -> None:
    digits = load_digits()
    images, labels = np.rint(digits.images[:600] * 255 / 16).astype(np.uint8)[..., None], digits.target
    found = features(images)
    assert {name: values.shape[1] for name, values in found.items()} == {"pixels": 64, "hog": 324}
    for values in found.values():
        with threadpool_limits(1):
            assert fit(values[:300], labels[:300]).score(values[300:], labels[300:600]) > 0.8
    assert list(features(images[:, :3, :3])) == ["pixels"]
