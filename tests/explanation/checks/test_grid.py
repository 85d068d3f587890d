"""Mosaics of four images, and which quarter a map points to."""

import numpy as np
import pytest

from dlcli.explanation.checks.grid import mosaics, place_of, pointing
from dlcli.explanation.checks.naive_maps import naive_maps


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 5)])
def test_a_mosaic_holds_its_class_in_one_quarter_alone(height: int, width: int) -> None:
    classes = np.array([0, 0, 1, 2, 2], np.int32)
    images = np.broadcast_to(classes[:, None, None, None] * 50.0, (5, height, width, 1)).astype(np.float32)
    made = mosaics(images, classes)
    assert made.images.shape == images.shape
    np.testing.assert_array_equal(made.classes, classes)
    for mosaic, label, quarter in zip(made.images, made.classes, made.quarters, strict=True):
        for number in range(4):
            values = mosaic[place_of(number, height, width)]
            assert np.ptp(values) < 1e-3
            assert (abs(values.mean() - 50 * label) < 1e-3) == (number == quarter)
    assert len(set(made.quarters.tolist())) > 1


def test_cells_are_whole_images_at_half_size() -> None:
    images = np.random.default_rng(0).uniform(0, 255, (2, 6, 8, 3)).astype(np.float32)
    made = mosaics(images, np.array([0, 1], np.int32))
    found = made.images[1][place_of(int(made.quarters[1]), 6, 8)]
    expected = images[1].reshape(3, 2, 4, 2, 3).mean((1, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_images_of_one_class_make_no_mosaic() -> None:
    made = mosaics(np.zeros((3, 4, 4, 1), np.float32), np.zeros(3, np.int32))
    assert made.images.shape == (0, 4, 4, 1)


def test_pointing_counts_positive_evidence() -> None:
    maps = np.zeros((4, 4, 6), np.float32)
    maps[0, 0, 0], maps[0, 3, 5], maps[0, 0, 5] = 3, 1, -9
    maps[1, 3, 5] = 2
    maps[3] = 1
    share, is_largest = pointing(maps, np.array([0, 0, 2, 1]))
    np.testing.assert_allclose(share, [0.75, 0, 0.25, 0.25])  # an empty map and a constant one are at chance
    np.testing.assert_allclose(is_largest, [1, 0, 0.25, 0.25])


def test_naive_maps_know_the_image_alone() -> None:
    images = np.zeros((2, 9, 12, 3), np.float32)
    images[1, :, 6:] = 90
    maps = naive_maps(images)
    assert {name: values.shape for name, values in maps.items()} == dict.fromkeys(
        ("random", "edges", "center", "image"), (2, 9, 12)
    )
    assert set(np.unravel_index(maps["edges"][1].argmax(), (9, 12))[1:]) <= {5, 6}
    assert np.unravel_index(maps["center"][0].argmax(), (9, 12))[0] == 4
    np.testing.assert_allclose(maps["image"][1], images[1, :, :, 0])
    assert maps["random"].std() > 0.2
