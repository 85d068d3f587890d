"""Positions and anchors."""

import numpy as np
import pytest

from dlcli.models.heads.anchors import anchor_sides, anchors, axes_of, centers, level_of_positions, sides_of


def test_positions_are_a_stride_apart_in_the_middle_of_the_image() -> None:
    assert sides_of((64, 65), 3) == (8, 9)
    rows, columns = axes_of((64, 65), 3)
    assert rows.tolist() == [4, 12, 20, 28, 36, 44, 52, 60]
    assert columns.tolist() == [0.5, 8.5, 16.5, 24.5, 32.5, 40.5, 48.5, 56.5, 64.5]


def test_centers_are_row_by_row_and_level_by_level() -> None:
    found = centers((16, 24), (3, 4))
    assert found[:4].tolist() == [[4, 4], [12, 4], [20, 4], [4, 12]]
    assert found[6:].tolist() == [[4, 8], [20, 8]]
    assert level_of_positions((16, 24), (3, 4)).tolist() == [3] * 6 + [4] * 2


def test_anchors_have_their_areas_and_ratios() -> None:
    size = (48, 96)
    boxes = anchors(size, (3, 4), sizes=(2.0, 4.0), ratios=(0.5, 1.0, 2.0)) * [96, 48, 96, 48]
    assert boxes.shape == ((6 * 12 + 3 * 6) * 6, 4)
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    np.testing.assert_allclose((width / height).reshape(-1, 3), np.tile([0.5, 1, 2], (180, 1)))
    np.testing.assert_allclose(np.sqrt(width * height)[: 72 * 6].reshape(-1, 6), np.tile([16] * 3 + [32] * 3, (72, 1)))
    np.testing.assert_allclose(np.sqrt(width * height)[72 * 6 :].reshape(-1, 2, 3)[:, 1], 64)
    middle = ((boxes[:, :2] + boxes[:, 2:]) / 2).reshape(-1, 6, 2)
    np.testing.assert_allclose(middle, np.repeat(centers(size, (3, 4))[:, None], 6, axis=1))
    np.testing.assert_allclose(boxes[:6, 2:] - boxes[:6, :2], anchor_sides(3, sizes=(2.0, 4.0), ratios=(0.5, 1.0, 2.0)))


@pytest.mark.parametrize("size", [(300, 301), (31, 97)])
def test_positions_cover_images_of_any_size(size: tuple[int, int]) -> None:
    for level in range(2, 8):
        for side, positions in zip(size, axes_of(size, level), strict=True):
            assert positions.mean() == pytest.approx(side / 2)
            assert positions[0] - 2**level / 2 <= 0
            assert positions[-1] + 2**level / 2 >= side
