"""The baselines of segmentation: counts by position, resizing, and ignored pixels."""

import numpy as np

from dlcli.evaluation.mask_baseline import MaskCounts, resize_nearest


def test_the_most_frequent_class_at_each_position_and_everywhere() -> None:
    masks = np.array([[[0, 1], [2, 255]], [[0, 1], [1, 255]], [[2, 2], [2, 255]]], np.uint8)
    counts = MaskCounts(3, side=2)
    for mask in masks:
        counts.add(mask)
    assert counts.pixels.tolist() == [2, 3, 4]
    assert counts.most_frequent == 2
    assert counts.grid.tolist() == [[0, 1], [2, 2]]  # the last position is ignored in all masks


def test_masks_of_different_sizes_meet_on_one_grid() -> None:
    counts = MaskCounts(2)
    for height, width in ((30, 200), (64, 64), (7, 5)):
        mask = np.zeros((height, width), np.uint8)
        mask[height // 2 :] = 1
        counts.add(mask)
    assert counts.grid.shape == (64, 64)
    assert (counts.grid[:27] == 0).all()
    assert (counts.grid[36:] == 1).all()
    full = resize_nearest(counts.grid, 128, 32)
    np.testing.assert_array_equal(full[[0, 127]], [[0] * 32, [1] * 32])
    assert counts.positions.nbytes == 64 * 64 * 2 * 4


def test_nearest_resizing_keeps_a_mask_of_the_same_size_and_undoes_an_enlargement() -> None:
    mask = np.random.default_rng(0).integers(0, 256, (5, 7)).astype(np.uint8)
    np.testing.assert_array_equal(resize_nearest(mask, 5, 7), mask)
    np.testing.assert_array_equal(resize_nearest(resize_nearest(mask, 15, 21), 5, 7), mask)
    np.testing.assert_array_equal(resize_nearest(mask, 10, 14), mask.repeat(2, 0).repeat(2, 1))
